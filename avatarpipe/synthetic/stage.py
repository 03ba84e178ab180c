"""The cameras of a capture stage for video: rings around a person, near and far, no two lenses quite alike."""

import numpy as np

from avatarpipe.cameras import Cameras, look_at

HEIGHTS = (0.55, 1.25, 1.95)  # metres of the rings above the floor
NEAREST, FARTHEST = 1.9, 2.8  # metres from the middle
ASPECT = 1.0  # width over height: arms reach as far as a body is tall
_MARGIN = 1.05


def stage_cameras(count: int, height: int, points: np.ndarray, seed: int) -> Cameras:
    """`count` cameras, `height` pixels high, whose images hold the (N, 3) `points` of the whole motion.

    Neighbours stand at different heights. Focal lengths differ by some percent and principal points lie off the middle,
    as calibrated ones do. Named like AvatarReX's, by serial number.
    """
    rng = np.random.default_rng([seed, count, 5])
    width = round(height * ASPECT / 2) * 2
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    turns = 2 * np.pi * (np.arange(count) + rng.uniform(-0.2, 0.2, count)) / count
    w2c, K = [], []
    for number, turn in enumerate(turns):
        distance = rng.uniform(NEAREST, FARTHEST)
        above = HEIGHTS[(number * 2 + number // len(HEIGHTS)) % len(HEIGHTS)] + rng.uniform(
            -0.12, 0.12
        )
        centre = np.array(
            [middle[0] + distance * np.sin(turn), above, middle[2] + distance * np.cos(turn)]
        )
        target = middle + rng.normal(0.0, 0.015, 3)
        w2c.append(_rolled(look_at(centre, target), rng.normal(0.0, 0.01)))
        K.append(_intrinsics(w2c[-1], points, width, height, rng))
    names = tuple(f"{22010700 + k:08d}" for k in range(count))
    return Cameras(np.stack(w2c), np.stack(K), width, height, names)


def _rolled(w2c: np.ndarray, angle: float) -> np.ndarray:
    """Turned about the optical axis by `angle`."""
    roll = np.eye(4)
    roll[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return roll @ w2c


def _intrinsics(w2c, points: np.ndarray, width: int, height: int, rng) -> np.ndarray:
    """(3, 3) K that just holds `points`."""
    seen = points @ w2c[:3, :3].T + w2c[:3, 3]
    slopes = np.abs(seen[:, :2] / seen[:, 2:]).max(axis=0)
    off = rng.uniform(-0.015, 0.015, 2) * [width, height]
    room = np.array([width, height]) / 2 - np.abs(off)
    focal = (room / slopes).min() / _MARGIN * rng.uniform(0.96, 1.0)
    fx, fy = focal, focal * rng.uniform(0.998, 1.002)
    return np.array([[fx, 0, width / 2 + off[0]], [0, fy, height / 2 + off[1]], [0, 0, 1.0]])
