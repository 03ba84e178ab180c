"""What cloth is woven or printed like: colour as a function of position on the cloth in metres."""

from dataclasses import dataclass

import numpy as np

from avatarpipe.synthetic.noise import noise, smoothstep


@dataclass(frozen=True)
class Fabric:
    """kind: plain, stripes, pinstripes, checks, dots, print, denim, knit. size: metres of one repeat."""

    kind: str
    base: tuple[float, float, float]
    second: tuple[float, float, float]
    third: tuple[float, float, float]
    size: float
    seed: int


def fabric_color(fabric: Fabric, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(N, 3) sRGB at cloth coordinates u across and v along, metres."""
    base = np.broadcast_to(np.array(fabric.base), (len(u), 3))
    color = _PATTERNS[fabric.kind](fabric, u, v, base)
    thread = noise(np.column_stack([u, v, 0 * u]) / 0.004, fabric.seed + 9, 2)
    patch = noise(np.column_stack([u, v, 0 * u]) / 0.12, fabric.seed + 5, 2)
    return np.clip(color * (1.0 + 0.035 * thread + 0.04 * patch)[:, None], 0.0, 1.0)


def _mix(a: np.ndarray, b, amount: np.ndarray) -> np.ndarray:
    return a + (np.asarray(b) - a) * amount[:, None]


def _band(x: np.ndarray, low: float, high: float, soft: float = 0.04) -> np.ndarray:
    """1 where the fraction of x lies between low and high, soft at both ends."""
    x = x - np.floor(x)
    return smoothstep(x, low - soft, low + soft) * smoothstep(x, high + soft, high - soft)


def _plain(fabric, u, v, color):
    return color


def _stripes(fabric, u, v, color):
    color = _mix(color, fabric.second, _band(v / fabric.size, 0.1, 0.55))
    return _mix(color, fabric.third, _band(v / fabric.size, 0.72, 0.82))


def _pinstripes(fabric, u, v, color):
    return _mix(color, fabric.second, 0.8 * _band(u / fabric.size, 0.4, 0.55, 0.08))


def _checks(fabric, u, v, color):
    for x in (u, v):
        color = _mix(color, fabric.second, 0.55 * _band(x / fabric.size, 0.08, 0.5))
    for x in (u, v):
        color = _mix(color, fabric.third, 0.75 * _band(x / fabric.size, 0.74, 0.82, 0.025))
    return color


def _cell(u, v, size, shift=0.5):
    """Position relative to the nearest centre of a staggered lattice, and the cell's ids."""
    row = np.floor(v / size)
    x = u / size + shift * (row % 2)
    return x - np.floor(x) - 0.5, v / size - row - 0.5, np.floor(x), row


def _dots(fabric, u, v, color):
    x, y, _, _ = _cell(u, v, fabric.size)
    return _mix(color, fabric.second, smoothstep(np.hypot(x, y), 0.26, 0.20))


def _print(fabric, u, v, color):
    """Scattered five-petalled flowers with leaves."""
    x, y, column, row = _cell(u, v, fabric.size)
    ids = np.column_stack([column, row, 0 * row]) + 0.5
    x, y = x + 0.16 * noise(ids * 1.7, fabric.seed), y + 0.16 * noise(ids * 1.7, fabric.seed + 1)
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    turn = 3.0 * noise(ids * 1.3, fabric.seed + 2)
    petal = 0.20 + 0.08 * np.cos(5 * (angle + turn))
    leaf = smoothstep(np.abs(np.hypot(x - 0.27, y + 0.1)), 0.13, 0.10)
    color = _mix(color, (0.33, 0.43, 0.30), leaf)
    color = _mix(color, fabric.second, smoothstep(radius - petal, 0.03, -0.02))
    return _mix(color, fabric.third, smoothstep(radius, 0.09, 0.06))


def _denim(fabric, u, v, color):
    twill = _band((u + 0.6 * v) / 0.006, 0.2, 0.6, 0.15)
    slub = noise(np.column_stack([u / 0.0035, v / 0.03, 0 * u]), fabric.seed, 2)
    color = _mix(color, fabric.second, np.clip(0.16 * twill + 0.14 * slub + 0.08, 0, 1))
    return color


def _knit(fabric, u, v, color):
    rib = 0.5 + 0.5 * np.cos(2 * np.pi * u / 0.009)
    return color * (0.86 + 0.14 * rib)[:, None]


_PATTERNS = {
    "plain": _plain, "stripes": _stripes, "pinstripes": _pinstripes, "checks": _checks, "dots": _dots,
    "print": _print, "denim": _denim, "knit": _knit,
}  # fmt: skip


def seam(distance: np.ndarray, width: float = 0.004) -> np.ndarray:
    """(N,) darkening factor of a stitched seam at distance 0: a groove."""
    return 1.0 - 0.35 * np.exp(-((distance / width) ** 2))


def creased(fold: np.ndarray) -> np.ndarray:
    """(N,) factor for cloth displaced by `fold` metres: crests catch light, valleys keep the dark."""
    return 1.0 + 0.16 * np.tanh(fold / 0.006)


def stitches(across: np.ndarray, along: np.ndarray, offset: float) -> np.ndarray:
    """(N,) 0..1 coverage of a dashed thread that runs at `offset` metres beside a seam."""
    line = np.exp(-(((across - offset) / 0.0016) ** 2))
    return line * _band(along / 0.008, 0.15, 0.7, 0.1)
