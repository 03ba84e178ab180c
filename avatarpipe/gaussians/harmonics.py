"""View-dependent colour by real spherical harmonics, as 3DGS stores it (Kerbl et al. 2023, sec. 5.1)."""

import torch
from torch import Tensor

C0 = 0.28209479177387814


def sh_basis(directions: Tensor, count: int) -> Tensor:
    """The first `count` (1, 4, 9, 16) real harmonics (..., count) at unit directions (..., 3)."""
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, C0)]
    if count > 1:
        basis += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if count > 4:
        basis += _second_band(x, y, z)
    if count > 9:
        basis += _third_band(x, y, z)
    return torch.stack(basis, dim=-1)


def _second_band(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    return [
        1.0925484305920792 * x * y,
        -1.0925484305920792 * y * z,
        0.31539156525252005 * (3 * z * z - 1),
        -1.0925484305920792 * x * z,
        0.5462742152960396 * (x * x - y * y),
    ]


def _third_band(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    return [
        -0.5900435899266435 * y * (3 * x * x - y * y),
        2.890611442640554 * x * y * z,
        -0.4570457994644658 * y * (5 * z * z - 1),
        0.3731763325901154 * z * (5 * z * z - 3),
        -0.4570457994644658 * x * (5 * z * z - 1),
        1.445305721320277 * z * (x * x - y * y),
        -0.5900435899266435 * x * (x * x - 3 * y * y),
    ]


def sh_colors(sh: Tensor, directions: Tensor) -> Tensor:
    """Colours (..., 3), at least 0, of coefficients (..., K, 3) seen along directions (..., 3)."""
    unit = torch.nn.functional.normalize(directions, dim=-1)
    basis = sh_basis(unit, sh.shape[-2])
    return ((basis[..., None] * sh).sum(dim=-2) + 0.5).clamp_min(0.0)
