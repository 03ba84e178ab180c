"""The CUDA renderer: gsplat's projection, tile lists and 2DGS rasteriser for both kinds of Gaussian.

An ellipsoid's splat is an affine map of a unit disc onto the screen, which is a surfel's map with last
row (0, 0, 1). So one rasteriser gives colours, features, normals, depth and distortion of either kind
in one pass. For ellipsoids its low-pass filter is switched off by placing it far outside the image.
"""

import gsplat
import torch
from torch import Tensor

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.cuda_rasterizer import Tiles, rasterize
from avatarpipe.gaussians.harmonics import sh_colors
from avatarpipe.gaussians.projection import BLUR, camera_centers, ellipsoid_normals, facing

TILE = 16
FAR_AWAY = 1e6  # pixels
CHANNELS = (4, 8, 16, 32, 64, 128, 256, 512)  # what the rasteriser is compiled for


def composite_cuda(cloud: GaussianCloud, viewmats: Tensor, Ks: Tensor, size, near, far) -> tuple:
    """Image (C, H, W, 6 + F) in the order normal, rgb, features; summed depth, alpha, distortion and
    median depth (C, H, W); screen points (C, N, 2) and radii (C, N)."""
    prepare = _surfels if cloud.kind == "surfel" else _ellipsoids
    screen, transforms, normals, depths, radii, points, turn = prepare(
        cloud, viewmats, Ks, size, near, far
    )
    across, down = (-(-side // TILE) for side in size)
    lists = gsplat.isect_tiles(screen[0], radii, depths, TILE, across, down)
    offsets = gsplat.isect_offset_encode(lists[1], len(viewmats), across, down)
    colors = _padded(_colors(cloud, viewmats), depths)
    opacities = cloud.opacities.expand(len(viewmats), -1)
    tiles = Tiles(*size, TILE, offsets, lists[2])
    image, alpha, normal, distortion, median = rasterize(
        screen[2], screen[1], transforms, colors, opacities, normals, tiles
    )
    if turn is not None:
        normal = torch.einsum("cji,chwj->chwi", turn, normal)
    extra = 0 if cloud.features is None else cloud.features.shape[1]
    depth, others = image[..., -1], (alpha[..., 0], distortion[..., 0], median[..., 0])
    image = torch.cat([normal, image[..., : 3 + extra]], dim=-1)
    return image, depth, *others, points, radii.amax(dim=-1)


def _surfels(cloud, viewmats, Ks, size, near, far) -> tuple:
    radii, centers, depths, transforms, normals = gsplat.fully_fused_projection_2dgs(
        cloud.means, cloud.quats, cloud.scales, viewmats, Ks, *size, near_plane=near, far_plane=far
    )
    points = _screen_points(centers, radii)  # the rasteriser gives it its gradient
    return (centers, centers, points), transforms, normals, depths, radii, points, viewmats[:, :3, :3]


def _ellipsoids(cloud, viewmats, Ks, size, near, far) -> tuple:
    radii, centers, depths, conics, _ = gsplat.fully_fused_projection(
        cloud.means, None, cloud.quats, cloud.scales, viewmats, Ks, *size,
        eps2d=BLUR, near_plane=near, far_plane=far, opacities=cloud.opacities,
    )  # fmt: skip
    points = _screen_points(centers, radii)
    seen = (radii > 0).all(dim=-1, keepdim=True)
    conics = torch.where(seen, conics, conics.new_tensor([1.0, 0.0, 1.0]))
    transforms = _affine_transforms(centers + (points - points.detach()), conics)
    eyes = camera_centers(viewmats)[:, None]
    axes = ellipsoid_normals(cloud.quats, cloud.scales)
    normals = _facing_each(axes, cloud.means.detach(), eyes)
    outside = torch.full_like(centers, FAR_AWAY, requires_grad=False)
    no_statistic = torch.zeros_like(points)  # the rasteriser's is of surfels; ours comes through the transforms
    return (centers, outside, no_statistic), transforms, normals, depths, radii, points, None


def _affine_transforms(centers: Tensor, conics: Tensor) -> Tensor:
    """Maps (C, N, 3, 3) of the unit disc to the splats with these inverse covariances (C, N, 3)."""
    a, b, c = conics.unbind(-1)
    root = (c / (a * c - b * b)).sqrt()  # Cholesky of the covariance (c, -b; -b, a) / det
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    x, y = centers.unbind(-1)
    rows = [root, zero, x, -b / c * root, (1 / c).sqrt(), y, zero, zero, one]
    return torch.stack(rows, dim=-1).reshape(*a.shape, 3, 3)


def _facing_each(axes: Tensor, means: Tensor, eyes: Tensor) -> Tensor:
    """Axes (N, 3) turned toward each of the eyes (C, 1, 3): (C, N, 3)."""
    count, shape = len(eyes), (len(eyes), *axes.shape)
    flat = [x.expand(shape).reshape(-1, 3) for x in (axes, means, eyes)]
    return facing(*flat).reshape(count, -1, 3)


def _screen_points(centers: Tensor, radii: Tensor) -> Tensor:
    seen = (radii > 0).all(dim=-1, keepdim=True)
    points = torch.where(seen, centers.detach(), torch.zeros_like(centers))
    return points.requires_grad_(torch.is_grad_enabled())


def _colors(cloud: GaussianCloud, viewmats: Tensor) -> Tensor:
    """Colour and features (C, N, 3 + F) as each camera sees them."""
    shape = len(viewmats), len(cloud), -1
    if cloud.sh is None:
        colors = cloud.colors.expand(shape)
    else:
        colors = sh_colors(cloud.sh, cloud.means - camera_centers(viewmats)[:, None])
    if cloud.features is None:
        return colors
    return torch.cat([colors, cloud.features.expand(shape)], dim=-1)


def _padded(colors: Tensor, depths: Tensor) -> Tensor:
    """Colours (C, N, D), zeros up to a compiled channel count, depth last as distortion wants it.

    gsplat would pad with uninitialised memory, whose NaN would reach the gradients.
    """
    used = colors.shape[-1] + 1
    total = next((n for n in CHANNELS if n >= used), None)
    if total is None:
        raise ValueError(f"{used - 4} feature channels, at most {CHANNELS[-1] - 4} can be rendered")
    return torch.cat(
        [colors, colors.new_zeros(*depths.shape, total - used), depths[..., None]], dim=-1
    )
