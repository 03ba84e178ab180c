"""Turning, scaling and moving the world that cameras and bodies stand in."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.normalization import moved_poses
from avatarpipe.datasets.multiview import MultiViewSource
from avatarpipe.errors import InputError

# Rotations that bring the named axis to +Y; of Z-up worlds (x, y, z) -> (x, z, -y).
_TO_Y_UP = {
    "+y": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "-y": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    "+z": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "-z": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "+x": [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
    "-x": [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
}


def similarity(scale: float = 1.0, matrix: Sequence[Sequence[float]] | None = None) -> np.ndarray:
    """(4, 4) from the calibration's world to the bodies' metric one: `matrix`, or `scale` metres a unit.

    InputError where the matrix is no rotation times one scale above 0, with a translation.
    """
    try:
        found = np.asarray(np.diag([scale] * 3 + [1.0]) if matrix is None else matrix, np.float64)
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
            "options scale and transform: expected a rotation times one scale above 0 (the determinant is "
            f"{factor**3:.3g})."
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


def upright(source: MultiViewSource, up: str, body: Body) -> MultiViewSource:
    """The source in a world whose +Y is up, cameras and bodies turned together.

    up: the axis of the source's world that points up, such as "+z", or "body": where the bodies' own up points on average.
    """
    turn = np.eye(4)
    turn[:3, :3] = _turn(up, source.poses)
    if np.array_equal(turn, np.eye(4)):
        return source
    cameras = replace(source.cameras, w2c=moved(source.cameras.w2c, turn))
    poses = moved_poses(body, source.poses, turn)
    return replace(source, cameras=cameras, poses=poses, world=turn @ source.world)


def mean_up(poses: BodyParams) -> np.ndarray:
    """(3,) unit vector, where the pelvises' own up points on average."""
    ups = Rotation.from_rotvec(poses.global_orient.double().numpy()).apply([0.0, 1.0, 0.0])
    return ups.mean(axis=0) / np.linalg.norm(ups.mean(axis=0))


def _turn(up: str, poses: BodyParams) -> np.ndarray:
    if up != "body":
        if up not in _TO_Y_UP:
            raise InputError(f"option up is {up!r}: use one of {', '.join(_TO_Y_UP)}, body.")
        return np.array(_TO_Y_UP[up], np.float64)
    mean = mean_up(poses)
    axis = np.cross(mean, [0.0, 1.0, 0.0])
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return np.array(_TO_Y_UP["+y" if mean[1] > 0 else "-y"], np.float64)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, mean[1])).as_matrix()
