"""Names for regions of the free body: one part a vertex, and groups that a painter of subjects can use.

Skin regions come from the UV masks that ship with the data (lips, ears, nails, ...), the rest from geometry.
"""

from itertools import pairwise

import numpy as np
from PIL import Image

from avatarpipe.body.free.assets import data_folder, require_asset
from avatarpipe.body.free.joints import INDEX, NAMES

PARTS = (
    "head", "neck", "torso", "hips", "eyes", "mouth_inside",
    "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm", "left_hand", "right_hand",
    "left_thigh", "right_thigh", "left_shin", "right_shin", "left_foot", "right_foot",
)  # fmt: skip
_MASKS = {
    "lips": "lips", "eyelids": "eyelids", "ears": "ears", "face": "face", "mouth_inside": "inside-mouth",
    "fingernails": "fingernails", "toenails": "toenails",
}  # fmt: skip
_IRIS_RADIUS = 0.0062
_LIMB_PARTS = {
    "collar": "torso", "shoulder": "{}_upper_arm", "elbow": "{}_forearm", "wrist": "{}_hand",
    "hip": "{}_thigh", "knee": "{}_shin", "ankle": "{}_foot", "foot": "{}_foot", "eye": "head",
}  # fmt: skip


def _part_of_joint(joint: str) -> str:
    trunk = {"pelvis": "hips", "jaw": "head"} | {f"spine{k}": "torso" for k in (1, 2, 3)}
    side, _, rest = joint.partition("_")
    if not rest:
        return trunk.get(joint, joint)
    return _LIMB_PARTS.get(rest, "{}_hand").format(side)


def vertex_parts(weights: np.ndarray, groups: dict[str, np.ndarray]) -> np.ndarray:
    """(V,) uint8 index into PARTS: the part of the joint that moves a vertex most."""
    of_joint = np.array([PARTS.index(_part_of_joint(name)) for name in NAMES], np.uint8)
    parts = of_joint[weights.argmax(1)]
    for name in ("eyes", "mouth_inside"):
        parts[groups[name]] = PARTS.index(name)
    return parts


def vertex_groups(
    template, weights, eyes, joints, uv_of_vertex, brow_lines
) -> dict[str, np.ndarray]:
    """Group name -> sorted vertex indices.

    uv_of_vertex (V, 2); brow_lines: two (5, 3) polylines along the brows.
    """
    groups = {name: _masked(mask, uv_of_vertex) & ~eyes for name, mask in _MASKS.items()}
    groups["eyes"] = eyes
    for side, sign in (("left", 1), ("right", -1)):
        ball = eyes & (template[:, 0] * sign > 0)
        off_axis = np.linalg.norm((template - joints[INDEX[f"{side}_eye"]])[:, :2], axis=1)
        front = ball & (template[:, 2] > template[ball, 2].mean())
        groups[f"{side}_eye"] = ball
        groups[f"{side}_iris"] = front & (off_axis < _IRIS_RADIUS)
    head = weights[:, [INDEX["head"], INDEX["jaw"]]].sum(1) > 0.5
    skin = head & ~eyes & ~groups["mouth_inside"]
    groups["brows"] = skin & (_distance_to_lines(template, brow_lines) < 0.0045)
    groups["scalp"] = skin & ~groups["ears"] & _behind_hairline(template, joints)
    groups["beard"] = skin & _beard_region(template, joints) & ~groups["lips"]
    return {name: np.flatnonzero(mask) for name, mask in groups.items()}


def _masked(name: str, uvs: np.ndarray) -> np.ndarray:
    path = require_asset(data_folder() / "mpfb2" / "textures" / f"mpfb_{name}.jpg")
    with Image.open(path) as picture:
        mask = np.asarray(picture.convert("L"))
    rows = np.clip(((1 - uvs[:, 1]) * mask.shape[0]).astype(int), 0, mask.shape[0] - 1)
    columns = np.clip((uvs[:, 0] * mask.shape[1]).astype(int), 0, mask.shape[1] - 1)
    return mask[rows, columns] > 127


def _distance_to_lines(points: np.ndarray, lines: list[np.ndarray]) -> np.ndarray:
    nearest = np.full(len(points), np.inf)
    for start, end in ((a, b) for line in lines for a, b in pairwise(line)):
        along = (points - start) @ (end - start) / ((end - start) @ (end - start))
        foot = start + np.clip(along, 0, 1)[:, None] * (end - start)
        nearest = np.minimum(nearest, np.linalg.norm(points - foot, axis=1))
    return nearest


def _behind_hairline(template: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Above a hairline that runs from the forehead past the temples and behind the ears to the nape."""
    eye = joints[INDEX["left_eye"]]
    back = eye[2] - template[:, 2]
    line = np.interp(
        back, [-0.02, 0.03, 0.055, 0.085, 0.115, 0.16], [0.075, 0.062, 0.045, 0.0, -0.035, -0.05]
    )
    return template[:, 1] > eye[1] + line


def _beard_region(template: np.ndarray, joints: np.ndarray) -> np.ndarray:
    eye = joints[INDEX["left_eye"]]
    back = eye[2] - template[:, 2]
    below = eye[1] - template[:, 1]
    line = np.interp(back, [-0.02, 0.0, 0.05, 0.085], [0.052, 0.060, 0.050, 0.02])
    return (below > line) & (below < 0.15) & (back < 0.085)
