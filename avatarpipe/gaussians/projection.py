"""Splats, the form in which either kind of Gaussian is composited, and ellipsoids brought into it.

A Gaussian's value at a pixel is exp(-(s.s)/2) with s = (X/Z, Y/Z) and (X, Y, Z) = A + dx B + dy C,
where (dx, dy) is the pixel minus the Gaussian's anchor. For a surfel (surfels.py) this is the exact
ray-disc intersection of 2DGS (Huang et al. 2024, eq. 9-10); for an ellipsoid it is the affine splat
of 3DGS (Kerbl et al. 2023, eq. 5) with B and C the columns of a root of its conic.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.rotations import quats_to_matrices

EXTENT = 3.33  # standard deviations kept: 1 / 255 of an opaque Gaussian
BLUR = 0.3  # pixels^2 added to an ellipsoid's screen covariance (3DGS, eq. 5 and its code)
ALPHA_MIN = 1 / 255


@dataclass
class Splats:
    """The M Gaussians seen by C cameras, camera-major, in the order of the cloud."""

    cameras: Tensor
    """(M,) camera index."""
    gaussians: Tensor
    """(M,) index into the cloud."""
    radii: Tensor
    """(M, 2) half size in whole pixels along x and y, int32."""
    rays: Tensor
    """(M, 3, 3) rows A, B, C of the module's formula."""
    anchors: Tensor
    """(M, 2) pixel from which dx, dy are counted; no gradient."""
    centers: Tensor
    """(M, 2) projected centre, pixels; surfels' low-pass filter acts around it."""
    depths: Tensor
    """(M,) z of the centre in the camera's frame, metres."""
    normals: Tensor
    """(M, 3) unit normal in the world, facing the camera."""


def camera_centers(viewmats: Tensor) -> Tensor:
    """Centres (C, 3) in the world of cameras w2c (C, 4, 4)."""
    return -(viewmats[:, :3, :3].mT @ viewmats[:, :3, 3:])[:, :, 0]


def rows(index: Tensor, *tensors: Tensor) -> list[Tensor]:
    """The rows at `index` of each tensor; unlike tensor[index] its gradient is summed in order."""
    return [tensor.index_select(0, index) for tensor in tensors]


def camera_means(means: Tensor, viewmats: Tensor) -> Tensor:
    """Points (M, 3) in the frames of their own cameras w2c (M, 4, 4)."""
    return (viewmats[:, :3, :3] @ means[:, :, None])[:, :, 0] + viewmats[:, :3, 3]


def ellipsoid_covariances(quats: Tensor, scales: Tensor) -> Tensor:
    """World covariances (M, 3, 3): 3DGS eq. 6."""
    root = quats_to_matrices(quats) * scales[:, None, :]
    return root @ root.transpose(1, 2)


def ellipsoid_screen(position: Tensor, covariances: Tensor, Ks: Tensor, size: tuple[int, int]):
    """Centre (M, 2) and blurred covariance xx, xy, yy (M, 3) on screen: 3DGS eq. 5.

    position (M, 3) and covariances (M, 3, 3) are in the camera's frame, size is (width, height).
    The Jacobian is taken at the direction clamped to 1.3 times the field of view, as in 3DGS's code.
    """
    fx, fy, cx, cy = Ks[:, 0, 0], Ks[:, 1, 1], Ks[:, 0, 2], Ks[:, 1, 2]
    x, y, z = position.unbind(1)
    tx = _clamped_slope(x / z, fx, cx, size[0])
    ty = _clamped_slope(y / z, fy, cy, size[1])
    zero = torch.zeros_like(z)
    row_x = torch.stack([fx / z, zero, -fx * tx / z], dim=1)
    row_y = torch.stack([zero, fy / z, -fy * ty / z], dim=1)
    jacobian = torch.stack([row_x, row_y], dim=1)
    cov = jacobian @ covariances @ jacobian.transpose(1, 2)
    flat = torch.stack([cov[:, 0, 0] + BLUR, cov[:, 0, 1], cov[:, 1, 1] + BLUR], dim=1)
    return torch.stack([fx * x / z + cx, fy * y / z + cy], dim=1), flat


def _clamped_slope(slope: Tensor, focal: Tensor, center: Tensor, size: int) -> Tensor:
    margin = 0.15 * size / focal
    return torch.minimum(
        torch.maximum(slope, -center / focal - margin), (size - center) / focal + margin
    )


def ellipsoid_rays(covariances: Tensor, shift: Tensor) -> Tensor:
    """Rows A, B, C (M, 3, 3) of blurred covariances (M, 3), `shift` (M, 2) being centre - anchor.

    With L the Cholesky root of the covariance, s = L^-1 (pixel - centre) has s.s = d^T cov^-1 d.
    """
    xx, xy, yy = covariances.unbind(1)
    a = xx.sqrt()
    b = xy / a
    c = (yy - b * b).sqrt()
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    row_b = torch.stack([1 / a, -b / (a * c), zero], dim=1)
    row_c = torch.stack([zero, 1 / c, zero], dim=1)
    row_a = -shift[:, :1] * row_b - shift[:, 1:] * row_c
    return torch.stack([row_a + torch.stack([zero, zero, one], dim=1), row_b, row_c], dim=1)


def ellipsoid_normals(quats: Tensor, scales: Tensor) -> Tensor:
    """Shortest axes (M, 3) in the world, of either sign."""
    shortest = scales.argmin(dim=1)
    return quats_to_matrices(quats)[torch.arange(len(quats), device=quats.device), :, shortest]


def facing(normals: Tensor, means: Tensor, centers: Tensor) -> Tensor:
    """Normals (M, 3) turned to the camera centre (M, 3) that looks at the means (M, 3)."""
    away = (normals * (means - centers)).sum(1, keepdim=True)
    return torch.where(away < 0, normals, -normals)


def visible_ellipsoids(cloud: GaussianCloud, viewmats, Ks, size, near: float, far: float) -> tuple:
    """Seen pairs: camera (M,) and Gaussian (M,) indices with their pixel radii (M, 2).

    Gaussians too faint to show are dropped, and faint ones get a smaller box (Radl et al. 2024, B.2).
    """
    pairs = _pairs_in_depth(cloud, viewmats, near, far)
    cams, gs = pairs
    centers, flat = project_ellipsoids(cloud, cams, gs, viewmats, Ks, size)[:2]
    reach = (2 * (cloud.opacities[gs] / ALPHA_MIN).log()).clamp_min(0).sqrt().clamp_max(EXTENT)
    radii = torch.ceil(reach[:, None] * flat[:, [0, 2]].sqrt())
    faint = cloud.opacities[gs] < ALPHA_MIN
    singular = flat[:, 0] * flat[:, 2] - flat[:, 1] ** 2 <= 0
    radii[faint | singular] = 0
    return _on_screen(pairs, centers, radii, size)


def project_ellipsoids(cloud: GaussianCloud, cams: Tensor, gs: Tensor, viewmats, Ks, size) -> tuple:
    """Centres (M, 2), blurred covariances (M, 3) and depths (M,) of pairs of camera and Gaussian."""
    rotation = viewmats[cams, :3, :3]
    means, quats, scales = rows(gs, cloud.means, cloud.quats, cloud.scales)
    position = camera_means(means, viewmats[cams])
    cov = rotation @ ellipsoid_covariances(quats, scales) @ rotation.mT
    centers, flat = ellipsoid_screen(position, cov, Ks[cams], size)
    return centers, flat, position[:, 2]


def _pairs_in_depth(cloud: GaussianCloud, viewmats: Tensor, near: float, far: float) -> tuple:
    depths = cloud.means @ viewmats[:, 2, :3].T + viewmats[:, 2, 3]
    return tuple(((depths > near) & (depths < far)).T.nonzero().T)


def _on_screen(pairs: tuple, centers: Tensor, radii: Tensor, size: tuple[int, int]) -> tuple:
    limits = centers.new_tensor(size)
    inside = (centers + radii > 0) & (centers - radii < limits) & (radii > 0)
    keep = inside.all(dim=1)
    return pairs[0][keep], pairs[1][keep], radii[keep].to(torch.int32)


def ellipsoid_splats(cloud: GaussianCloud, viewmats, Ks, size, near, far, points: Tensor) -> Splats:
    """Project ellipsoids, with gradients to those that are seen; points (C, N, 2) are zeros through
    which the gradient of the pixel positions is collected."""
    with torch.no_grad():
        cams, gs, radii = visible_ellipsoids(cloud, viewmats, Ks, size, near, far)
    centers, flat, depths = project_ellipsoids(cloud, cams, gs, viewmats, Ks, size)
    centers = centers + points[cams, gs]
    anchors = centers.detach()
    quats, scales, means = rows(gs, cloud.quats, cloud.scales, cloud.means.detach())
    eyes = camera_centers(viewmats)[cams]
    normals = facing(ellipsoid_normals(quats, scales), means, eyes)
    rays = ellipsoid_rays(flat, centers - anchors)
    return Splats(cams, gs, radii, rays, anchors, centers, depths, normals)
