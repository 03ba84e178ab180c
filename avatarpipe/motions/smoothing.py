"""Motions made gentler: jitter averaged away, and the habits of marker-based fits taken back."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.errors import InputError
from avatarpipe.motions.motion import Motion

_ROTATIONS = (
    "global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose",
)  # fmt: skip
COLLAR = 0.25
"""Radians by which `repaired` raises the shoulders."""


def smoothed(motion: Motion, frames: int) -> Motion:
    """Each frame the mean of the `frames` (odd) around it; at the ends the first and last frame count again.

    Rotations are averaged as unit quaternions on one side of their sphere, which is their mean to second order in how far
    they differ. InputError where `frames` is even or not positive.
    """
    if frames < 1 or frames % 2 == 0:
        raise InputError(f"smoothing over {frames} frames: an odd number from 1 was expected.")
    if frames == 1:
        return motion
    count, half = len(motion), frames // 2
    around = np.clip(np.arange(count)[:, None] + np.arange(-half, half + 1), 0, count - 1)
    arrays = {name: value.double().numpy() for name, value in motion.poses.items()}
    for name in arrays:
        if name in _ROTATIONS:
            arrays[name] = _mean_rotation(arrays[name], around)
        elif name != "betas":
            arrays[name] = arrays[name][around].mean(axis=1)
    changed = {name: torch.from_numpy(array).float() for name, array in arrays.items()}
    return replace(motion, poses=motion.poses.replaced(**changed))


def _mean_rotation(rotvecs: np.ndarray, around: np.ndarray) -> np.ndarray:
    """(F, 3 J) axis-angle, each the mean of the rows that `around` (F, W) lists for it; the middle one leads."""
    quats = Rotation.from_rotvec(rotvecs.reshape(-1, 3)).as_quat().reshape(len(rotvecs), -1, 4)
    near = quats[around]  # (F, W, J, 4)
    sides = np.sign((near * quats[:, None]).sum(axis=-1, keepdims=True))
    mean = (np.where(sides == 0, 1.0, sides) * near).mean(axis=1)
    return Rotation.from_quat(mean.reshape(-1, 4)).as_rotvec().reshape(len(rotvecs), -1)


def repaired(motion: Motion, collar: float = COLLAR) -> Motion:
    """What animators of AMASS's fits do: shoulders raised by `collar` radians, wrists straight, the head not nodding.

    Marker-based fits let shoulders droop and bend wrists that bear no marker. As published, angles are changed in place:
    z of both collars, all of both wrists, x of the head.
    """
    pose = motion.poses.body_pose.clone().view(len(motion), 21, 3)
    left, right, head = (_row(name) for name in ("left_collar", "right_collar", "head"))
    pose[:, left, 2] += collar
    pose[:, right, 2] -= collar
    pose[:, head, 0] = 0.0
    pose[:, [_row("left_wrist"), _row("right_wrist")]] = 0.0
    return replace(motion, poses=motion.poses.replaced(body_pose=pose.view(len(motion), 63)))


def _row(joint: str) -> int:
    """Of a joint in body_pose, which leaves the root out."""
    return JOINT_NAMES.index(joint) - 1
