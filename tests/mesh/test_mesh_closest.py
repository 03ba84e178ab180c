"""Closest points against brute force over all triangles, degenerate ones too, and signs against closed forms."""

import numpy as np
import trimesh

from avatarpipe.mesh.closest import barycentric, closest_points
from avatarpipe.mesh.signed import signed_distance


def closest_on_segment(p, a, b):
    length = (b - a) @ (b - a)
    t = 0.0 if length == 0 else np.clip((p - a) @ (b - a) / length, 0, 1)
    return a + t * (b - a)


def closest_on_triangle(p, a, b, c):
    """Brute force: the foot on the plane if it lies inside, else the best of the three edges."""
    candidates = [closest_on_segment(p, *edge) for edge in ((a, b), (b, c), (c, a))]
    normal = np.cross(b - a, c - a)
    if normal @ normal > 0:
        foot = p - normal * ((p - a) @ normal) / (normal @ normal)
        sides = [np.cross(v - u, foot - u) @ normal for u, v in ((a, b), (b, c), (c, a))]
        if min(sides) >= 0:
            candidates.append(foot)
    return min(candidates, key=lambda q: np.linalg.norm(p - q))


def test_against_brute_force_with_degenerate_faces():
    rng = np.random.default_rng(0)
    vertices = rng.normal(size=(20, 3))
    vertices[19] = 0.5 * (vertices[17] + vertices[18])
    faces = np.vstack([rng.integers(0, 20, (30, 3)), [[17, 18, 19], [3, 3, 3], [4, 5, 5]]])
    points = rng.normal(size=(200, 3)) * 1.5
    found, face_ids, weights, distances = closest_points(points, vertices, faces)
    for i, p in enumerate(points):
        best = min(np.linalg.norm(p - closest_on_triangle(p, *vertices[f])) for f in faces)
        assert abs(distances[i] - best) < 1e-9
    np.testing.assert_allclose(np.linalg.norm(points - found, axis=1), distances, atol=1e-9)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
    rebuilt = np.einsum("nc,ncd->nd", weights, vertices[faces[face_ids]])
    np.testing.assert_allclose(rebuilt, found, atol=1e-7)


def test_barycentric_of_slivers_and_points():
    triangles = np.array(
        [
            [[0, 0, 0], [1, 0, 0], [0.25, 0, 0]],
            [[0, 0, 0], [1, 0, 0], [0.5, 1e-13, 0]],
            [[2, 2, 2], [2, 2, 2], [2, 2, 2]],
            [[0, 0, 0], [1e-4, 0, 0], [0, 1e-4, 0]],
        ],
        float,
    )
    points = np.array([[0.75, 0, 0], [0.3, 0, 0], [2, 2, 2], [2e-5, 3e-5, 0]])
    weights = barycentric(points, triangles)
    np.testing.assert_allclose(np.einsum("nc,ncd->nd", weights, triangles), points, atol=1e-12)
    np.testing.assert_allclose(weights[3], [0.5, 0.2, 0.3], atol=1e-12)


def test_signed_distance_to_a_cube():
    cube = trimesh.creation.box((2, 2, 2))
    points = np.random.default_rng(1).uniform(-2, 2, (500, 3))
    outside = np.maximum(np.abs(points) - 1, 0)
    expected = np.where(
        (np.abs(points) < 1).all(1), np.abs(points).max(1) - 1, np.linalg.norm(outside, axis=1)
    )
    signed = signed_distance(points, cube.vertices, cube.faces)
    np.testing.assert_allclose(signed, expected, atol=1e-9)


def test_sign_survives_a_hole():
    sphere = trimesh.creation.icosphere(3)
    open_faces = sphere.faces[sphere.triangles_center[:, 1] < 0.9]  # the top cap is missing
    points = np.array([[0, 0, 0], [0, -0.9, 0], [0.5, 0.3, 0], [0, -1.1, 0], [1.2, 0, 0]])
    signed = signed_distance(points, sphere.vertices, open_faces)
    np.testing.assert_array_equal(signed < 0, [True, True, True, False, False])
