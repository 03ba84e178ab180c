"""Trilinear lookups in a grid of vectors whose outermost nodes lie on the faces of a box, on the processor or in torch."""

import numba
import numpy as np
import torch


def trilinear(
    grid: torch.Tensor, low: np.ndarray, high: np.ndarray, points: torch.Tensor
) -> torch.Tensor:
    """(N, C) float32 values of `grid` (X, Y, Z, C) at (N, 3) `points`, both on one device; outside of the box its nearest face's."""
    if grid.device.type == "cpu":
        return torch.from_numpy(_on_processor(grid.numpy(), low, high, points.double().numpy()))
    return in_torch(grid, low, high, points)


def in_torch(grid: torch.Tensor, low, high, points: torch.Tensor) -> torch.Tensor:
    """`trilinear` on any device, in torch's own operations."""
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


@numba.njit(parallel=True, cache=True)
def _on_processor(grid, low, high, points):
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
