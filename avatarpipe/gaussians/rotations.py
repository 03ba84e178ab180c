"""Unit quaternions to rotation matrices."""

import torch
from torch import Tensor


def quats_to_matrices(quats: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of quaternions wxyz (..., 4) of any non-zero length."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    rows = [
        1 - 2 * (yy + zz), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (xx + zz), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (xx + yy),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*quats.shape[:-1], 3, 3)
