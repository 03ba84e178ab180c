"""A perceptual distance to train by: LPIPS where its weights are, else one that needs none."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor
from torch.nn.functional import avg_pool2d

from avatarpipe.errors import InputError
from avatarpipe.training.losses import dssim
from avatarpipe.training.lpips import Lpips, missing_weights

SCALES, SMALLEST = 4, 11
SUBSTITUTE = (
    f"1 - SSIM (Gaussian window 11, sigma 1.5), mean over {SCALES} scales, each half the one before"
)


def perceptual(
    folder: str | Path, device, net: str = "vgg"
) -> tuple[Callable[[Tensor, Tensor], Tensor], str]:
    """A distance of two (C, 3, H, W) batches of sRGB images in [0, 1], as one number, and what it is, for the record.

    LPIPS of `net` ("vgg" or "alex") where its weights are in `folder`, frozen; else `structure`. Both let the gradient
    through and are the same for the same images. Raises InputError where the weights are there but broken.
    """
    if missing := missing_weights(folder, net):
        return structure, f"{SUBSTITUTE}; LPIPS wants {missing[0]}"
    network = Lpips(folder, net).to(device)

    def lpips(image: Tensor, truth: Tensor) -> Tensor:
        return network.distances(image.permute(0, 2, 3, 1), truth.permute(0, 2, 3, 1)).mean()

    return lpips, f"LPIPS {net}, version 0.1"


def structure(image: Tensor, truth: Tensor) -> Tensor:
    """Mean of 1 - SSIM over up to SCALES scales of (C, 3, H, W) images, none below SMALLEST pixels a side; 0 where equal."""
    distances = []
    while len(distances) < SCALES and min(image.shape[2:]) >= SMALLEST:
        distances.append(dssim(image.permute(0, 2, 3, 1), truth.permute(0, 2, 3, 1)))
        image, truth = avg_pool2d(image, 2), avg_pool2d(truth, 2)
    if not distances:
        raise InputError(
            f"images of {tuple(image.shape[2:])} pixels are too small to compare; {SMALLEST} a side are the fewest. "
            "Raise `perceptual_size`."
        )
    return sum(distances) / len(distances)
