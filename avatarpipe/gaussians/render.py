"""One renderer interface for Gaussian clouds: gsplat on CUDA, our Numba kernels on the CPU.

    rendering = render(cloud, cameras, background=(1, 1, 1))
    rendering.rgb                                             # (C, H, W, 3)

Both give the same images and gradients: surfels as in 2DGS (Huang et al. 2024), ellipsoids as in 3DGS
(Kerbl et al. 2023, "classic", without anti-aliasing).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.normals import depth_normals

__all__ = ["Rendering", "depth_normals", "render"]


@dataclass
class Rendering:
    """Images of C cameras; every value is composited with the same weights w = alpha T."""

    rgb: Tensor
    """(C, H, W, 3) over the background."""
    alpha: Tensor
    """(C, H, W, 1) accumulated opacity."""
    depth: Tensor
    """(C, H, W, 1) expected z of the centres, metres: sum of w z over alpha; 0 where nothing is."""
    median_depth: Tensor
    """(C, H, W, 1) z of the centre that takes alpha past one half; 0 where nothing is."""
    normals: Tensor
    """(C, H, W, 3) sum of w n in the world frame, each n facing the camera; not normalised."""
    distortion: Tensor
    """(C, H, W, 1) sum over pairs of w_i w_j |z_i - z_j|, metres (mip-NeRF 360's L1 form)."""
    features: Tensor | None
    """(C, H, W, F) composited over zero; None without features."""
    screen_points: Tensor
    """(C, N, 2) pixel positions; after backward its .grad is d loss / d position, for densification."""
    radii: Tensor
    """(C, N) int32 half size in pixels, the larger of x and y; 0 where culled."""


def render(cloud: GaussianCloud, cameras, background=None, near=0.01, far=100.0) -> Rendering:
    """Render a cloud to every camera.

    cameras: a Cameras, or (viewmats w2c (C, 4, 4), Ks (C, 3, 3), width, height). background: None
    for black, (3,) or (C, 3). near, far: centres nearer or farther (metres along z) are culled.
    Differentiable in every tensor of the cloud and in the background. Raises ValueError on shapes
    that do not fit and on values that are not finite.
    """
    viewmats, Ks, width, height = _camera_tensors(cameras, cloud)
    if cloud.device.type == "cpu" or not torch.is_grad_enabled():
        _check_values(cloud)  # not in training on CUDA: looking at values waits for the GPU
    backend = _backend(cloud)
    rendering = _assemble(
        cloud, *backend(cloud, viewmats, Ks, (width, height), float(near), float(far))
    )
    if background is not None:
        rendering.rgb = rendering.rgb + (1 - rendering.alpha) * _background(
            background, rendering.rgb
        )
    return rendering


def _backend(cloud: GaussianCloud):
    """The function that composites a cloud; gsplat and Numba are imported only where they are used."""
    if len(cloud) == 0:
        return _composite_nothing
    if cloud.device.type == "cuda":
        from avatarpipe.gaussians.cuda import composite_cuda

        return composite_cuda
    from avatarpipe.gaussians.cpu import composite_cpu

    return composite_cpu


def _composite_nothing(cloud: GaussianCloud, viewmats, Ks, size, near, far) -> tuple:
    """Empty images, as of a cloud without Gaussians."""
    channels = 6 + (0 if cloud.features is None else cloud.features.shape[1])
    shape = len(viewmats), size[1], size[0]
    image = viewmats.new_zeros(*shape, channels)
    points = viewmats.new_zeros(len(viewmats), 0, 2)
    return image, *viewmats.new_zeros(4, *shape), points, points[..., 0].int()


def _camera_tensors(cameras, cloud: GaussianCloud) -> tuple[Tensor, Tensor, int, int]:
    if hasattr(cameras, "tensors"):
        return (
            *cameras.tensors(cloud.device, cloud.means.dtype),
            int(cameras.width),
            int(cameras.height),
        )
    viewmats, Ks, width, height = cameras
    viewmats, Ks = (x.to(cloud.device, cloud.means.dtype) for x in (viewmats, Ks))
    if viewmats.shape[1:] != (4, 4) or Ks.shape != (len(viewmats), 3, 3):
        raise ValueError(
            f"viewmats {tuple(viewmats.shape)} and Ks {tuple(Ks.shape)}: expected (C, 4, 4), (C, 3, 3)"
        )
    return viewmats, Ks, int(width), int(height)


def _check_values(cloud: GaussianCloud) -> None:
    for name in ("means", "quats", "scales", "opacities", "colors", "sh", "features"):
        tensor = getattr(cloud, name)
        if tensor is None:
            continue
        if tensor.dtype != torch.float32:
            raise ValueError(f"{name} is {tensor.dtype}, expected torch.float32")
        if not torch.isfinite(tensor.detach().sum()) and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise ValueError(f"{name} has {bad} values that are NaN or infinite")


def _background(background, rgb: Tensor) -> Tensor:
    color = torch.as_tensor(background, dtype=rgb.dtype, device=rgb.device)
    if color.shape not in ((3,), (len(rgb), 3)):
        raise ValueError(
            f"background has shape {tuple(color.shape)}, expected (3,) or ({len(rgb)}, 3)"
        )
    return color.reshape(-1, 1, 1, 3)


def _assemble(cloud, image, depth, alpha, distortion, median, points, radii) -> Rendering:
    extra = 0 if cloud.features is None else cloud.features.shape[1]
    normals, rgb, features = image.split([3, 3, extra], dim=-1)
    depth, alpha = depth[..., None], alpha[..., None]
    return Rendering(
        rgb=rgb,
        alpha=alpha,
        depth=depth / alpha.clamp_min(1e-10),
        median_depth=median[..., None],
        normals=normals,
        distortion=distortion[..., None],
        features=None if cloud.features is None else features,
        screen_points=points,
        radii=radii,
    )
