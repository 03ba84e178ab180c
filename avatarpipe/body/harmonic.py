"""Harmonic extension: values known at some nodes of a grid, spread to all others so that each is the mean of its neighbours.

Solved by multigrid, all channels at once: red-black Gauss-Seidel on every level, coarse nodes that stand for 2x2x2 finer ones,
coarse equations by aggregation with the residual doubled (Braess 1995, Towards Algebraic Multigrid for Elliptic Problems of
Second Order), trilinear interpolation back (Wesseling 1988, Cell-Centered Multigrid for Interface Problems).
"""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from avatarpipe.body import harmonic_numba, harmonic_torch

_SWEEPS = 2  # before and after each visit to the coarser level
_COARSEST_SWEEPS = 16
_COARSEST = 2  # nodes a side
_WALL = 2.0  # doubled like the residual, or the correction beside a fixed node overshoots and grows


@dataclass(frozen=True)
class Level:
    """The equations of one grid: diagonal x_i - sum of link x_k over the six neighbours k = right-hand side.

    links: (3, X, Y, Z) between a node and the next along x, y, z; 0 where there is none. diagonal, free: (X, Y, Z); nodes that
    are not free keep their value.
    """

    links: np.ndarray | torch.Tensor
    diagonal: np.ndarray | torch.Tensor
    free: np.ndarray | torch.Tensor


@dataclass(frozen=True)
class Extension:
    """field: (X, Y, Z, C) float32. cycles: how many it took. defect: the most that a node is off the mean of its neighbours."""

    field: np.ndarray | torch.Tensor
    cycles: int
    defect: float


def extend(
    field: np.ndarray, fixed: np.ndarray, tolerance: float = 1e-5, cycles: int = 40, device="cpu"
) -> Extension:
    """The harmonic extension of `field` from the nodes that are `fixed`, in place where the device is the CPU.

    field: (X, Y, Z, C) float32, only read where fixed. fixed: (X, Y, Z) bool. The outer faces let nothing through (zero
    Neumann). Stops when the defect is below `tolerance`, or after `cycles`. ValueError where nothing is fixed.
    """
    if not fixed.any():
        raise ValueError("harmonic extension needs at least one fixed node")
    field[~fixed] = 0.0
    levels, kernels = _levels(fixed), harmonic_numba
    if torch.device(device).type != "cpu":
        levels, kernels = [_to_torch(level, device) for level in levels], harmonic_torch
        field = torch.from_numpy(field).to(device)
    return _solve(levels, kernels, field, tolerance, cycles)


def _solve(
    levels: list[Level], kernels: ModuleType, field, tolerance: float, cycles: int
) -> Extension:
    _first_guess(levels, kernels, field, None)
    done, defect = 0, np.inf
    while done < cycles and not defect < tolerance:
        _cycle(levels, kernels, field, None)
        done, defect = done + 1, kernels.defect(levels[0], field)
    return Extension(field, done, defect)


def _first_guess(levels: list[Level], kernels: ModuleType, field, rhs) -> None:
    """Full multigrid: the coarse answer first, carried to ever finer levels."""
    if len(levels) > 1:
        coarse_rhs = kernels.restricted_residual(levels[0], levels[1], field, rhs)
        coarse = kernels.zeros_like(coarse_rhs)
        _first_guess(levels[1:], kernels, coarse, coarse_rhs)
        kernels.add_interpolated(levels[0], field, coarse)
    _cycle(levels, kernels, field, rhs)


def _cycle(levels: list[Level], kernels: ModuleType, field, rhs) -> None:
    """One V-cycle, in place."""
    if len(levels) == 1:
        kernels.smooth(levels[0], field, rhs, _COARSEST_SWEEPS)
        return
    kernels.smooth(levels[0], field, rhs, _SWEEPS)
    coarse_rhs = kernels.restricted_residual(levels[0], levels[1], field, rhs)
    coarse = kernels.zeros_like(coarse_rhs)
    _cycle(levels[1:], kernels, coarse, coarse_rhs)
    kernels.add_interpolated(levels[0], field, coarse)
    kernels.smooth(levels[0], field, rhs, _SWEEPS)


def _levels(fixed: np.ndarray) -> list[Level]:
    """The grid itself and ever coarser ones."""
    links = np.ones((3, *fixed.shape), np.float32)
    for axis in range(3):
        links[axis][_last(axis)] = 0.0
    levels = [Level(links, _link_sums(links), ~fixed)]
    while max(levels[-1].free.shape) > _COARSEST:
        levels.append(_coarser(levels[-1]))
    return levels


def _coarser(level: Level) -> Level:
    """Each unknown constant over up to 2x2x2 free nodes, the equations the sums of theirs (Galerkin)."""
    free = level.free.astype(np.float32)
    inner, links = np.zeros_like(free), []
    for axis in range(3):
        both = (
            level.links[axis] * free * np.roll(free, -1, axis)
        )  # the last link is 0, so that it may wrap
        within = _every_second(axis, 0)
        inner[within] += both[within]
        both[within] = 0.0
        links.append(_block_sums(both))
    links = np.stack(links)
    to_fixed = _block_sums(level.diagonal * free) - 2.0 * _block_sums(inner) - _link_sums(links)
    return Level(
        links, np.maximum(_link_sums(links) + _WALL * to_fixed, 1e-6), _block_sums(free) > 0
    )


def _link_sums(links: np.ndarray) -> np.ndarray:
    return sum(links[axis] + np.roll(links[axis], 1, axis) for axis in range(3))


def _block_sums(values: np.ndarray) -> np.ndarray:
    """Sums over 2x2x2 nodes; a side of odd length ends in blocks of one."""
    padded = np.pad(values, [(0, size % 2) for size in values.shape])
    x, y, z = (size // 2 for size in padded.shape)
    return padded.reshape(x, 2, y, 2, z, 2).sum(axis=(1, 3, 5))


def _last(axis: int) -> tuple:
    return tuple(-1 if k == axis else slice(None) for k in range(3))


def _every_second(axis: int, start: int) -> tuple:
    return tuple(slice(start, None, 2) if k == axis else slice(None) for k in range(3))


def _to_torch(level: Level, device) -> Level:
    arrays = (level.links, level.diagonal, level.free)
    return Level(*(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays))
