"""Weighted sums of neighbours' values as products with a sparse matrix, whose transpose makes the gradient.

Gathering neighbours and summing is as fast forward, but its backward scatters into few rows by atomics: slow, and in no
fixed order. Here both directions read rows.
"""

import warnings

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.spatial import cKDTree


class Mixing:
    """A sparse (R, C) matrix that takes values of C points, (C, D), to those of R points, (R, D), differentiably."""

    def __init__(self, matrix: csr_array, device="cpu"):
        self.shape = matrix.shape
        self._forward = _sparse_tensor(matrix, device)
        self._backward = _sparse_tensor(csr_array(matrix.T), device)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return _Product.apply(values, self._forward, self._backward)


def nearest(points: np.ndarray, sources: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(R, k) distances and indices of the k nearest of the (C, 3) `sources`; k is at most C."""
    k = min(count, len(sources))
    distances, indices = cKDTree(sources).query(points, k)
    return distances.reshape(len(points), k), indices.reshape(len(points), k)


def inverse_distance_mixing(
    points: np.ndarray, sources: np.ndarray, count: int, device="cpu"
) -> Mixing:
    """Each of R `points` takes the mean of its `count` nearest `sources`, weighted by 1 / distance.

    A point that coincides with a source takes nearly all from it.
    """
    distances, indices = nearest(points, sources, count)
    inverse = 1.0 / np.maximum(distances, 1e-9)
    return Mixing(
        _rows(inverse / inverse.sum(axis=1, keepdims=True), indices, len(sources)), device
    )


def neighbour_differences(points: np.ndarray, count: int, device="cpu") -> Mixing:
    """Takes (C, D) values of `points` to (C * (count - 1), D): those of each one's nearest others less its own."""
    _, indices = nearest(points, points, count)
    own = np.arange(len(points))[:, None]
    others = np.where(
        indices[:, 1:] == own, indices[:, :1], indices[:, 1:]
    )  # of twins either comes first
    pairs = np.stack([others.ravel(), np.repeat(own, others.shape[1])], axis=1)
    return Mixing(_rows(np.tile([1.0, -1.0], (len(pairs), 1)), pairs, len(points)), device)


def _rows(weights: np.ndarray, indices: np.ndarray, columns: int) -> csr_array:
    """The (R, columns) matrix with the (R, k) `weights` at the (R, k) `indices`."""
    starts = np.arange(len(indices) + 1) * indices.shape[1]
    matrix = csr_array((weights.ravel(), indices.ravel(), starts), (len(indices), columns))
    matrix.sort_indices()
    return matrix


def _sparse_tensor(matrix: csr_array, device) -> torch.Tensor:
    matrix.sort_indices()
    parts = (matrix.indptr, matrix.indices)
    crow, columns = (torch.from_numpy(part.astype(np.int32)).to(device) for part in parts)
    values = torch.from_numpy(matrix.data.astype(np.float32)).to(device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse (CSR tensor support|invariant checks)")
        return torch.sparse_csr_tensor(crow, columns, values, matrix.shape)


class _Product(torch.autograd.Function):
    """matrix @ values; the gradient is transpose @ gradient."""

    @staticmethod
    def forward(ctx, values, matrix, transpose):
        ctx.transpose = transpose
        return matrix @ values.contiguous()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.transpose @ gradient.contiguous(), None, None
