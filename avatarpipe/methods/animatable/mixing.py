"""Weighted sums of neighbours' values as products with a sparse matrix, whose transpose makes the gradient.

Gathering neighbours and summing is as fast forward, but its backward scatters into few rows by atomics: slow, and in no
fixed order. Here both directions read rows.
"""

import warnings

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from torch import Tensor


class Mixing:
    """A sparse (R, C) matrix that takes values of C points, (C, D), to those of R points, (R, D), differentiably."""

    def __init__(self, matrix: csr_array, device="cpu"):
        self.shape = matrix.shape
        self._forward = _rows_on(matrix, device)
        self._backward = _rows_on(csr_array(matrix.T), device)

    def __call__(self, values: Tensor) -> Tensor:
        if torch.compiler.is_compiling() and not torch.is_grad_enabled():
            return self._gathered(values)
        return _product(values, *self._forward, *self._backward)

    def _gathered(self, values: Tensor) -> Tensor:
        """The same where rows have equally many entries: compiled, it fuses with what takes the rows."""
        columns, weights = (part.reshape(self.shape[0], -1) for part in self._forward[1:])
        return (values[columns] * weights[..., None]).sum(dim=1)


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


# An operator of its own: torch.compile passes over sparse tensors, but leaves what it does not know as it is.
@torch.library.custom_op("avatarpipe::mix", mutates_args=())
def _product(
    values: Tensor,
    starts: Tensor,
    columns: Tensor,
    weights: Tensor,
    back_starts: Tensor,
    back_columns: Tensor,
    back_weights: Tensor,
) -> Tensor:
    """matrix @ values; the matrix by its rows, and its transpose by its rows, which the gradient takes."""
    shape = len(starts) - 1, len(values)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse (CSR tensor support|invariant checks)")
        matrix = torch.sparse_csr_tensor(starts, columns, weights, shape, check_invariants=False)
    return matrix @ values.contiguous()


@_product.register_fake
def _(values, starts, columns, weights, back_starts, back_columns, back_weights):
    return values.new_empty(starts.shape[0] - 1, values.shape[1])


def _remember(ctx, inputs, output) -> None:
    ctx.matrices = inputs[1:]


def _product_backward(ctx, gradient):
    rows, transposed = ctx.matrices[:3], ctx.matrices[3:]
    return _product(gradient, *transposed, *rows), None, None, None, None, None, None


_product.register_autograd(_product_backward, setup_context=_remember)
