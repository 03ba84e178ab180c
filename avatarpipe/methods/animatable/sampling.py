"""Points spread evenly over a mesh, a given number of them, the same for the same seed."""

import numba
import numpy as np
from scipy.spatial import cKDTree

from avatarpipe.errors import InputError

_NEIGHBOURS = (
    40  # candidates looked at around each; about a dozen lie within the radius that is found
)
_HALVINGS = 30


def even_points(
    vertices: np.ndarray, faces: np.ndarray, count: int, candidates: int, rng: np.random.Generator
) -> np.ndarray:
    """(count, 3) float32 points on a mesh, no two much closer than the mean spacing.

    vertices: (V, 3) metres. faces: (F, 3). From `count` * `candidates` uniform points those are kept, in random order,
    that keep their distance to all kept before; the largest distance that leaves `count` is searched for. InputError
    where the mesh has no area.
    """
    points = _uniform_points(vertices, faces, count * max(candidates, 1), rng)
    if len(points) == count:
        return points.astype(np.float32)
    distances, neighbours = cKDTree(points).query(points, min(_NEIGHBOURS, len(points)))
    low, high = 0.0, float(np.ptp(points, axis=0).max())
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = _keep(distances, neighbours, middle).sum() >= count
        low, high = (middle, high) if enough else (low, middle)
    return points[np.flatnonzero(_keep(distances, neighbours, low))[:count]].astype(np.float32)


def _uniform_points(
    vertices: np.ndarray, faces: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """(count, 3) independent points of uniform density, in random order."""
    a, b, c = (np.asarray(vertices, np.float64)[faces[:, k]] for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    if not areas.sum() > 0:
        raise InputError(
            f"a template of {len(faces)} triangles has no area. Check the template mesh."
        )
    face = rng.choice(len(faces), count, p=areas / areas.sum())
    u, v = rng.random((2, count, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return a[face] + u * (b - a)[face] + v * (c - a)[face]


@numba.njit(cache=True)
def _keep(distances: np.ndarray, neighbours: np.ndarray, radius: float) -> np.ndarray:
    """(P,) bool: in order, each point that has no kept one within `radius`. Rows of distances ascend."""
    kept = np.zeros(len(distances), np.bool_)
    for i in range(len(distances)):
        free = True
        for k in range(distances.shape[1]):
            if distances[i, k] >= radius:
                break
            if kept[neighbours[i, k]]:
                free = False
                break
        kept[i] = free
    return kept
