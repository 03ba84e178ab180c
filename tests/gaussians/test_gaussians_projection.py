"""Projection against gsplat's pure-torch references, and rotations and harmonics against others."""

import math

import pytest
import torch
from gaussians_scenes import camera_tensors, make_cloud, random_fields

from avatarpipe.gaussians.cpu import surfel_splats
from avatarpipe.gaussians.harmonics import sh_basis
from avatarpipe.gaussians.projection import BLUR, ellipsoid_splats
from avatarpipe.gaussians.rotations import quats_to_matrices

reference_3d = pytest.importorskip("gsplat.cuda._torch_impl")
reference_2d = pytest.importorskip("gsplat.cuda._torch_impl_2dgs")


def scene(kind, seed=0):
    fields = random_fields(count=300, seed=seed, high=0.3)
    fields["means"] = fields["means"] * 3
    fields["opacities"][:] = 1.0  # gsplat's references do not shrink the boxes of faint Gaussians
    cloud, _ = make_cloud(fields, kind, torch.float32)
    viewmats, Ks, *size = camera_tensors()
    return cloud.detach(), viewmats, Ks, size


def pick(tensor, splats):
    return tensor[splats.cameras, splats.gaussians]


def test_surfels_project_like_gsplat():
    cloud, viewmats, Ks, size = scene("surfel")
    arguments = cloud.means, cloud.quats, cloud.scales, viewmats, Ks, *size, 0.3, 5.0
    radii, centers, depths, maps, _ = reference_2d._fully_fused_projection_2dgs(*arguments)
    splats = surfel_splats(cloud, viewmats, Ks, size, 0.3, 5.0, torch.zeros(3, 300, 2))
    seen = torch.zeros_like(radii[..., 0], dtype=torch.bool)
    seen[splats.cameras, splats.gaussians] = True
    assert torch.equal(seen, (radii > 0).all(-1)) and 100 < seen.sum() < seen.numel() * 0.9
    assert (
        (pick(radii, splats) - splats.radii).abs() > 0
    ).float().mean() < 0.01  # rounding of ceil
    torch.testing.assert_close(splats.centers, pick(centers, splats), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(splats.depths, pick(depths, splats))
    assert_rays_invert(splats, pick(maps, splats))


def assert_rays_invert(splats, maps):
    """A point s of the disc lands on a pixel, and the ray of that pixel meets the disc in s."""
    s = torch.tensor([0.4, -0.7, 1.0]).double()
    pixel = maps.double() @ s
    offset = pixel[:, :2] / pixel[:, 2:] - splats.anchors
    A, B, C = splats.rays.double().unbind(1)
    met = A + offset[:, :1] * B + offset[:, 1:] * C
    met, good = met[:, :2] / met[:, 2:], pixel[:, 2] > 0.1
    torch.testing.assert_close(met[good], s[:2].expand_as(met[good]), rtol=1e-2, atol=1e-2)
    assert (met[good] - s[:2]).abs().median() < 1e-5


def test_ellipsoids_project_like_gsplat():
    cloud, viewmats, Ks, size = scene("ellipsoid")
    covariances, _ = reference_3d._quat_scale_to_covar_preci(cloud.quats, cloud.scales, True, False)
    arguments = cloud.means, covariances, viewmats, Ks, *size, BLUR, 0.3, 5.0
    radii, centers, depths, conics, _ = reference_3d._fully_fused_projection(*arguments)
    splats = ellipsoid_splats(cloud, viewmats, Ks, size, 0.3, 5.0, torch.zeros(3, 300, 2))
    wide = torch.zeros_like(radii[..., 0], dtype=torch.bool)
    wide[splats.cameras, splats.gaussians] = True
    assert (wide != (radii > 0).all(-1)).float().mean() < 0.005
    assert ((pick(radii, splats) - splats.radii).abs() > 0).float().mean() < 0.02
    torch.testing.assert_close(splats.centers, pick(centers, splats), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(splats.depths, pick(depths, splats))
    B, C = splats.rays[:, 1, :2], splats.rays[:, 2, :2]
    found = torch.stack([(B * B).sum(1), (B * C).sum(1), (C * C).sum(1)], dim=1)
    torch.testing.assert_close(found, pick(conics, splats), rtol=2e-3, atol=1e-5)


def test_rotations_equal_gsplat():
    quats = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(quats_to_matrices(quats), reference_3d._quat_to_rotmat(quats))


@pytest.mark.parametrize("count", [1, 4, 9, 16])
def test_harmonics_equal_gsplat_and_are_orthonormal(count):
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(200_000, 3, generator=generator), dim=1)
    basis = sh_basis(directions, count)
    torch.testing.assert_close(
        basis, reference_3d._eval_sh_bases_fast(count, directions), atol=1e-5, rtol=0
    )
    gram = 4 * math.pi * basis.T @ basis / len(directions)
    assert (gram - torch.eye(count)).abs().max() < 0.03
