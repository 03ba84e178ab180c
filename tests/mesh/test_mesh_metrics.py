"""Surface metrics on spheres and planes, where the right number is known."""

import numpy as np
import pytest
import trimesh

from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.metrics import (
    chamfer,
    compare,
    f_score,
    normal_consistency,
    penetration,
    sample_surface,
)


def ball(radius: float) -> Mesh:
    sphere = trimesh.creation.icosphere(5)
    return Mesh(sphere.vertices * radius, sphere.faces)


def sheet(z: float, size: float = 1.0) -> Mesh:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size
    return Mesh(np.column_stack([corners, np.full(4, z)]), [[0, 1, 2], [0, 2, 3]])


def test_concentric_spheres():
    assert chamfer(ball(0.5), ball(0.51), samples=5000) == pytest.approx(0.01, abs=1e-4)
    assert f_score(ball(0.5), ball(0.51), tau=0.0105, samples=5000) == 1.0
    assert f_score(ball(0.5), ball(0.51), tau=0.0095, samples=5000) == 0.0
    assert normal_consistency(ball(0.5), ball(0.51), samples=5000) > 0.999


def test_f_score_weighs_precision_against_recall():
    result = compare(sheet(0.0, 1.0), sheet(0.0, 0.5), samples=20_000)
    assert (result.forward <= 1e-6).mean() == pytest.approx(0.25, abs=0.02)
    assert result.f_score(1e-6) == pytest.approx(2 * 0.25 / 1.25, abs=0.02)
    assert result.backward.max() < 1e-12


def test_normals_of_a_folded_sheet():
    turned = sheet(0.0).transformed(trimesh.transformations.rotation_matrix(np.pi / 3, [1, 0, 0]))
    assert normal_consistency(sheet(0.0), turned, samples=2000) == pytest.approx(0.5, abs=1e-6)


def test_seeded():
    first = [compare(ball(0.5), sheet(0.2), samples=1000, seed=s).chamfer for s in (1, 1, 2)]
    assert first[0] == first[1] != first[2]


def test_samples_are_uniform_by_area():
    mesh = Mesh.concatenate([sheet(0.0, 1.0), sheet(1.0, 2.0)])
    points, face_ids = sample_surface(mesh, 50_000, np.random.default_rng(0))
    assert (points[:, 2] > 0.5).mean() == pytest.approx(0.8, abs=0.01)
    large = points[face_ids >= 2]
    np.testing.assert_allclose(large.mean(0), [1, 1, 1], atol=0.02)
    np.testing.assert_allclose(large[:, :2].var(0), 4 / 12, atol=0.01)


def test_penetration_share_and_depth():
    along = np.linspace(0.3, 0.7, 4001)
    points = np.column_stack([along, 0 * along, 0 * along])
    result = penetration(points, ball(0.5))
    assert result.share == pytest.approx(0.5, abs=0.002)
    assert result.mean_depth == pytest.approx(0.1, abs=2e-3)
    assert result.max_depth == pytest.approx(0.2, abs=2e-3)
    assert penetration(points, ball(0.5), tolerance=0.1).share == pytest.approx(0.25, abs=0.005)
    clear = penetration(points[-10:], ball(0.5))
    assert (clear.share, clear.mean_depth, clear.max_depth) == (0.0, 0.0, 0.0)
    assert penetration(np.empty((0, 3)), ball(0.5)).share == 0.0
