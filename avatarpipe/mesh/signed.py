"""Signed distance to a mesh: libigl's distances, signed by the fast winding number, which forgives holes and overlaps."""

import igl
import numpy as np

from avatarpipe.mesh.closest import closest_points


def signed_distance(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N,) metres from (N, 3) `points` to the surface, negative inside (winding number of at least one half)."""
    distances = closest_points(points, vertices, faces)[3]
    return np.where(inside(points, vertices, faces), -distances, distances)


def inside(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N,) bool, by generalised winding number (Barill et al. 2018, Fast Winding Numbers for Soups and Clouds)."""
    winding = igl.fast_winding_number(
        np.ascontiguousarray(vertices, np.float64),
        np.ascontiguousarray(faces, np.int64),
        np.ascontiguousarray(points, np.float64),
    )
    return winding >= 0.5
