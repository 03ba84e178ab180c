"""Colour and coverage of ellipsoids alone: all that training on images looks at, without the cost of depth and normals."""

from dataclasses import dataclass

import torch
from torch import Tensor

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.harmonics import C0, sh_colors
from avatarpipe.gaussians.projection import BLUR, camera_centers
from avatarpipe.gaussians.render import render

TILE = 8  # pixels; a figure covers few tiles of the usual 16, too few for a large card


@dataclass(frozen=True)
class Ellipsoids:
    """N ellipsoids as C cameras see them, all values after activation."""

    means: Tensor  # (N, 3) metres
    quats: Tensor  # (N, 4) wxyz
    scales: Tensor  # (N, 3) metres
    opacities: Tensor  # (N,)
    colors: Tensor  # (N, 3) sRGB, or (C, N, 3) where each camera sees another


@dataclass(frozen=True)
class Lens:
    """What the images are taken with: C cameras of one size."""

    viewmats: Tensor  # (C, 4, 4) w2c
    Ks: Tensor  # (C, 3, 3) pixels
    width: int
    height: int
    near: float = 0.01  # metres
    far: float = 100.0


def seen_colors(sh: Tensor, means: Tensor, viewmats: Tensor) -> Tensor:
    """Colours of coefficients (N, K, 3): (C, N, 3) as each camera sees them, (N, 3) where they look alike to all."""
    if sh.shape[1] == 1:
        return (C0 * sh[:, 0] + 0.5).clamp_min(0.0)
    return sh_colors(sh, means - camera_centers(viewmats)[:, None])


def render_rgb(ellipsoids: Ellipsoids, lens: Lens, background: Tensor) -> Tensor:
    """(C, H, W, 3) over `background` (3,): the colours that `render` gives."""
    if ellipsoids.means.device.type == "cuda":
        return composite(project(ellipsoids, lens), ellipsoids, lens, background)
    if ellipsoids.colors.dim() == 2:
        return _rendered(ellipsoids, ellipsoids.colors, lens.viewmats, lens.Ks, lens, background)
    pictures = zip(ellipsoids.colors, lens.viewmats[:, None], lens.Ks[:, None], strict=True)
    return torch.cat([_rendered(ellipsoids, *view, lens, background) for view in pictures])


def _rendered(e: Ellipsoids, colors, viewmats, Ks, lens: Lens, background) -> Tensor:
    cloud = GaussianCloud(e.means, e.quats, e.scales, e.opacities, colors, kind="ellipsoid")
    cameras = viewmats, Ks, lens.width, lens.height
    return render(cloud, cameras, background, lens.near, lens.far).rgb


def project(ellipsoids: Ellipsoids, lens: Lens) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Radii, centres, depths and conics on the screens, by gsplat; no call waits for the card."""
    import gsplat  # only where there is CUDA

    e = ellipsoids
    return gsplat.fully_fused_projection(
        e.means, None, e.quats, e.scales, lens.viewmats, lens.Ks, lens.width, lens.height,
        eps2d=BLUR, near_plane=lens.near, far_plane=lens.far, opacities=e.opacities,
    )[:4]  # fmt: skip


def composite(projected: tuple, ellipsoids: Ellipsoids, lens: Lens, background: Tensor) -> Tensor:
    """(C, H, W, 3) of what `project` gave, by gsplat's 3DGS rasteriser."""
    import gsplat  # only where there is CUDA

    radii, centers, depths, conics = projected
    count = len(lens.viewmats)
    across, down = (-(-side // TILE) for side in (lens.width, lens.height))
    _, keys, ids = gsplat.isect_tiles(centers, radii, depths, TILE, across, down)
    offsets = gsplat.isect_offset_encode(keys, count, across, down)
    return gsplat.rasterize_to_pixels(
        centers, conics, ellipsoids.colors.expand(count, -1, -1), ellipsoids.opacities.expand(count, -1),
        lens.width, lens.height, TILE, offsets, ids, backgrounds=background.expand(count, 3),
    )[0]  # fmt: skip
