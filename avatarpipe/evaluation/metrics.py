"""PSNR and SSIM of a rendering against the ground truth, over the full frame or the foreground crop.

Images are (H, W, 3) tensors of sRGB values in [0, 1]. Full frame: every pixel, the background (black, as the
capture's images have it) included. Foreground crop: the smallest box that holds every pixel of the *ground truth* mask
above 0.5, grown by a margin; it is of the view alone, so no method can change what it is measured on.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
CROP_MARGIN = 0.02
_C1, _C2 = 0.01**2, 0.03**2
_LEAST_ERROR = 1e-10


def psnr(image: Tensor, truth: Tensor, region: Tensor | None = None) -> float:
    """10 log10(1 / MSE) in dB over all pixels, or over those of a boolean (H, W) region; 100 dB where equal.

    Raises ValueError on different shapes or an empty region.
    """
    if image.shape != truth.shape:
        raise ValueError(
            f"image {tuple(image.shape)} and truth {tuple(truth.shape)} differ in shape"
        )
    squared = (image - truth).double().square()
    if region is not None:
        squared = squared[region]
    if squared.numel() == 0:
        raise ValueError("PSNR of no pixels: the region is empty")
    return float(-10 * squared.mean().clamp_min(_LEAST_ERROR).log10())


def ssim_map(image: Tensor, truth: Tensor) -> Tensor:
    """(H, W, 3) structural similarity at each pixel (Wang et al. 2004, eq. 13), Gaussian window 11, sigma 1.5.

    The convention of 3DGS: each channel apart, zeros outside of the image, population covariance, K1 0.01, K2 0.03.
    """
    x, y = (i.cpu().numpy() for i in (image, truth))
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x**2
    variance_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return torch.from_numpy(luminance * structure)


def ssim(image: Tensor, truth: Tensor) -> float:
    """Mean of ssim_map over pixels and channels."""
    return float(ssim_map(image.double(), truth.double()).mean())


def foreground_crop(mask: Tensor, margin: float = CROP_MARGIN) -> tuple[slice, slice] | None:
    """(rows, columns) of the box around mask > 0.5, grown on every side by `margin` of the longer image side.

    mask: (H, W) ground truth alpha. None where the view shows no foreground.
    """
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    if not len(rows):
        return None
    grow = round(margin * max(mask.shape))
    return tuple(
        slice(max(int(at.min()) - grow, 0), min(int(at.max()) + 1 + grow, size))
        for at, size in zip((rows, columns), mask.shape, strict=True)
    )


def _blur(image: np.ndarray) -> np.ndarray:
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA)
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
