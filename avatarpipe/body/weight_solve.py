"""Making a volume of skinning weights: the surface's own near it, harmonic elsewhere, finer where it is too coarse for them."""

from dataclasses import dataclass

import numpy as np
import torch

from avatarpipe.body.harmonic import extend
from avatarpipe.body.weight_band import nodes_near_surface
from avatarpipe.body.weight_blocks import refined
from avatarpipe.body.weight_volume import WeightVolume

PADDING = 1.1  # the cube's side over the body's largest extent
LEVELS = 2  # of blocks: 15 mm between nodes, then 4 mm at fingers and face, then 1 mm at lips and eyelids


@dataclass(frozen=True)
class Solved:
    """A volume and what making it took: multigrid cycles, and how far any sum of weights was off 1 before it was made 1."""

    volume: WeightVolume
    cycles: int
    sum_error: float


def weight_volume(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, resolution: int = 128, padding: float = PADDING,
    tolerance: float = 1e-5, device="cpu", levels: int = LEVELS,
) -> Solved:  # fmt: skip
    """The weights (V, J) of a surface's vertices (V, 3), extended into `resolution`^3 nodes of a cube around it.

    padding: the cube's side over the surface's largest extent. tolerance: the most that a node may be off the mean of its
    neighbours. levels: of finer blocks, each within those before it. The volume stays on `device`.
    """
    vertices, weights = np.asarray(vertices, np.float64), np.asarray(weights, np.float32)
    low, high = cube_around(vertices, padding)
    field = np.zeros((resolution,) * 3 + weights.shape[1:], np.float32)
    nodes, values = nodes_near_surface(field.shape[:3], low, high, vertices, faces, weights)
    fixed = np.zeros(field.shape[:3], bool)
    fixed[tuple(nodes.T)] = True
    field[tuple(nodes.T)] = values
    solved = extend(field, fixed, tolerance, device=device)
    grid = solved.field if torch.is_tensor(solved.field) else torch.from_numpy(solved.field)
    grid.clamp_(min=0.0)
    sums = grid.sum(dim=-1, keepdim=True)
    error = float((sums - 1.0).abs().max())
    volume = WeightVolume(grid.div_(sums), low, high)
    return Solved(
        refined(volume, vertices, faces, weights, levels, tolerance), solved.cycles, error
    )


def cube_around(vertices: np.ndarray, padding: float) -> tuple[np.ndarray, np.ndarray]:
    """(3,) lowest and highest corner of the cube about the middle of the vertices' box, `padding` times its largest side."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    centre, half = (low + high) / 2, padding * (high - low).max() / 2
    return centre - half, centre + half
