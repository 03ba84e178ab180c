"""Forward kinematics of one pose on the CPU, compiled: a frame waits for it, and it is far too small for a GPU."""

import numba
import numpy as np


@numba.njit(cache=True)
def chain(
    pose: np.ndarray, joints: np.ndarray, parents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Quaternions wxyz (J, 4) and places (J, 3) of all joints; the root stays where it rests.

    pose: (3 J,) axis-angle. joints: (J, 3) at rest. parents: (J,), each before its children.
    """
    quats, places = np.empty((len(joints), 4)), joints.copy()
    for j in range(len(joints)):
        local = _quaternion(pose[3 * j : 3 * j + 3])
        if parents[j] < 0:
            quats[j] = local
            continue
        quats[j] = _product(quats[parents[j]], local)
        bone = joints[j] - joints[parents[j]]
        places[j] = places[parents[j]] + _matrix(quats[parents[j]]) @ bone
    return quats, places


@numba.njit(cache=True)
def from_rest(
    quats: np.ndarray,
    places: np.ndarray,
    quats0: np.ndarray,
    places0: np.ndarray,
    parents: np.ndarray,
) -> np.ndarray:
    """(J, 16) float64 of each joint from frame 0 to its frame: 9 linear, 3 translation, 4 quaternion.

    Each quaternion is on the side of its parent's.
    """
    out = np.empty((len(quats), 16))
    for j in range(len(quats)):
        conjugate = quats0[j] * np.array([1.0, -1.0, -1.0, -1.0])
        turn = _product(quats[j], conjugate)
        if parents[j] >= 0 and (turn * out[parents[j], 12:]).sum() < 0:
            turn = -turn
        linear = _matrix(turn)
        out[j, :9] = linear.ravel()
        out[j, 9:12] = places[j] - linear @ places0[j]
        out[j, 12:] = turn
    return out


@numba.njit(cache=True)
def _quaternion(rotvec: np.ndarray) -> np.ndarray:
    angle = np.sqrt((rotvec * rotvec).sum())
    factor = 0.5 - angle * angle / 48.0 if angle < 1e-4 else np.sin(0.5 * angle) / angle
    return np.array(
        [np.cos(0.5 * angle), factor * rotvec[0], factor * rotvec[1], factor * rotvec[2]]
    )


@numba.njit(cache=True)
def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array(
        [
            a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
            a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
            a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
            a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
        ]
    )


@numba.njit(cache=True)
def _matrix(q: np.ndarray) -> np.ndarray:
    w, x, y, z = q[0], q[1], q[2], q[3]
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
