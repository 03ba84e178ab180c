"""Surfels to start from: discs lying on a surface, as large as the gaps between them."""

import numpy as np
import torch
from scipy.spatial import cKDTree

from avatarpipe.gaussians.cloud import GaussianCloud


def surface_surfels(
    vertices: np.ndarray,
    faces: np.ndarray,
    count: int,
    color: torch.Tensor,
    seed: int,
    face_weights: np.ndarray | None = None,
    opacity: float = 0.9,
    overlap: float = 0.45,
) -> GaussianCloud:
    """`count` surfels spread evenly over a mesh, tangent to it.

    vertices: (V, 3) metres. faces: (F, 3). color: (3,) or (count, 3) sRGB. face_weights: (F,) multiplies the density.
    overlap: standard deviation in units of the distance to the neighbours; above 1 hardly a gap shows.
    """
    rng = np.random.default_rng(seed)
    corners = vertices[faces]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sizes = np.linalg.norm(areas, axis=1)
    density = sizes if face_weights is None else sizes * face_weights
    chosen = _stratified(density, count, rng)
    weights = rng.dirichlet((1.0, 1.0, 1.0), count)
    points = np.einsum("nk,nki->ni", weights, corners[chosen])
    normals = areas[chosen] / np.maximum(sizes[chosen, None], 1e-20)
    return tangent_surfels(points, normals, color, opacity, overlap)


def _stratified(density: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` indices drawn in proportion to `density`, one from each of `count` equal shares of its total."""
    edges = np.cumsum(density)
    draws = (np.arange(count) + rng.random(count)) / count * edges[-1]
    return np.minimum(np.searchsorted(edges, draws), len(density) - 1)


def tangent_surfels(
    points: np.ndarray, normals: np.ndarray, color: torch.Tensor, opacity: float, overlap: float
) -> GaussianCloud:
    """Surfels at (N, 3) `points` facing along (N, 3) unit `normals`, sized by the distance to their neighbours."""
    scales = np.clip(overlap * spacing(points), 1e-4, 0.02)
    return GaussianCloud(
        torch.from_numpy(points).float(),
        quats_facing(torch.from_numpy(normals).float()),
        torch.from_numpy(np.stack([scales, scales], axis=1)).float(),
        torch.full((len(points),), opacity),
        color.float().expand(len(points), 3).clone(),
    )


def spacing(points: np.ndarray) -> np.ndarray:
    """(N,) root mean square distance to the six nearest neighbours, metres."""
    neighbours = min(7, len(points))
    distances = cKDTree(points).query(points, neighbours)[0].reshape(len(points), -1)[:, 1:]
    mean = np.sqrt((distances**2).mean(axis=1)) if distances.size else np.full(len(points), 0.01)
    return mean


def quats_facing(normals: torch.Tensor) -> torch.Tensor:
    """(N, 4) shortest rotations wxyz that take +z to the unit `normals` (N, 3)."""
    x, y, z = normals.unbind(-1)
    quats = torch.stack([1.0 + z, -y, x, torch.zeros_like(z)], dim=-1)
    opposite = z < -0.9999
    quats[opposite] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    return torch.nn.functional.normalize(quats, dim=-1)
