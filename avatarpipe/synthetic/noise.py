"""Smooth random functions of space, the same for the same seed on every machine."""

import numba
import numpy as np


@numba.njit(cache=True)
def _hash(x, y, z, seed):
    h = np.uint32(x * 374761393 + y * 668265263 + z * 1440662683 + seed * 362437)
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(2246822519))
    return (h ^ (h >> np.uint32(15))) / 2147483647.5 - 1.0


@numba.njit(cache=True)
def _fade(f):
    return f * f * f * (f * (f * 6.0 - 15.0) + 10.0)


@numba.njit(cache=True)
def _value(x, y, z, seed):
    ix, iy, iz = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    fx, fy, fz = x - ix, y - iy, z - iz
    fx, fy, fz = _fade(fx), _fade(fy), _fade(fz)
    total = 0.0
    for dx in range(2):
        for dy in range(2):
            for dz in range(2):
                weight = fx if dx else 1.0 - fx
                weight *= fy if dy else 1.0 - fy
                weight *= fz if dz else 1.0 - fz
                total += weight * _hash(ix + dx, iy + dy, iz + dz, seed)
    return total


@numba.njit(cache=True)
def _fbm(points, seed, octaves):
    out = np.zeros(len(points))
    for i in range(len(points)):
        amplitude, scale, norm = 1.0, 1.0, 0.0
        for octave in range(octaves):
            p = points[i] * scale
            out[i] += amplitude * _value(p[0], p[1], p[2], seed + 101 * octave)
            norm += amplitude
            amplitude *= 0.5
            scale *= 2.03
        out[i] /= norm
    return out


def noise(points: np.ndarray, seed: int, octaves: int = 1) -> np.ndarray:
    """(N,) values in [-1, 1] at (N, 3) `points`; features are one unit wide, each octave half of the one before."""
    return _fbm(np.ascontiguousarray(points, np.float64), int(seed), int(octaves))


def ridges(points: np.ndarray, seed: int, octaves: int = 1) -> np.ndarray:
    """(N,) values in [0, 1] with sharp crests of 1, as cloth folds have."""
    return 1.0 - np.abs(noise(points, seed, octaves)) * 2.0 / (1.0 + 0.5 * (octaves > 1))


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between (falling where low > high)."""
    t = np.clip((np.asarray(x, np.float64) - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def bump(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    """A Gaussian hill of height 1."""
    return np.exp(-(((np.asarray(x) - centre) / width) ** 2))
