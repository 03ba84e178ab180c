"""The 55 joints of a body by part, and where each stands among the numbers of a pose."""

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.body.params import BodyParams

_START = {
    0: "global_orient", 1: "body_pose", 22: "jaw_pose", 23: "leye_pose", 24: "reye_pose",
    25: "left_hand_pose", 40: "right_hand_pose",
}  # fmt: skip


def _arm(side: str) -> list[str]:
    return [f"{side}_{name}" for name in ("collar", "shoulder", "elbow", "wrist")]


def _leg(side: str) -> list[str]:
    return [f"{side}_{name}" for name in ("hip", "knee", "ankle", "foot")]


PARTS = {
    "left arm": _arm("left"),
    "right arm": _arm("right"),
    "left leg": _leg("left"),
    "right leg": _leg("right"),
    "torso": ["pelvis", "spine1", "spine2", "spine3"],
    "head": ["neck", "head", "jaw", "left_eye", "right_eye"],
    "left hand": JOINT_NAMES[25:40],
    "right hand": JOINT_NAMES[40:55],
}
"""Joints of each part, from the trunk outwards; every joint is in one part."""


def place(joint: str) -> tuple[str, int]:
    """(field of BodyParams, first of its three numbers there) of a joint."""
    index = JOINT_NAMES.index(joint)
    first = max(start for start in _START if start <= index)
    return _START[first], 3 * (index - first)


def turn(params: BodyParams, joint: str) -> list[float]:
    """The joint's rotation vector, radians, of the one body in `params`."""
    field, start = place(joint)
    return getattr(params, field)[0, start : start + 3].tolist()


def turned(params: BodyParams, joint: str, rotation: list[float]) -> BodyParams:
    """The same body with the joint turned by a rotation vector, radians, relative to its parent."""
    field, start = place(joint)
    value = getattr(params, field).clone()
    value[0, start : start + 3] = value.new_tensor(rotation)
    return params.replaced(**{field: value})
