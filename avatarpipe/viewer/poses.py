"""Poses at the press of a button: the T-pose, one at random."""

import numpy as np
import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.viewer.joints import place

# Standard deviations, radians, about x, y, z: what keeps limbs out of the trunk most of the time.
_SPREAD = {
    "spine1": (0.12, 0.15, 0.08), "spine2": (0.1, 0.15, 0.08), "spine3": (0.08, 0.12, 0.08),
    "neck": (0.12, 0.2, 0.1), "head": (0.12, 0.2, 0.1),
    "collar": (0.03, 0.06, 0.06), "shoulder": (0.25, 0.35, 0.35), "wrist": (0.2, 0.15, 0.2),
    "hip": (0.3, 0.12, 0.1), "ankle": (0.12, 0.08, 0.05),
}  # fmt: skip
_ARMS_DOWN = 0.6  # mean turn of the shoulders about z: hanging halfway
_BENT = 0.45  # standard deviation of elbows and knees, which bend one way only


def t_pose(standing: BodyParams) -> BodyParams:
    """Arms and hands straight, facing +Z, shape and pelvis as in `standing` (one body)."""
    return BodyParams.zeros().replaced(betas=standing.betas, transl=standing.transl)


def random_pose(standing: BodyParams, rng: np.random.Generator) -> BodyParams:
    """A person doing something, shape and pelvis as in `standing`; anatomy is respected by and large only."""
    pose = torch.zeros(1, 63)
    for joint, spread in _SPREAD.items():
        paired = joint in ("collar", "shoulder", "wrist", "hip", "ankle")
        for name in (f"left_{joint}", f"right_{joint}") if paired else (joint,):
            _set(pose, name, rng.normal(0.0, spread))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        _, start = place(f"{side}_shoulder")
        pose[0, start + 2] -= sign * _ARMS_DOWN
        _set(pose, f"{side}_elbow", (0.0, -sign * abs(rng.normal(0, _BENT)), 0.0))
        _set(pose, f"{side}_knee", (abs(rng.normal(0, _BENT)), 0.0, 0.0))
    return t_pose(standing).replaced(body_pose=pose)


def _set(pose: torch.Tensor, joint: str, rotation) -> None:
    _, start = place(joint)
    pose[0, start : start + 3] = torch.as_tensor(np.asarray(rotation), dtype=torch.float32)
