"""Poses between key frames: rotations along the shortest arc, everything else along a line."""

import numpy as np
from scipy.spatial.transform import Rotation, Slerp


def slerp(key_times: np.ndarray, rotvecs: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(T, N, 3) axis-angle at `times` of N joints given at increasing `key_times` (K,) as (K, N, 3).

    Before the first key and after the last the nearest key holds (Shoemake 1985 for what lies between).
    """
    times = np.clip(times, key_times[0], key_times[-1])
    if len(key_times) == 1:
        return np.repeat(rotvecs, len(times), axis=0)
    joints = [
        Slerp(key_times, Rotation.from_rotvec(rotvecs[:, joint]))(times).as_rotvec()
        for joint in range(rotvecs.shape[1])
    ]
    return np.stack(joints, axis=1)


def lerp(key_times: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(T, ...) linear interpolation of `values` (K, ...); the ends hold."""
    flat = values.reshape(len(values), -1)
    columns = [np.interp(times, key_times, column) for column in flat.T]
    return np.stack(columns, axis=1).reshape(len(times), *values.shape[1:])


def interpolated_cameras(key_times: np.ndarray, w2c: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(T, 4, 4) w2c whose centres move along lines and whose rotations along shortest arcs."""
    rotations = Rotation.from_matrix(w2c[:, :3, :3])
    centres = -np.einsum("kji,kj->ki", w2c[:, :3, :3], w2c[:, :3, 3])
    rotvecs = slerp(key_times, rotations.as_rotvec()[:, None], times)[:, 0]
    result = np.tile(np.eye(4), (len(times), 1, 1))
    result[:, :3, :3] = Rotation.from_rotvec(rotvecs).as_matrix()
    moved = lerp(key_times, centres, times)
    result[:, :3, 3] = -np.einsum("tij,tj->ti", result[:, :3, :3], moved)
    return result


def between_valid(valid: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(T,) whether every key that a fractional key index in `positions` lies between (or on) is valid."""
    low = np.floor(positions + 1e-9).astype(int)
    on_key = np.abs(positions - low) < 1e-9
    high = np.where(on_key, low, low + 1)
    return valid[low] & valid[np.minimum(high, len(valid) - 1)]
