"""A perceptual distance to train by: LPIPS where its weights are, else one that needs none."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from avatarpipe.training.losses import photometric
from avatarpipe.training.lpips import Lpips, missing_weights

SUBSTITUTE = "1 - SSIM (Gaussian window 11, sigma 1.5)"


def perceptual(
    folder: str | Path, device, net: str = "vgg"
) -> tuple[Callable[[Tensor, Tensor], Tensor], str]:
    """A distance of two (C, 3, H, W) batches of sRGB images in [0, 1], as one number, and what it is, for the record.

    LPIPS of `net` ("vgg" or "alex") where its weights are in `folder`, frozen; else `structure`. Both let the gradient of
    the first batch through, and are the same for the same images. Raises InputError where the weights are there but broken.
    """
    if missing := missing_weights(folder, net):
        return structure, f"{SUBSTITUTE}; LPIPS wants {missing[0]}"
    network = Lpips(folder, net).to(device)

    def lpips(image: Tensor, truth: Tensor) -> Tensor:
        return network.distances(image.permute(0, 2, 3, 1), truth.permute(0, 2, 3, 1)).mean()

    return lpips, f"LPIPS {net}, version 0.1"


def structure(image: Tensor, truth: Tensor) -> Tensor:
    """Mean of 1 - SSIM over the pixels of (C, 3, H, W) images; 0 where equal.

    Of what was tried it makes held-out views sharpest, and costs no PSNR (docs/animatable.md).
    """
    return photometric(image.permute(0, 2, 3, 1), truth.permute(0, 2, 3, 1), ssim_share=1.0)
