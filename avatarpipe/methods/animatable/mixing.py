"""Weighted sums of neighbours' values as products with a sparse matrix, whose transpose makes the gradient.

Gathering neighbours and summing is fast, but its usual gradient scatters into few rows by atomics: slow, and in no fixed
order. Here the gradient reads the rows of the transpose.
"""

import warnings

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from torch import Tensor


class Mixing:
    """A sparse (R, C) matrix that takes values of C points, (C, D), to those of R points, (R, D), differentiably.

    Every row has equally many entries.
    """

    def __init__(self, matrix: csr_array, device="cpu"):
        warnings.filterwarnings("ignore", "Sparse (CSR tensor support|invariant checks)")
        _, columns, weights = _rows_on(matrix, device)
        self._columns, self._weights = (x.reshape(matrix.shape[0], -1) for x in (columns, weights))
        self._transposed = _rows_on(csr_array(matrix.T), device)

    def __call__(self, values: Tensor) -> Tensor:
        return _Mix.apply(values, self._columns, self._weights, *self._transposed)


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


def _rows_on(matrix: csr_array, device) -> tuple[Tensor, Tensor, Tensor]:
    """Row starts, columns and values of a CSR matrix."""
    matrix.sort_indices()
    starts, columns = (
        torch.from_numpy(part.astype(np.int32)) for part in (matrix.indptr, matrix.indices)
    )
    values = torch.from_numpy(matrix.data.astype(np.float32))
    return starts.to(device), columns.to(device), values.to(device)


class _Mix(torch.autograd.Function):
    """Rows gather their few entries, which a compiler fuses with what takes them; the gradient is the transpose's product."""

    @staticmethod
    def forward(ctx, values, columns, weights, starts, back_columns, back_weights):
        ctx.save_for_backward(starts, back_columns, back_weights)
        return (values[columns] * weights[..., None]).sum(dim=1)

    @staticmethod
    def backward(ctx, gradient):
        return _sparse_product(*ctx.saved_tensors, gradient), None, None, None, None, None


# An operator of its own: torch.compile passes over sparse tensors, but leaves what it does not know as it is.
@torch.library.custom_op("avatarpipe::sparse_product", mutates_args=())
def _sparse_product(starts: Tensor, columns: Tensor, weights: Tensor, values: Tensor) -> Tensor:
    """The matrix with these rows times (C, D) `values`."""
    shape = len(starts) - 1, len(values)
    matrix = torch.sparse_csr_tensor(starts, columns, weights, shape, check_invariants=False)
    return matrix @ values.contiguous()


@_sparse_product.register_fake
def _(starts, columns, weights, values):
    return values.new_empty(starts.shape[0] - 1, values.shape[1])
