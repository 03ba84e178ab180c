"""Cloth as level sets: signed distances on one grid around the figure, draped, and turned into surfaces."""

from dataclasses import dataclass

import numba
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

FAR = 0.07  # metres beyond which distances are not computed


@dataclass
class Grid:
    """Sample points origin + spacing * (i, j, k), shape (nx, ny, nz)."""

    origin: np.ndarray
    spacing: float
    shape: tuple[int, int, int]

    @staticmethod
    def around(points: np.ndarray, spacing: float, margin: float = FAR) -> "Grid":
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        return Grid(low, spacing, tuple(np.ceil((high - low) / spacing).astype(int) + 1))

    def points(self, mask: np.ndarray) -> np.ndarray:
        """(M, 3) positions where `mask`, of the grid's shape, is true."""
        return np.argwhere(mask) * self.spacing + self.origin

    def at(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(N,) trilinear values of `field` at (N, 3) points."""
        where = ((points - self.origin) / self.spacing).T
        return map_coordinates(field, where, order=1, mode="nearest")

    def blurred(self, field: np.ndarray, sigma: float) -> np.ndarray:
        return gaussian_filter(field, sigma / self.spacing)

    def surface(self, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and outward faces of the zero level set, inside negative."""
        vertices, faces, _, _ = marching_cubes(field, 0.0, gradient_direction="descent")
        return vertices * self.spacing + self.origin, faces.astype(np.int64)


@dataclass
class Field:
    """Signed distance (negative inside) to part of the figure, and its nearest sample's attributes."""

    distance: np.ndarray  # (nx, ny, nz) float32, FAR where not near
    near: np.ndarray  # (nx, ny, nz) bool, where attributes are known
    nearest: np.ndarray  # (M,) sample id of each near point, in the order of Grid.points(near)

    def spread(self, values: np.ndarray, elsewhere: float = 0.0) -> np.ndarray:
        """Per-sample (S,) values as a field."""
        field = np.full(self.distance.shape, elsewhere, np.float32)
        field[self.near] = values[self.nearest]
        return field


def distance_field(
    grid: Grid, samples: np.ndarray, normals: np.ndarray, where: np.ndarray | None = None
) -> Field:
    """Distance to a dense (S, 3) sampling with unit normals: point to plane close by, point to point farther off.

    where: (S,) bool, samples around which distances are wanted; all by default.
    """
    tree = cKDTree(samples)
    near = _near(grid, samples if where is None else samples[where])
    points = grid.points(near)
    length, nearest = tree.query(points, eps=0.05, distance_upper_bound=FAR)
    found = nearest < len(samples)
    near[near] = found
    points, length, nearest = points[found], length[found], nearest[found]
    height = np.einsum("nk,nk->n", points - samples[nearest], normals[nearest])
    blend = np.clip(length / 0.015, 0.0, 1.0)
    signed = (1.0 - blend) * height + blend * np.sign(height) * length
    distance = np.full(grid.shape, FAR, np.float32)
    distance[near] = signed
    _fill_inside(distance, near)
    return Field(distance, near, nearest)


def _near(grid: Grid, samples: np.ndarray) -> np.ndarray:
    """Grid points within about FAR of a sample, by marking coarse blocks."""
    block = max(2, round(0.05 / grid.spacing))
    size = block * grid.spacing
    shape = [n // block + 1 for n in grid.shape]
    marked = np.zeros(shape, bool)
    cells = np.floor((samples - grid.origin) / size).astype(int)
    marked[tuple(cells[((cells >= 0) & (cells < shape)).all(axis=1)].T)] = True
    reach = int(np.ceil(FAR / size))
    wide = (
        gaussian_filter(marked.astype(np.float32), reach / 2, truncate=2.0, mode="constant") > 1e-4
    )
    for axis in range(3):
        wide = np.repeat(wide, block, axis=axis)
    return wide[tuple(slice(n) for n in grid.shape)].copy()


@numba.njit(cache=True)
def _fill_inside(distance, near):
    """Points too deep inside to have been measured: those between two inner points of their column."""
    nx, ny, nz = distance.shape
    for i in range(nx):
        for k in range(nz):
            last = -1  # the latest measured point below
            for j in range(ny):
                if not near[i, j, k]:
                    continue
                if last >= 0 and distance[i, last, k] < 0 and distance[i, j, k] < 0:
                    for between in range(last + 1, j):
                        distance[i, between, k] = -FAR
                last = j


@numba.njit(cache=True)
def drape(field, drop):
    """What hangs: going down each column, the inside narrows by no more than `drop` a step.

    field: (nx, ny, nz), y up. drop: (nx, ny, nz) metres of distance gained a step down.
    """
    nx, ny, nz = field.shape
    out = field.copy()
    for i in range(nx):
        for j in range(ny - 2, -1, -1):
            for k in range(nz):
                hung = out[i, j + 1, k] + drop[i, j, k]
                if hung < out[i, j, k]:
                    out[i, j, k] = hung
    return out


def smooth_min(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """Union of two fields with a fillet of about `radius`."""
    h = np.maximum(radius - np.abs(a - b), 0.0) / radius
    return np.minimum(a, b) - h * h * radius / 4.0
