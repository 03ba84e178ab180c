"""`smpl_params.npz` as multi-view avatar datasets ship it, and any npz with smplx's own names; SMPL (69) or SMPL-X (63)."""

import numpy as np

from avatarpipe.body.params import SIZES
from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.reading import ReadOptions, rate, smpl_params, smplx_params, upright

EXPECTS = "npz with global_orient, body_pose and transl"
FPS = 30.0  # the file does not say; most such captures are filmed at 30
_NEEDED = {"global_orient", "body_pose", "transl"}
_HANDS = ("left_hand_pose", "right_hand_pose")


def recognises(content: Content) -> bool:
    """Whether the npz has smplx's names."""
    return content.kind == "npz" and content.keys >= _NEEDED


def read(content: Content, options: ReadOptions) -> Motion:
    """The poses in their own world, taken for y up; full hands as they stand, by option where there are none."""
    orient = content.array("global_orient", (None, 3))
    count = len(orient)
    body_pose = content.array("body_pose", (count, None))
    if body_pose.shape[1] not in (63, 69):
        content.fail(
            f"body_pose has {body_pose.shape[1]} columns, expected 63 (SMPL-X) or 69 (SMPL)"
        )
    if body_pose.shape[1] == 69:
        transl = content.array("transl", (count, 3))
        params = smpl_params(np.hstack([orient, body_pose]), transl, options)
    else:
        fields = {"global_orient": orient, "body_pose": body_pose} | _others(content, count)
        params = smplx_params(fields, options, hands_given=content.keys >= set(_HANDS))
    gender = content.gender("gender") if "gender" in content.keys else "neutral"
    fps = content.rate("fps") if "fps" in content.keys else FPS
    return upright(Motion(rate(fps, options), params, gender), "y", options)


def _others(content: Content, count: int) -> dict[str, np.ndarray]:
    fields = {"betas": content.optional("betas", (None, None))}
    fields["expression"] = content.optional("expression", (None, None))
    for name in ("transl", "jaw_pose", "leye_pose", "reye_pose", *_HANDS):
        fields[name] = content.optional(name, (count, SIZES[name]))
    present = {name: array for name, array in fields.items() if array is not None}
    if len(present.get("expression", ())) not in (0, count):
        present["expression"] = np.repeat(present["expression"][:1], count, axis=0)
    return present
