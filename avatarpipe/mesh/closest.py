"""Closest points on a triangle mesh, by libigl's bounding-volume tree."""

import igl
import numpy as np


def closest_points(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray):
    """For each of (N, 3) `points`: the closest point on the mesh.

    Returns points (N, 3), face_ids (N,) int64, barycentric (N, 3) in [0, 1] summing to 1 even on faces without area,
    distances (N,) in metres.
    """
    points = np.ascontiguousarray(points, np.float64)
    vertices = np.ascontiguousarray(vertices, np.float64)
    faces = np.ascontiguousarray(faces, np.int64)
    squared, face_ids, found = igl.point_mesh_squared_distance(points, vertices, faces)
    weights = barycentric(found, vertices[faces[face_ids]])
    return found, face_ids, weights, np.sqrt(np.maximum(squared, 0.0))


def barycentric(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 3) weights of (N, 3) `points` that lie on (N, 3, 3) `triangles`, clipped to the triangle and summing to 1.

    A sliver with no area to speak of is treated as its longest edge, a single point as its first corner.
    """
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normal = np.cross(b - a, c - a)
    area = np.einsum("ni,ni->n", normal, normal)
    longest = np.max(np.sum((triangles - np.roll(triangles, 1, axis=1)) ** 2, axis=2), axis=1)
    flat = area <= 1e-20 * longest**2
    area = np.where(flat, 1.0, area)
    weights = np.empty((len(points), 3))
    weights[:, 1] = np.einsum("ni,ni->n", np.cross(points - a, c - a), normal) / area
    weights[:, 2] = np.einsum("ni,ni->n", np.cross(b - a, points - a), normal) / area
    weights[:, 0] = 1.0 - weights[:, 1] - weights[:, 2]
    if flat.any():
        weights[flat] = _along_longest_edge(points[flat], triangles[flat])
    weights = np.clip(weights, 0.0, 1.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _along_longest_edge(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Barycentric weights on the longest edge of each triangle, at the foot of the perpendicular from each point."""
    edges = np.roll(triangles, -1, axis=1) - triangles
    lengths = np.sum(edges**2, axis=2)
    start, rows = lengths.argmax(axis=1), np.arange(len(points))
    offset = np.einsum("ni,ni->n", points - triangles[rows, start], edges[rows, start])
    along = np.clip(offset / np.maximum(lengths[rows, start], 1e-300), 0.0, 1.0)
    weights = np.zeros((len(points), 3))
    weights[rows, start] = 1.0 - along
    weights[rows, (start + 1) % 3] += along
    return weights
