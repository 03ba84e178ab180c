"""Image losses on (C, H, W, 3) sRGB tensors, with optional per-pixel weights."""

from functools import cache
from importlib.util import find_spec

import torch

_C1, _C2 = 0.01**2, 0.03**2


def weighted_l1(image: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Mean absolute difference; `weight` (C, H, W, 1) multiplies it without renormalising."""
    difference = (image - target).abs()
    return (difference if weight is None else difference * weight).mean()


@cache
def _blur_matrix(size: int, device: torch.device) -> torch.Tensor:
    """(size, size) banded matrix that blurs a line of pixels by an 11-wide Gaussian, sigma 1.5, zero outside."""
    offsets = torch.arange(size, device=device)[:, None] - torch.arange(size, device=device)
    window = torch.exp(-(offsets.float() ** 2) / (2 * 1.5**2))
    total = torch.exp(-((torch.arange(11.0) - 5) ** 2) / (2 * 1.5**2)).sum()
    return torch.where(offsets.abs() <= 5, window, 0.0) / total.to(device)


def _blur(images: torch.Tensor) -> torch.Tensor:
    """(..., H, W) blurred along both axes: two matrix products, several times faster than convolutions on a CPU."""
    rows = _blur_matrix(images.shape[-2], images.device)
    columns = _blur_matrix(images.shape[-1], images.device)
    return rows.to(images) @ images @ columns.to(images)


def ssim_map(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(C, 3, H, W) structural similarity (Wang et al. 2004), Gaussian window 11, sigma 1.5, range 1."""
    x, y = (i.permute(0, 3, 1, 2) for i in (image, target))
    moments = torch.cat([x, y, x * x, y * y, x * y])
    mx, my, xx, yy, xy = _blur(moments).chunk(5)
    luminance = (2 * mx * my + _C1) / (mx * mx + my * my + _C1)
    contrast = (2 * (xy - mx * my) + _C2) / (xx - mx * mx + yy - my * my + _C2)
    return luminance * contrast


def dssim(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - SSIM, averaged over pixels and channels."""
    return 1.0 - ssim_map(image, target).mean()


def photometric(
    image: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None, ssim_share: float = 0.2
) -> torch.Tensor:
    """(1 - s) L1 + s (1 - SSIM) (3DGS, eq. 7) of two images, both multiplied by `weight` (C, H, W, 1) where given."""
    if weight is not None:
        image, target = image * weight, target * weight
    if image.is_cuda and _triton_is_here():
        from avatarpipe.training.photometric_cuda import FusedPhotometric

        return FusedPhotometric.apply(image, target, ssim_share)
    loss = (1.0 - ssim_share) * weighted_l1(image, target)
    return loss + ssim_share * dssim(image, target) if ssim_share else loss


@cache
def _triton_is_here() -> bool:
    """Triton comes with torch for CUDA on Linux; elsewhere the matrix products do."""
    return find_spec("triton") is not None


def normal_consistency(
    normals: torch.Tensor, depth_normals: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Mean of (1 - n . n_depth) * weight over pixels (2DGS, eq. 14). normals: (C, H, W, 3); weight: (C, H, W, 1)."""
    return ((1.0 - (normals * depth_normals).sum(dim=-1, keepdim=True)) * weight).mean()
