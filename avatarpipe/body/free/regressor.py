"""A sparse joint regressor: each joint is a convex mix of skin vertices around it.

As in SMPL (Loper et al. 2015, section 4.2): non-negative least squares, here against joints that are known
exactly over the whole shape space. Convex mixes keep joints inside the limbs for any shape.
"""

import numpy as np
from scipy.optimize import nnls

from avatarpipe.body.free.joints import NAMES, PARENTS
from avatarpipe.body.free.shape_space import ShapeSpace

_CANDIDATES = 160
_SUM_WEIGHT = 10.0
_MEAN_WEIGHT = 3.0
_EYES = ("left_eye", "right_eye")


def fit_joint_regressor(
    space: ShapeSpace, weights: np.ndarray, still: np.ndarray, eyes: np.ndarray
):
    """(55, V) rows that sum to 1.

    weights (V, 55); still (V,) bool: vertices that no expression moves; eyes (V,) bool: eyeballs.
    """
    rows = np.zeros((len(NAMES), len(space.mean)))
    for joint, name in enumerate(NAMES):
        owners = [joint] if name in _EYES else [joint, max(PARENTS[joint], 0)]
        allowed = still & (weights[:, owners].sum(1) > 0.15) & (eyes if name in _EYES else ~eyes)
        chosen = _around(space.joint_mean[joint], space.mean, np.flatnonzero(allowed))
        solution = _convex_mix(space, joint, chosen)
        rows[joint, chosen] = solution / solution.sum()
    return rows


def _around(joint: np.ndarray, vertices: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(vertices[allowed] - joint, axis=1)
    return allowed[np.argsort(distance, kind="stable")[:_CANDIDATES]]


def _convex_mix(space: ShapeSpace, joint: int, chosen: np.ndarray) -> np.ndarray:
    """Non-negative mix of `chosen` that follows the joint's mean and its change with every beta."""
    modes = space.directions[chosen].transpose(2, 1, 0).reshape(-1, len(chosen))
    wanted_modes = space.joint_directions[joint].T.ravel()
    system = np.concatenate(
        [_MEAN_WEIGHT * space.mean[chosen].T, modes, _SUM_WEIGHT * np.ones((1, len(chosen)))]
    )
    wanted = np.concatenate([_MEAN_WEIGHT * space.joint_mean[joint], wanted_modes, [_SUM_WEIGHT]])
    return nnls(system, wanted)[0]
