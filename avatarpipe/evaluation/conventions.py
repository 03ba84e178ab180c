"""The two conventions in which animatable avatars are measured, both on white; their numbers are not interchangeable.

mmlphuman   PSNR and SSIM of the full frame, SSIM with a Gaussian window of 11 (sigma 1.5); LPIPS of the subject's box.
ag          AnimatableGaussians: PSNR and SSIM of the full frame, SSIM with an even window of 7 and the sample covariance,
            as scikit-image has it; LPIPS of the box with 50 pixels around it, blue first, as OpenCV gave the images to
            the published script; FID of those boxes.

Every box is brought into the middle of a white square, which is resized to 512 pixels. In both, truth is the photograph
where the mask is above one half, and white elsewhere.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from skimage.metrics import structural_similarity

from avatarpipe.capture.capture import Capture
from avatarpipe.evaluation.metrics import WINDOW, psnr, ssim_map
from avatarpipe.evaluation.rows import Scores
from avatarpipe.training.lpips import Lpips

SIDE, PAD, WHITE = 512, 50, 1.0
_EDGE = WINDOW // 2
EVEN_WINDOW = 7


@dataclass(frozen=True)
class Truth:
    """What one camera saw of one frame."""

    image: np.ndarray
    """(H, W, 3) float32 sRGB in [0, 1], white outside of the mask."""
    mask: np.ndarray
    """(H, W) bool."""


def truth_on_white(capture: Capture, camera: str, frame: str) -> Truth:
    """The photograph where the mask is above one half; what is stored times its mask is divided by it there."""
    alpha = capture.mask(camera, frame)
    mask = alpha > 0.5
    image = capture.photograph(camera, frame)
    if not capture.manifest.photographs:
        image = (image / np.maximum(alpha, 0.5)[..., None]).clip(0, 1)
    return Truth(np.where(mask[..., None], image, np.float32(WHITE)), mask)


def scores(image: np.ndarray, truth: Truth, lpips: Lpips | None) -> Scores:
    """Every metric of a rendering (H, W, 3) over white; those of the subject only where the mask shows one."""
    ours, theirs = torch.from_numpy(image), torch.from_numpy(truth.image)
    level = psnr(ours, theirs)
    found = {
        "psnr_mmlphuman": (level, "dB"),
        "ssim_mmlphuman": (gaussian_ssim(ours, theirs), ""),
        "psnr_ag": (level, "dB"),
        "ssim_ag": (even_ssim(image, truth.image), ""),
    }
    if truth.mask.any():
        region = torch.from_numpy(truth.mask)
        found["psnr_foreground"] = (psnr(ours, theirs, region), "dB")
        found |= {} if lpips is None else _perceptual(image, truth, lpips)
    return found


def gaussian_ssim(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Mean over the pixels whose Gaussian window of 11 lies inside the image, population covariance."""
    inside = slice(_EDGE, -_EDGE)
    return float(ssim_map(ours.double(), theirs.double())[inside, inside].mean())


def even_ssim(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean over the pixels whose 7 x 7 window lies inside the image, each of its pixels counting the same."""
    return float(
        structural_similarity(theirs, ours, win_size=EVEN_WINDOW, channel_axis=2, data_range=1.0)
    )


def subject_square(image: np.ndarray, mask: np.ndarray, pad: int, side: int = SIDE) -> np.ndarray:
    """(side, side, 3) of (H, W, 3): the box of the mask, `pad` pixels wider where the image goes on, squared with white.

    As in both published programs the box ends before the last row and column of the mask, then grows.
    """
    rows, columns = (_extent(mask.any(axis=axis), pad) for axis in (1, 0))
    cut = image[rows, columns]
    height, width = cut.shape[:2]
    size = max(height, width)
    square = np.full((size, size, 3), WHITE, image.dtype)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = cut
    return cv2.resize(square, (side, side), interpolation=cv2.INTER_LINEAR)


def _extent(hit: np.ndarray, pad: int) -> slice:
    places = np.flatnonzero(hit)
    first, last = int(places[0]), max(int(places[-1]), int(places[0]) + 1)
    return slice(max(first - pad, 0), min(last + pad, len(hit)))


def _perceptual(image: np.ndarray, truth: Truth, lpips: Lpips) -> Scores:
    name = f"lpips_{lpips.net}"
    tight = [subject_square(each, truth.mask, 0) for each in (image, truth.image)]
    wide = [subject_square(each, truth.mask, PAD)[..., ::-1] for each in (image, truth.image)]
    return {
        f"{name}_mmlphuman": (_distance(lpips, *tight), ""),
        f"{name}_ag": (_distance(lpips, *wide), ""),
    }


def _distance(lpips: Lpips, ours: np.ndarray, theirs: np.ndarray) -> float:
    device = lpips.shift.device
    pair = (
        torch.from_numpy(np.ascontiguousarray(each))[None].to(device) for each in (ours, theirs)
    )
    return float(lpips(*pair))
