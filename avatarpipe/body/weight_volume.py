"""Skinning weights everywhere around a body: a grid of them, made once a subject, looked up by points that float free.

At the surface they are its own, elsewhere their harmonic extension: at least 0, summing to 1, without the jumps that the
closest point makes between arm and flank or finger and finger.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import torch

from avatarpipe.body.harmonic import extend
from avatarpipe.body.weight_band import nodes_near_surface
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file

SAMPLING = "nodes, corner-aligned: node i of n lies at bbox_min + (bbox_max - bbox_min) i / (n - 1); trilinear, clamped"
PADDING = 1.1  # the cube's side over the body's largest extent
_KEYS = ("grid", "bbox_min", "bbox_max")


@dataclass(frozen=True)
class WeightVolume:
    """Weights of J joints at the nodes of a grid over a box, looked up between them (SAMPLING says where nodes lie).

    grid: (X, Y, Z, J) float32 on any device. low, high: (3,) float64 corners of the box in metres: its outermost nodes.
    """

    grid: torch.Tensor
    low: np.ndarray
    high: np.ndarray

    def sample(self, points: torch.Tensor) -> torch.Tensor:
        """(N, J) weights at (N, 3) points, on their device; outside of the box those of its nearest face. No gradients."""
        points = points.detach()
        if self.grid.device.type == "cpu":
            sampled = _sample(self.grid.numpy(), self.low, self.high, points.cpu().double().numpy())
            return torch.from_numpy(sampled).to(points.device)
        return _sample_torch(self.grid, self.low, self.high, points.to(self.grid.device)).to(
            points.device
        )

    def to(self, device) -> "WeightVolume":
        """The same volume on another device."""
        return WeightVolume(self.grid.to(device), self.low, self.high)

    def save(self, path: str | Path) -> None:
        """Write the npz, uncompressed: grid, bbox_min, bbox_max, grid_dims, grid_resolution and, in words, sampling."""
        size = np.array(self.grid.shape[:3])
        with atomic_file(path) as temporary:
            np.savez(
                temporary,
                grid=self.grid.cpu().numpy(),
                bbox_min=self.low,
                bbox_max=self.high,
                grid_dims=size,
                grid_resolution=((self.high - self.low) / (size - 1)).max(),
                sampling=np.array(SAMPLING),
            )

    @staticmethod
    def load(path: str | Path) -> "WeightVolume":
        """Read an npz with grid, bbox_min and bbox_max, ours or another's that is sampled so. InputError where it is broken."""
        hint = "A volume of skinning weights (npz) was expected here: `avatarpipe weight-volume` writes it."
        path = require_file(path, hint)
        try:
            with np.load(path, allow_pickle=False) as archive:
                grid, low, high = (archive[name] for name in _KEYS)
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, KeyError) as error:
            raise InputError(
                f"{path}: not a readable npz with {', '.join(_KEYS)} ({error}). {hint}"
            ) from error
        low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        if grid.ndim != 4 or min(grid.shape[:3]) < 2 or low.shape != (3,) or not (low < high).all():
            raise InputError(
                f"{path}: expected grid (X, Y, Z, joints) and corners (3,), low before high. {hint}"
            )
        if not np.isfinite(grid).all():
            raise InputError(f"{path}: grid holds NaN or infinity. {hint}")
        return WeightVolume(torch.from_numpy(np.ascontiguousarray(grid, np.float32)), low, high)


@dataclass(frozen=True)
class Solved:
    """A volume and what making it took: multigrid cycles, and how far any sum of weights was off 1 before it was made 1."""

    volume: WeightVolume
    cycles: int
    sum_error: float


def weight_volume(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, resolution: int = 128, padding: float = PADDING,
    tolerance: float = 1e-5, device="cpu",
) -> Solved:  # fmt: skip
    """The weights (V, J) of a surface's vertices (V, 3), extended into `resolution`^3 nodes of a cube around it.

    padding: the cube's side over the surface's largest extent. tolerance: the most that a node may be off the mean of its
    neighbours. The volume stays on `device`.
    """
    vertices = np.asarray(vertices, np.float64)
    low, high = cube_around(vertices, padding)
    field = np.zeros((resolution,) * 3 + weights.shape[1:], np.float32)
    nodes, values = nodes_near_surface(
        field.shape[:3], low, high, vertices, faces, np.asarray(weights, np.float32)
    )
    fixed = np.zeros(field.shape[:3], bool)
    fixed[tuple(nodes.T)] = True
    field[tuple(nodes.T)] = values
    solved = extend(field, fixed, tolerance, device=device)
    grid = solved.field if torch.is_tensor(solved.field) else torch.from_numpy(solved.field)
    grid.clamp_(min=0.0)
    sums = grid.sum(dim=-1, keepdim=True)
    error = float((sums - 1.0).abs().max())
    return Solved(WeightVolume(grid.div_(sums), low, high), solved.cycles, error)


def cube_around(vertices: np.ndarray, padding: float) -> tuple[np.ndarray, np.ndarray]:
    """(3,) lowest and highest corner of the cube about the middle of the vertices' box, `padding` times its largest side."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    centre, half = (low + high) / 2, padding * (high - low).max() / 2
    return centre - half, centre + half


@numba.njit(parallel=True, cache=True)
def _sample(grid, low, high, points):
    out = np.zeros((len(points), grid.shape[3]), np.float32)
    for n in numba.prange(len(points)):
        corner, share = np.empty(3, np.int64), np.empty(3, np.float64)
        for k in range(3):
            last = grid.shape[k] - 1
            place = min(max((points[n, k] - low[k]) / (high[k] - low[k]), 0.0), 1.0) * last
            corner[k] = min(int(place), last - 1)
            share[k] = place - corner[k]
        for dx in range(2):
            for dy in range(2):
                for dz in range(2):
                    weight = np.float32(
                        (share[0] if dx else 1 - share[0])
                        * (share[1] if dy else 1 - share[1])
                        * (share[2] if dz else 1 - share[2])
                    )
                    node = grid[corner[0] + dx, corner[1] + dy, corner[2] + dz]
                    for j in range(grid.shape[3]):
                        out[n, j] += weight * node[j]
    return out


def _sample_torch(grid: torch.Tensor, low, high, points: torch.Tensor) -> torch.Tensor:
    last = torch.tensor(grid.shape[:3], device=grid.device) - 1
    low, high = (torch.as_tensor(corner, device=grid.device) for corner in (low, high))
    places = ((points - low) / (high - low)).clamp(0.0, 1.0) * last
    corner = torch.minimum(places.long(), last - 1)
    share = (places - corner).float()
    out = torch.zeros(len(points), grid.shape[3], device=grid.device)
    for dx, dy, dz in np.ndindex(2, 2, 2):
        step = torch.tensor((dx, dy, dz), device=grid.device)
        weight = torch.where(step.bool(), share, 1 - share).prod(dim=1, keepdim=True)
        out += weight * grid[tuple((corner + step).T)]
    return out
