"""Depth fusion against a naive per-voxel reference and against surfaces known in closed form."""

import numpy as np
import pytest
import trimesh

from avatarpipe.cameras import Cameras, orbit
from avatarpipe.errors import InputError
from avatarpipe.mesh.cleanup import watertight_report
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import MeshRendering, render_mesh
from avatarpipe.mesh.tsdf import _distances, fuse_depth

RIG = orbit([40, 0, -40], range(0, 360, 30), 2.0, 50, 96, 96)


def sphere(radius: float = 0.4) -> Mesh:
    ball = trimesh.creation.icosphere(5)
    return Mesh(ball.vertices * radius, ball.faces, vertex_colors=ball.vertices * 0.5 + 0.5)


def fused(image: MeshRendering, cameras: Cameras = RIG, voxel: float = 0.02, **options) -> Mesh:
    return fuse_depth(image.depth, image.rgb, image.alpha, cameras, voxel, 4 * voxel, **options)


@pytest.fixture(scope="module")
def ball() -> MeshRendering:
    return render_mesh(sphere(), RIG)


def naive_distance(point, depths, alphas, cameras, truncation) -> float:
    """One voxel, one camera after another, in plain words."""
    measured, empty, views = [], [], 0  # pairs of weight and value
    for depth, alpha, w2c, K in zip(depths, alphas, cameras.w2c, cameras.K, strict=True):
        local = w2c[:3, :3] @ point + w2c[:3, 3]
        u, v = (K @ local)[:2] / local[2]
        if local[2] <= 0 or not (0 <= u < cameras.width and 0 <= v < cameras.height):
            continue
        views += 1
        row, column, left, top = int(v), int(u), int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
        surface, confidence = float(depth[row, column]), float(alpha[row, column])
        if 0 <= left < cameras.width - 1 and 0 <= top < cameras.height - 1:
            block = depth[top : top + 2, left : left + 2].astype(float)
            if block.min() > 0 and block.max() - block.min() < truncation:
                fx, fy = u - 0.5 - left, v - 0.5 - top
                surface = np.array([1 - fy, fy]) @ block @ np.array([1 - fx, fx])
        offset = (surface - local[2]) / truncation
        if surface == 0:
            empty.append((0.1 * (1 - confidence), 1.0))
        elif offset >= 1:
            empty.append((0.1 * confidence, 1.0))
        elif offset > -1:
            measured.append((confidence * (1 + min(offset, 0)), offset))
    votes = measured + (empty if len(empty) >= 0.05 * views else [])
    if views == 0:
        return 1.0
    return np.average([v for _, v in votes], weights=[w for w, _ in votes]) if votes else -1.0


def test_blocks_agree_with_the_naive_reference():
    cameras = RIG[[0, 7, 14, 20, 33]]
    image = render_mesh(sphere(), cameras)
    rng = np.random.default_rng(0)
    alphas = np.where(image.alpha > 0, rng.uniform(0.6, 1, image.alpha.shape), 0).astype(np.float32)
    origin, shape, voxel, truncation = np.array([-0.5, -0.45, -0.55]), (11, 12, 13), 0.085, 0.2
    values = _distances(image.depth, alphas, cameras, origin, shape, voxel, truncation, True)
    expected = np.empty(shape)
    for index in np.ndindex(*shape):
        point = origin + voxel * np.array(index)
        expected[index] = naive_distance(point, image.depth, alphas, cameras, truncation)
    assert (expected < 0).sum() > 100 and (expected > 0).sum() > 100
    np.testing.assert_allclose(values, expected, atol=1e-4)


def test_sphere_comes_back_closed_round_and_coloured(ball):
    mesh = fused(ball)
    report = watertight_report(mesh)
    assert report["is_watertight"] and report["components"] == 1 and report["euler"] == 2
    radii = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(radii - 0.4).max() < 0.006 and abs(radii.mean() - 0.4) < 0.003
    assert (
        abs(report["volume"] / (4 / 3 * np.pi * 0.4**3) - 1) < 0.02
    )  # positive: faces point outward
    expected = mesh.vertices / radii[:, None] * 0.5 + 0.5
    assert np.abs(mesh.vertex_colors - expected).mean() < 0.01


def test_finer_voxels_come_closer(ball):
    error = [
        np.abs(np.linalg.norm(fused(ball, voxel=v).vertices, axis=1) - 0.4).mean()
        for v in (0.04, 0.015)
    ]
    assert error[1] < 0.6 * error[0]


def test_background_carves_what_depth_alone_would_leave(ball):
    """Depth garbage where alpha is low must neither add surface nor stop the carving."""
    noisy = MeshRendering(**vars(ball))
    noisy.depth = np.where(ball.alpha > 0, ball.depth, 1.2).astype(np.float32)
    noisy.alpha = np.where(ball.alpha > 0, ball.alpha, 0.3).astype(np.float32)
    mesh = fused(noisy)
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.4).max() < 0.006
    assert watertight_report(mesh)["is_watertight"]


def test_one_bad_view_does_not_delete_the_surface(ball):
    broken = MeshRendering(**vars(ball))
    broken.alpha, broken.depth = ball.alpha.copy(), ball.depth.copy()
    broken.alpha[5], broken.depth[5] = 0, 0
    radii = np.linalg.norm(fused(broken).vertices, axis=1)
    assert np.abs(radii - 0.4).mean() < 0.004 and radii.min() > 0.35


def test_unseen_side_stays_open_on_request():
    front = orbit([0], [-15, 0, 15], 2.0, 50, 96, 96)
    mesh = fused(render_mesh(sphere(), front), front, close=False)
    assert not watertight_report(mesh)["is_watertight"]
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.4).max() < 0.03
    assert mesh.vertices[:, 2].min() > -0.1


def test_bounds_cut_and_cap(ball):
    mesh = fused(ball, bounds=[[-0.5, -0.5, -0.5], [0.5, 0.0, 0.5]])
    assert watertight_report(mesh)["is_watertight"]
    assert mesh.vertices[:, 1].max() < 0.021 and mesh.vertices[:, 1].min() < -0.39


def test_images_with_a_channel_axis_are_the_same(ball):
    mesh = fuse_depth(ball.depth[..., None], ball.rgb, ball.alpha[..., None], RIG, 0.03, 0.12)
    np.testing.assert_array_equal(mesh.vertices, fused(ball, voxel=0.03).vertices)


def test_nothing_to_fuse_is_an_input_error(ball):
    empty = np.zeros_like(ball.alpha)
    with pytest.raises(InputError, match="alpha"):
        fuse_depth(ball.depth, ball.rgb, empty, RIG, 0.02, 0.08)
    with pytest.raises(InputError, match="no surface"):
        fused(ball, bounds=[[0.6, 0.6, 0.6], [0.8, 0.8, 0.8]])
