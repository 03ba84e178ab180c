"""The pieces under a synthetic person, each against the plain answer."""

import numpy as np
import pytest
import trimesh

from avatarpipe.synthetic.atlas import unwrap
from avatarpipe.synthetic.cloth import cleared
from avatarpipe.synthetic.fields import Grid, distance_field, drape
from avatarpipe.synthetic.noise import noise, ridges, smoothstep
from avatarpipe.synthetic.sheets import boundary_edges, clip, thicken


@pytest.fixture(scope="module")
def ball():
    sphere = trimesh.creation.icosphere(4, radius=0.1)
    return np.array(sphere.vertices), np.array(sphere.faces, np.int64)


def test_noise_is_smooth_bounded_and_seeded():
    points = np.random.default_rng(0).uniform(-5, 5, (4000, 3))
    values = noise(points, 3, 2)
    assert np.abs(values).max() <= 1.0 and values.std() > 0.15
    assert np.abs(noise(points + 1e-4, 3, 2) - values).max() < 2e-3
    assert np.abs(noise(points, 4, 2) - values).mean() > 0.1
    assert (ridges(points, 3) <= 1.0).all()
    np.testing.assert_allclose(smoothstep([0.0, 0.5, 1.0], 1.0, 0.0), [1.0, 0.5, 0.0])


def test_the_field_of_a_ball_is_its_distance(ball):
    vertices, _ = ball
    grid = Grid.around(vertices, 0.01)
    field = distance_field(grid, vertices, vertices / 0.1)
    points = grid.points(field.near)
    truth = np.linalg.norm(points, axis=1) - 0.1
    outside = truth > -0.05
    assert np.abs(field.distance[field.near] - truth)[outside].max() < 0.003
    surface, faces = grid.surface(field.distance)
    assert np.abs(np.linalg.norm(surface, axis=1) - 0.1).max() < 0.003
    normals = np.cross(
        surface[faces[:, 1]] - surface[faces[:, 0]], surface[faces[:, 2]] - surface[faces[:, 0]]
    )
    assert (np.einsum("nk,nk->n", normals, surface[faces].mean(axis=1)) > -1e-12).all()


def test_drape_hangs_straight_below_and_leaves_what_is_above():
    field = np.ones((3, 6, 3), np.float32)
    field[1, 4, 1] = -1.0
    hung = drape(field, np.full(field.shape, 0.25, np.float32))
    np.testing.assert_allclose(hung[1, :, 1], [0.0, -0.25, -0.5, -0.75, -1.0, 1.0])
    np.testing.assert_array_equal(hung[0], field[0])


def test_clip_cuts_on_the_line_and_thickening_closes(ball):
    vertices, faces = ball
    faces, columns = clip(faces, vertices, vertices[:, 1] - 0.0123)
    assert columns[:, 1].min() == pytest.approx(0.0123, abs=1e-9)
    area = trimesh.Trimesh(columns, faces, process=False).area
    assert area == pytest.approx(2 * np.pi * 0.1 * (0.1 - 0.0123), rel=0.01)
    solid = trimesh.Trimesh(*thicken(columns, faces, 0.004), process=False)
    assert not len(boundary_edges(np.array(solid.faces)))
    assert solid.volume == pytest.approx(area * 0.004, rel=0.08)


def test_cleared_pushes_only_what_is_too_low(ball):
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions * rng.uniform(0.09, 0.12, (400, 1))
    radius = np.linalg.norm(cleared(points, ball, 0.004), axis=1)
    assert radius.min() > 0.1034
    high = np.linalg.norm(points, axis=1) > 0.1045
    np.testing.assert_allclose(radius[high], np.linalg.norm(points, axis=1)[high])


def test_an_atlas_covers_every_face_once(ball):
    vertices, faces = ball
    detail = np.where(vertices[faces].mean(axis=1)[:, 1] > 0, 2.0, 1.0)
    atlas = unwrap(vertices, faces, detail, 512)
    assert atlas.uvs.min() >= 0.0 and atlas.uvs.max() <= 1.0
    face_ids, weights = atlas.texels(512)
    filled = face_ids >= 0
    assert len(np.unique(face_ids[filled])) > 0.97 * len(faces) and filled.mean() > 0.3
    texels = np.bincount(face_ids[filled], minlength=len(faces))
    area = _uv_areas(atlas.uvs) * 512**2
    assert abs(texels.sum() - area.sum()) < 0.02 * area.sum()  # an overlap would lose texels
    np.testing.assert_allclose(weights[filled].sum(axis=1), 1.0, atol=1e-5)
    assert texels[detail == 2].mean() > 1.8 * texels[detail == 1].mean()


def _uv_areas(uvs: np.ndarray) -> np.ndarray:
    a, b = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    return 0.5 * np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
