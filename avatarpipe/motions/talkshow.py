"""TalkSHOW (Yi et al. 2023): SHOW's pickled fits and the 265 numbers a frame that its networks speak; 30 frames a second.

Both hold hands without their mean (flat_hand_mean=False): 12 PCA coefficients in the pickles, 45 angles in the vectors.
"""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.reading import ReadOptions, rate, smplx_params, upright

EXPECTS = "pickle with body_pose_axis, or npy of (F, 265) numbers"
FPS = 30.0
WIDTH = 265
COLUMNS = {
    "jaw_pose": slice(0, 3), "leye_pose": slice(3, 6), "reye_pose": slice(6, 9),
    "global_orient": slice(9, 12), "body_pose": slice(12, 75), "left_hand_pose": slice(75, 120),
    "right_hand_pose": slice(120, 165), "expression": slice(165, 265),
}  # fmt: skip
_FACE = ("jaw_pose", "leye_pose", "reye_pose")


def recognises(content: Content) -> bool:
    """Whether the file is one of the two."""
    if content.kind == "pickle":
        return "body_pose_axis" in _fit(content).keys
    return len(content.shape) == 2 and content.shape[1] == WIDTH


def read(content: Content, options: ReadOptions) -> Motion:
    """The clip, y up, hands decoded and their mean added; of 300 betas and 100 expressions the first ten of each."""
    if content.kind == "pickle":
        return _read_fit(_fit(content), options)
    rows = content.checked(content.data, "the array", (None, WIDTH))
    fields = {name: rows[:, part] for name, part in COLUMNS.items()}
    motion = Motion(rate(FPS, options), smplx_params(_with_hands(fields, options), options))
    turned = upright(motion, _up_of(fields["global_orient"]), options)
    return _in_place(turned)  # the vectors have no transl, so there is none to turn


def _read_fit(fit: Content, options: ReadOptions) -> Motion:
    """A SHOW fit: in the frame of its camera, y down."""
    body_pose = fit.rows("body_pose_axis", 63)
    count = len(body_pose)
    fields = {name: fit.array(name, (count, 3)) for name in (*_FACE, "global_orient", "transl")}
    fields |= {"body_pose": body_pose, "expression": fit.array("expression", (count, None))}
    fields |= {"betas": fit.array("betas", (None,))}
    fields |= {f"{side}_hand_pose": _hand(fit, side, count) for side in ("left", "right")}
    motion = Motion(rate(FPS, options), smplx_params(_with_hands(fields, options), options))
    return upright(motion, "-y", options)


def _fit(content: Content) -> Content:
    """The dict of a fit, be it alone or the one element of a list."""
    data = content.data
    if isinstance(data, (list, tuple)) and len(data) == 1:
        data = data[0]
    return Content(content.path, content.kind, data)


def _hand(fit: Content, side: str, count: int) -> np.ndarray:
    hand = fit.array(f"{side}_hand_pose", (count, None))
    if not 1 <= hand.shape[1] <= 45:
        fit.fail(f"{side}_hand_pose has {hand.shape[1]} columns; 12 PCA coefficients were expected")
    return hand


def _with_hands(fields: dict, options: ReadOptions) -> dict:
    """The fields with full hands: 45 numbers are angles without the mean, fewer are PCA coefficients."""
    full = {}
    for side in ("left", "right"):
        hand = fields[f"{side}_hand_pose"]
        if hand.shape[1] == 45:
            full[f"{side}_hand_pose"] = hand + options.body.hand_pca(side)[1]
        else:
            full[f"{side}_hand_pose"] = options.body.decode_hand(hand, side)
    return fields | full


def _up_of(global_orient: np.ndarray) -> str:
    """Whether bodies stand on their heads, as they do in a camera's frame: "-y", else "y"."""
    heads = Rotation.from_rotvec(global_orient).apply([0.0, 1.0, 0.0])[:, 1]
    return "-y" if np.median(heads) < 0 else "y"


def _in_place(motion: Motion) -> Motion:
    poses = motion.poses.replaced(transl=torch.zeros_like(motion.poses.transl))
    return Motion(motion.fps, poses, motion.gender, motion.valid)
