"""What a multigrid cycle does to one level, on the processor's cores. Fields are (X, Y, Z, C) float32."""

import numba
import numpy as np

_NONE = np.zeros((0, 0, 0, 0), np.float32)


def zeros_like(field: np.ndarray) -> np.ndarray:
    """A field of zeros."""
    return np.zeros_like(field)


def smooth(level, field: np.ndarray, rhs: np.ndarray | None, sweeps: int) -> None:
    """Red-black Gauss-Seidel, in place."""
    rhs = _NONE if rhs is None else rhs
    for _ in range(sweeps):
        for colour in (0, 1):
            _smooth(field, rhs, level.links, level.diagonal, level.free, colour)


def restricted_residual(level, coarser, field: np.ndarray, rhs: np.ndarray | None) -> np.ndarray:
    """The coarser level's right-hand side: twice the residuals of the free nodes that each coarse node stands for."""
    out = np.empty((*coarser.free.shape, field.shape[3]), np.float32)
    _restrict(out, field, _NONE if rhs is None else rhs, level.links, level.diagonal, level.free)
    return out


def add_interpolated(level, field: np.ndarray, coarse: np.ndarray) -> None:
    """Add the trilinear interpolation of a coarser field to the free nodes, in place."""
    _add_interpolated(field, coarse, level.free)


def defect(level, field: np.ndarray) -> float:
    """The most by which a free node is off the weighted mean of its neighbours."""
    return float(_defects(field, level.links, level.diagonal, level.free).max())


@numba.njit(inline="always")
def _residual(total, field, rhs, links, x, y, z):
    """`total` (C,): the right-hand side and what the six neighbours of a node add to it."""
    X, Y, Z, C = field.shape
    west, east = links[0, x - 1, y, z] if x > 0 else np.float32(0), links[0, x, y, z]
    south, north = links[1, x, y - 1, z] if y > 0 else np.float32(0), links[1, x, y, z]
    below, above = links[2, x, y, z - 1] if z > 0 else np.float32(0), links[2, x, y, z]
    at_west, at_east = field[max(x - 1, 0), y, z], field[min(x + 1, X - 1), y, z]
    at_south, at_north = field[x, max(y - 1, 0), z], field[x, min(y + 1, Y - 1), z]
    at_below, at_above = field[x, y, max(z - 1, 0)], field[x, y, min(z + 1, Z - 1)]
    for c in range(C):
        total[c] = (
            west * at_west[c] + east * at_east[c] + south * at_south[c]
            + north * at_north[c] + below * at_below[c] + above * at_above[c]
        )  # fmt: skip
    if rhs.size:
        here = rhs[x, y, z]
        for c in range(C):
            total[c] += here[c]


@numba.njit(parallel=True, cache=True)
def _smooth(field, rhs, links, diagonal, free, colour):
    X, Y, Z, C = field.shape
    for x in numba.prange(X):
        total = np.empty(C, np.float32)
        for y in range(Y):
            for z in range((x + y + colour) % 2, Z, 2):
                if free[x, y, z]:
                    _residual(total, field, rhs, links, x, y, z)
                    scale, here = np.float32(1.0) / diagonal[x, y, z], field[x, y, z]
                    for c in range(C):
                        here[c] = scale * total[c]


@numba.njit(parallel=True, cache=True)
def _restrict(out, field, rhs, links, diagonal, free):
    X, Y, Z, C = field.shape
    for block in numba.prange(out.shape[0]):
        total = np.empty(C, np.float32)
        out[block] = 0.0
        for x in range(2 * block, min(2 * block + 2, X)):
            for y in range(Y):
                for z in range(Z):
                    if free[x, y, z]:
                        _residual(total, field, rhs, links, x, y, z)
                        here, coarse = field[x, y, z], out[block, y // 2, z // 2]
                        centre = diagonal[x, y, z]
                        for c in range(C):
                            coarse[c] += np.float32(2.0) * (total[c] - centre * here[c])


@numba.njit(parallel=True, cache=True)
def _defects(field, links, diagonal, free):
    X, Y, Z, C = field.shape
    largest = np.zeros(X, np.float32)
    none = np.zeros((0, 0, 0, 0), np.float32)
    for x in numba.prange(X):
        total = np.empty(C, np.float32)
        worst = np.float32(0.0)
        for y in range(Y):
            for z in range(Z):
                if free[x, y, z]:
                    _residual(total, field, none, links, x, y, z)
                    scale, here = np.float32(1.0) / diagonal[x, y, z], field[x, y, z]
                    for c in range(C):
                        worst = max(worst, abs(scale * total[c] - here[c]))
        largest[x] = worst
    return largest


@numba.njit(parallel=True, cache=True)
def _add_interpolated(field, coarse, free):
    """Nodes lie at a quarter of the way from their coarse node to the next on their side."""
    X, Y, Z, C = field.shape
    for x in numba.prange(X):
        x0, x1 = x // 2, min(max(x // 2 + 2 * (x % 2) - 1, 0), coarse.shape[0] - 1)
        for y in range(Y):
            y0, y1 = y // 2, min(max(y // 2 + 2 * (y % 2) - 1, 0), coarse.shape[1] - 1)
            near0, near1 = coarse[x0, y0], coarse[x0, y1]
            far0, far1 = coarse[x1, y0], coarse[x1, y1]
            for z in range(Z):
                if not free[x, y, z]:
                    continue
                z0, z1 = z // 2, min(max(z // 2 + 2 * (z % 2) - 1, 0), coarse.shape[2] - 1)
                a, b, c, d = near0[z0], near0[z1], near1[z0], near1[z1]
                e, f, g, h = far0[z0], far0[z1], far1[z0], far1[z1]
                here = field[x, y, z]
                for k in range(C):
                    here[k] += (
                        np.float32(27) * a[k] + np.float32(9) * (b[k] + c[k] + e[k])
                        + np.float32(3) * (d[k] + f[k] + g[k]) + h[k]
                    ) * np.float32(1 / 64)  # fmt: skip
