"""Finer blocks over a volume of skinning weights, where its nodes lie too far apart for what the surface wants.

As adaptive meshes are refined (Berger & Oliger 1984): vertices whose samples are off are gathered into boxes that begin and end at
nodes of the grid beneath, each is solved RATIO times as fine with that grid's values at its faces, and looked into again. A cell
of a block lies within one cell beneath, where that is trilinear too: so the field has no jump at a block's faces, and
weights that add up to one at its nodes do so between them.
"""

import numpy as np
import torch
from scipy import ndimage

from avatarpipe.body.harmonic import extend
from avatarpipe.body.weight_band import REACH, nodes_near_surface
from avatarpipe.body.weight_volume import Block, WeightVolume

RATIO = 4  # of the spacing of nodes beneath to that of a block
_OFF = 0.1  # a vertex whose weights are off by this (sum over joints) wants finer nodes
_WORTH = 3e-4  # what a block may take off the mean over all vertices, to be worth making it
_MARGIN = 1  # cells beneath, at least, between such a vertex and a block's faces, which are as coarse as what lies beneath
_MOVES = 1e-3  # the least weight with which a joint is said to move a vertex
_AT_ONCE = 1 << 18  # points sampled at a time


def refined(
    volume: WeightVolume, vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, levels: int, tolerance: float,
) -> WeightVolume:  # fmt: skip
    """The `volume` with up to `levels` of blocks within one another for a surface: vertices (V, 3), faces (F, 3), weights (V, J)."""
    beneath = [(volume.grid.shape[:3], volume.low, volume.high)]
    for _ in range(levels):
        off = _errors(volume, vertices, weights)
        made = [
            _solved(volume, shape, low, high, vertices, faces, weights, tolerance)
            for grid in beneath
            for shape, low, high in _boxes(*grid, vertices, off)
        ]
        volume = WeightVolume(volume.grid, volume.low, volume.high, (*volume.blocks, *made))
        beneath = [(block.grid.shape[:3], block.low, block.high) for block in made]
    return volume


def _errors(volume: WeightVolume, vertices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(V,) by how much each vertex' weights are off, summed over joints."""
    return np.abs(volume.sample(torch.from_numpy(vertices)).cpu().numpy() - weights).sum(axis=1)


def _boxes(shape, low: np.ndarray, high: np.ndarray, vertices: np.ndarray, off: np.ndarray) -> list:
    """(shape, low, high) of blocks over a grid, around its vertices that are `off` too much: apart from one another."""
    spacing = (high - low) / (np.array(shape) - 1)
    wanting = (off > _OFF) & ((vertices > low) & (vertices < high)).all(axis=1)
    cells = ((vertices[wanting] - low) / spacing).astype(np.int64)
    marked = np.zeros(np.array(shape) - 1, bool)
    marked[tuple(cells.T)] = True
    marked = ndimage.binary_dilation(marked, np.ones((3, 3, 3), bool), _MARGIN)
    kept = []
    for first, last in _apart(ndimage.find_objects(ndimage.label(marked)[0])):
        held = ((cells >= first) & (cells < last)).all(axis=1)
        if off[wanting][held].sum() > _WORTH * len(vertices):
            size = RATIO * (last - first) + 1
            kept.append((tuple(size.tolist()), low + first * spacing, low + last * spacing))
    return kept


def _apart(found: list[tuple[slice, ...]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(3,) first and one past the last cell of boxes, those that overlap made one."""
    apart = []
    for box in found:
        first, last = (np.array([getattr(side, end) for side in box]) for end in ("start", "stop"))
        while (met := _overlapping(apart, first, last)) is not None:
            other = apart.pop(met)
            first, last = np.minimum(first, other[0]), np.maximum(last, other[1])
        apart.append((first, last))
    return apart


def _overlapping(boxes: list, first: np.ndarray, last: np.ndarray) -> int | None:
    """The place of the first of `boxes` that shares a cell with another."""
    meets = ((first < high).all() and (low < last).all() for low, high in boxes)
    return next((place for place, met in enumerate(meets) if met), None)


def _solved(
    beneath: WeightVolume, shape, low: np.ndarray, high: np.ndarray, vertices: np.ndarray, faces: np.ndarray,
    weights: np.ndarray, tolerance: float,
) -> Block:  # fmt: skip
    """The block at `shape` nodes from `low` to `high`: the surface's weights near it, at its faces those `beneath`."""
    vertices, faces, weights = _part(vertices, faces, weights, low, high, shape)
    joints = np.flatnonzero((weights > _MOVES).any(axis=0))
    weights = weights[:, joints] / weights[:, joints].sum(axis=1, keepdims=True)
    under = _sampled(beneath, shape, low, high, joints)
    nodes, values = nodes_near_surface(shape, low, high, vertices, faces, weights)
    share = under.sum(axis=-1)
    fixed, field = np.ones(shape, bool), under
    fixed[1:-1, 1:-1, 1:-1] = False
    nodes, values = nodes[~fixed[tuple(nodes.T)]], values[~fixed[tuple(nodes.T)]]
    fixed[tuple(nodes.T)] = True
    field[tuple(nodes.T)] = values * share[tuple(nodes.T)][:, None]
    solved = extend(field, fixed, tolerance, device=beneath.grid.device)
    grid = torch.as_tensor(solved.field).clamp_(min=0.0)
    wanted = torch.from_numpy(share).to(grid.device)[..., None]
    grid *= wanted / grid.sum(dim=-1, keepdim=True).clamp(min=1e-12)
    return Block(grid, low, high, torch.from_numpy(joints).to(grid.device))


def _part(vertices, faces, weights, low, high, shape) -> tuple:
    """Vertices, faces and weights of the part of a surface that nodes of the box may be near to."""
    reach = REACH * ((high - low) / (np.array(shape) - 1)).max()
    corners = vertices[faces]
    near = ((corners.min(axis=1) <= high + reach) & (corners.max(axis=1) >= low - reach)).all(
        axis=1
    )
    used, numbers = np.unique(faces[near], return_inverse=True)
    return vertices[used], numbers.reshape(-1, 3), weights[used]


def _sampled(volume: WeightVolume, shape, low, high, joints: np.ndarray) -> np.ndarray:
    """(X, Y, Z, K) weights of `joints` at the nodes of a box."""
    steps = (high - low) / (np.array(shape) - 1)
    sampled = np.empty((np.prod(shape), len(joints)), np.float32)
    for start in range(0, len(sampled), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(sampled)))
        points = low + np.stack(np.unravel_index(rows, shape), axis=1) * steps
        sampled[rows] = volume.sample(torch.from_numpy(points)).cpu().numpy()[:, joints]
    return sampled.reshape(*shape, len(joints))
