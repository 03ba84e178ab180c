"""Colour and coverage alone: what training on images and a viewer look at, without the cost of depth and normals."""

import torch
from torch import Tensor

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.harmonics import C0, sh_colors
from avatarpipe.gaussians.projection import BLUR, camera_centers
from avatarpipe.gaussians.render import render

TILE = 16


def render_rgb(cloud: GaussianCloud, cameras: tuple, background: Tensor, near=0.01, far=100.0) -> tuple[Tensor, Tensor]:
    """(C, H, W, 3) over `background` (3,), and alpha (C, H, W, 1): what `render` gives, faster for ellipsoids on CUDA.

    cameras: viewmats w2c (C, 4, 4), Ks (C, 3, 3), width, height, on the device of the cloud.
    """
    if cloud.kind != "ellipsoid" or cloud.device.type != "cuda":
        rendering = render(cloud, cameras, background, near, far)
        return rendering.rgb, rendering.alpha
    viewmats, Ks, width, height = cameras
    colors = cloud.colors
    if colors is None:
        colors = seen_colors(cloud.sh, cloud.means, viewmats)
    shape = cloud.means, cloud.quats, cloud.scales, cloud.opacities
    return splat(*shape, colors, viewmats, Ks, (width, height), background, near, far)


def seen_colors(sh: Tensor, means: Tensor, viewmats: Tensor) -> Tensor:
    """Colours of coefficients (N, K, 3): (C, N, 3) as each camera sees them, (N, 3) where they look alike to all."""
    if sh.shape[1] == 1:
        return (C0 * sh[:, 0] + 0.5).clamp_min(0.0)
    return sh_colors(sh, means - camera_centers(viewmats)[:, None])


def splat(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor,
    viewmats: Tensor, Ks: Tensor, size: tuple[int, int], background: Tensor, near: float, far: float = 100.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """gsplat's projection, tile lists and 3DGS rasteriser on the tensors of N ellipsoids; colors (N, 3) or (C, N, 3)."""
    import gsplat  # only where there is CUDA

    radii, centers, depths, conics, _ = gsplat.fully_fused_projection(
        means, None, quats, scales, viewmats, Ks, *size,
        eps2d=BLUR, near_plane=near, far_plane=far, opacities=opacities,
    )  # fmt: skip
    count = len(viewmats)
    across, down = (-(-side // TILE) for side in size)
    lists = gsplat.isect_tiles(centers, radii, depths, TILE, across, down)
    offsets = gsplat.isect_offset_encode(lists[1], count, across, down)
    return gsplat.rasterize_to_pixels(
        centers, conics, colors.expand(count, -1, -1), opacities.expand(count, -1), *size, TILE, offsets, lists[2],
        backgrounds=background.expand(count, 3),
    )  # fmt: skip
