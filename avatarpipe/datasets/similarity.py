"""Turning, scaling and moving the world that cameras stand in."""

from collections.abc import Sequence

import numpy as np

from avatarpipe.errors import InputError

# Rotations that bring the named axis up to +Y, and leave the right hand right where up is forward-facing: Z-up (x, y, z) -> (x, z, -y).
_UP = {
    "+y": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "-y": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    "+z": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "-z": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "+x": [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
    "-x": [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
}


def similarity(
    scale: float = 1.0, up: str = "+y", matrix: Sequence[Sequence[float]] | None = None
) -> np.ndarray:
    """(4, 4) from the calibration's world to the body's: `matrix`, or the axis `up` turned to +Y and then `scale`.

    InputError where the matrix is no rotation times one positive scale and a translation, or the others are absurd.
    """
    if matrix is None:
        if up not in _UP:
            raise InputError(f"option up is {up!r}: use one of {', '.join(_UP)}.")
        matrix = np.eye(4)
        matrix[:3, :3] = float(scale) * np.array(_UP[up])
    try:
        found = np.asarray(matrix, np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (4, 4) or not np.isfinite(found).all() or (found[3] != [0, 0, 0, 1]).any():
        raise InputError(
            "option transform: expected 4 rows of 4 numbers, the last of them 0 0 0 1."
        )
    factor = np.cbrt(np.linalg.det(found[:3, :3]))
    if (
        not factor > 0
        or np.abs(found[:3, :3] @ found[:3, :3].T / factor**2 - np.eye(3)).max() > 1e-3
    ):
        raise InputError(
            f"option transform: the 3x3 part must be a rotation times one scale above 0 (determinant {factor**3:.3g})."
        )
    return found


def moved(w2c: np.ndarray, world: np.ndarray) -> np.ndarray:
    """(C, 4, 4) rigid w2c of the same cameras in the world that `world` (4, 4), a similarity, leads to.

    With x' = s R x + t, a camera that sees Rc x + tc sees s (Rc x + tc) = Rc R^T x' + (s tc - Rc R^T t): the same picture.
    """
    scale = np.cbrt(np.linalg.det(world[:3, :3]))
    rotation = w2c[:, :3, :3] @ (world[:3, :3] / scale).T
    result = np.tile(np.eye(4), (len(w2c), 1, 1))
    result[:, :3, :3] = rotation
    result[:, :3, 3] = scale * w2c[:, :3, 3] - rotation @ world[:3, 3]
    return result
