"""What a multigrid cycle does to one level, in torch: the same numbers as the processor's kernels, on any device."""

import torch


def zeros_like(field: torch.Tensor) -> torch.Tensor:
    """A field of zeros."""
    return torch.zeros_like(field)


def smooth(level, field: torch.Tensor, rhs: torch.Tensor | None, sweeps: int) -> None:
    """Red-black Gauss-Seidel, in place."""
    black = _chequered(level.free.shape, field.device)
    scale = 1.0 / level.diagonal[..., None]
    for _ in range(sweeps):
        for colour in (~black, black):
            new = _neighbours(level, field, rhs).mul_(scale)
            torch.where((level.free & colour)[..., None], new, field, out=field)


def restricted_residual(
    level, coarser, field: torch.Tensor, rhs: torch.Tensor | None
) -> torch.Tensor:
    """The coarser level's right-hand side: twice the residuals of the free nodes that each coarse node stands for."""
    residual = _neighbours(level, field, rhs).sub_(level.diagonal[..., None] * field)
    residual *= level.free[..., None]
    for axis in range(3):
        if residual.shape[axis] % 2:
            residual = torch.cat(
                [residual, torch.zeros_like(residual.narrow(axis, 0, 1))], dim=axis
            )
        residual = residual.unflatten(axis, (-1, 2)).sum(dim=axis + 1)
    return residual.mul_(2.0)


def add_interpolated(level, field: torch.Tensor, coarse: torch.Tensor) -> None:
    """Add the trilinear interpolation of a coarser field to the free nodes, in place."""
    for axis in (2, 1, 0):
        before = torch.cat(
            [coarse.narrow(axis, 0, 1), coarse.narrow(axis, 0, coarse.shape[axis] - 1)], axis
        )
        after = torch.cat(
            [coarse.narrow(axis, 1, coarse.shape[axis] - 1), coarse.narrow(axis, -1, 1)], axis
        )
        pair = torch.stack(
            [0.75 * coarse + 0.25 * before, 0.75 * coarse + 0.25 * after], dim=axis + 1
        )
        coarse = pair.flatten(axis, axis + 1).narrow(axis, 0, field.shape[axis])
    field += coarse * level.free[..., None]


def defect(level, field: torch.Tensor) -> float:
    """The most by which a free node is off the weighted mean of its neighbours."""
    off = _neighbours(level, field, None) / level.diagonal[..., None] - field
    return float((off * level.free[..., None]).abs().max())


def _neighbours(level, field: torch.Tensor, rhs: torch.Tensor | None) -> torch.Tensor:
    """(X, Y, Z, C) the right-hand side and what the six neighbours of each node add to it."""
    total = torch.zeros_like(field) if rhs is None else rhs.clone()
    for axis in range(3):
        count = field.shape[axis] - 1
        links = level.links[axis].narrow(axis, 0, count)[..., None]
        total.narrow(axis, 0, count).addcmul_(links, field.narrow(axis, 1, count))
        total.narrow(axis, 1, count).addcmul_(links, field.narrow(axis, 0, count))
    return total


def _chequered(shape, device) -> torch.Tensor:
    x, y, z = (torch.arange(size, device=device) for size in shape)
    return (x[:, None, None] + y[:, None] + z) % 2 == 1
