"""A vector times a matrix, for very many small ones at once."""

import torch
from torch import Tensor


def vector_products(vectors: Tensor, matrices: Tensor) -> Tensor:
    """(B, O) of (B, I) vectors times (B, I, O) matrices, which may be of a narrower type; sums in that of the vectors.

    Under torch.compile a sum that fuses with what is around it; otherwise a batched product, which writes no (B, I, O) down.
    """
    matrices = matrices.to(vectors.dtype)
    if torch.compiler.is_compiling():
        return (vectors[..., None] * matrices).sum(dim=1)
    return torch.bmm(vectors[:, None], matrices)[:, 0]
