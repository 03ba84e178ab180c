"""Skinning weights everywhere around a body: a grid of them, made once a subject, looked up by points that float free.

At the surface they are its own, elsewhere their harmonic extension: at least 0, summing to 1, without the jumps that the
closest point makes between arm and flank or finger and finger. Fingers, lips and eyelids lie closer than the grid's nodes: finer
blocks lie over it there.
"""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from avatarpipe.body.trilinear import trilinear
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file

SAMPLING = (
    "nodes, corner-aligned: node i of n lies at bbox_min + (bbox_max - bbox_min) i / (n - 1); trilinear, clamped; where blocks "
    "hold the point, they replace the weights of their joints, in their order"
)
_HINT = (
    "A volume of skinning weights (npz) was expected here: `avatarpipe weight-volume` writes it."
)


@dataclass(frozen=True)
class Block:
    """A finer grid over a part of the volume, of those joints that move it; at its faces it is what lies beneath.

    grid: (X, Y, Z, K) float32. low, high: (3,) float64, where its outermost nodes lie. joints: (K,) int64, ascending.
    """

    grid: torch.Tensor
    low: np.ndarray
    high: np.ndarray
    joints: torch.Tensor

    def holds(self, points: torch.Tensor) -> torch.Tensor:
        """(M,) int64: which of (N, 3) points lie in the box."""
        low, high = (torch.as_tensor(side, device=points.device) for side in (self.low, self.high))
        return ((points >= low) & (points <= high)).all(dim=1).nonzero()[:, 0]


@dataclass(frozen=True)
class WeightVolume:
    """Weights of J joints at the nodes of a grid over a box, looked up between them (SAMPLING says where nodes lie).

    grid: (X, Y, Z, J) float32 on any device. low, high: (3,) float64 corners of the box in metres: its outermost nodes.
    blocks: coarse ones before those that lie within them.
    """

    grid: torch.Tensor
    low: np.ndarray
    high: np.ndarray
    blocks: tuple[Block, ...] = ()

    def sample(self, points: torch.Tensor) -> torch.Tensor:
        """(N, J) weights at (N, 3) points, on their device; outside of the box those of its nearest face. No gradients."""
        places = points.detach().to(self.grid.device)
        sampled = trilinear(self.grid, self.low, self.high, places)
        for block in self.blocks:
            held = block.holds(places)
            finer = trilinear(block.grid, block.low, block.high, places[held])
            sampled[held[:, None], block.joints] = finer
        return sampled.to(points.device)

    def to(self, device) -> "WeightVolume":
        """The same volume on another device."""
        blocks = tuple(
            replace(block, grid=block.grid.to(device), joints=block.joints.to(device))
            for block in self.blocks
        )
        return replace(self, grid=self.grid.to(device), blocks=blocks)

    def save(self, path: str | Path) -> None:
        """Write the npz, uncompressed: grid, bbox_min, bbox_max, grid_dims, grid_resolution and, in words, sampling.

        Blocks are extra arrays, which those who read the published ones need not know: blocks, their number, and for each i
        block{i}_grid, block{i}_min, block{i}_max, block{i}_joints.
        """
        size = np.array(self.grid.shape[:3])
        arrays = {"blocks": np.array(len(self.blocks))}
        for i, block in enumerate(self.blocks):
            arrays |= {
                f"block{i}_grid": block.grid.cpu().numpy(), f"block{i}_min": block.low, f"block{i}_max": block.high,
                f"block{i}_joints": block.joints.cpu().numpy(),
            }  # fmt: skip
        with atomic_file(path) as temporary:
            np.savez(
                temporary,
                grid=self.grid.cpu().numpy(),
                bbox_min=self.low,
                bbox_max=self.high,
                grid_dims=size,
                grid_resolution=((self.high - self.low) / (size - 1)).max(),
                sampling=np.array(SAMPLING),
                **arrays,
            )

    @staticmethod
    def load(path: str | Path) -> "WeightVolume":
        """Read an npz with grid, bbox_min and bbox_max, ours or another's that is sampled so. InputError where it is broken."""
        path = require_file(path, _HINT)
        try:
            with np.load(path, allow_pickle=False) as archive:
                whole = [archive[name] for name in ("grid", "bbox_min", "bbox_max")]
                parts = [_block_arrays(archive, i) for i in range(int(archive.get("blocks", 0)))]
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: not a readable npz with grid, bbox_min, bbox_max ({error}). {_HINT}"
            ) from error
        grid, low, high = _checked(path, "grid", *whole)
        blocks = [_block(path, i, grid.shape[3], *arrays) for i, arrays in enumerate(parts)]
        return WeightVolume(grid, low, high, tuple(blocks))


def _block_arrays(archive, number: int) -> list[np.ndarray]:
    return [archive[f"block{number}_{name}"] for name in ("grid", "min", "max", "joints")]


def _block(path: Path, number: int, joint_count: int, grid, low, high, joints) -> Block:
    grid, low, high = _checked(path, f"block{number}_grid", grid, low, high)
    joints = np.asarray(joints)
    named = joints.shape == grid.shape[3:] and np.issubdtype(joints.dtype, np.integer)
    if not named or not np.isin(joints, np.arange(joint_count)).all():
        raise InputError(
            f"{path}: block{number}_joints must name a joint of the grid for each of its weights. {_HINT}"
        )
    return Block(grid, low, high, torch.from_numpy(joints.astype(np.int64)))


def _checked(path: Path, name: str, grid, low, high) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    corners = low.shape == high.shape == (3,) and (low < high).all()
    if grid.ndim != 4 or min(grid.shape[:3]) < 2 or not corners:
        raise InputError(
            f"{path}: expected {name} (X, Y, Z, joints) and corners (3,), low before high. {_HINT}"
        )
    if not np.isfinite(grid).all():
        raise InputError(f"{path}: {name} holds NaN or infinity. {_HINT}")
    return torch.from_numpy(np.ascontiguousarray(grid, np.float32)), low, high
