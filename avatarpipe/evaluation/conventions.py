"""The two conventions in which animatable avatars are measured, both on white; their numbers are not interchangeable.

mmlphuman   PSNR and SSIM of the full frame, SSIM with a Gaussian window of 11 (sigma 1.5); LPIPS of the subject's box.
ag          AnimatableGaussians: PSNR and SSIM of the full frame, SSIM with an even window of 7 and the sample covariance,
            as scikit-image has it; LPIPS of the box with 50 pixels around it, blue first, as OpenCV gave the images to
            the published script; FID of those boxes.

Every box is brought into the middle of a white square, which is resized to 512 pixels. In both, truth is the photograph
where the mask is above one half, and white elsewhere.
"""

from collections.abc import Callable
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
        "ssim_mmlphuman": (gaussian_ssim(image, truth.image), ""),
        "psnr_ag": (level, "dB"),
        "ssim_ag": (even_ssim(image, truth.image), ""),
    }
    if truth.mask.any():
        region = torch.from_numpy(truth.mask)
        found["psnr_foreground"] = (psnr(ours, theirs, region), "dB")
        found |= {} if lpips is None else _perceptual(image, truth, lpips)
    return found


def gaussian_ssim(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean over the pixels whose Gaussian window of 11 lies inside the image, population covariance."""

    def similarity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return ssim_map(torch.from_numpy(x).double(), torch.from_numpy(y).double()).numpy()

    return _mean_similarity(ours, theirs, WINDOW, similarity)


def even_ssim(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean over the pixels whose 7 x 7 window lies inside the image, each of its pixels counting the same."""

    def similarity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        size = {"win_size": EVEN_WINDOW, "channel_axis": 2}
        return structural_similarity(y, x, data_range=1.0, full=True, **size)[1]

    return _mean_similarity(ours, theirs, EVEN_WINDOW, similarity)


def _mean_similarity(
    ours: np.ndarray, theirs: np.ndarray, window: int, similarity: Callable
) -> float:
    """Mean of a map over the (H, W, 3) images without the border that `window` hangs over; 1 wherever windows are equal.

    Most of a frame is white in both images, so the map is made only of the box in which they differ.
    """
    radius, height, width = window // 2, *ours.shape[:2]
    count = (height - 2 * radius) * (width - 2 * radius)
    differs = (ours != theirs).any(axis=2)
    if not differs.any():
        return 1.0
    box = tuple(
        _centres(differs.any(axis=axis), radius, size) for axis, size in ((1, height), (0, width))
    )
    if any(low >= high for low, high in box):
        return 1.0
    area = tuple(slice(low - radius, high + radius) for low, high in box)
    inside = slice(radius, -radius)
    found = similarity(np.ascontiguousarray(ours[area]), np.ascontiguousarray(theirs[area]))
    found = found[inside, inside].mean(axis=2)
    return float((found.sum(dtype=np.float64) + count - found.size) / count)


def _centres(hit: np.ndarray, radius: int, size: int) -> tuple[int, int]:
    """First and one past the last place, off the border, of windows that reach a hit."""
    places = np.flatnonzero(hit)
    return max(int(places[0]) - radius, radius), min(int(places[-1]) + 1 + radius, size - radius)


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
