"""AMASS (Mahmood et al. 2019): SMPL-H `*_poses.npz` and SMPL-X `*_stageii.npz`, z up, metres, hands in full."""

from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.reading import ReadOptions, rate, smpl_params, smplx_params, upright

EXPECTS = "npz with poses (F, 156 or 165), trans and mocap_framerate or mocap_frame_rate"
_RATES = ("mocap_framerate", "mocap_frame_rate")
_SMPLH, _SMPLX = 156, 165


def recognises(content: Content) -> bool:
    """Whether the file is a sequence of AMASS; its shape.npz files hold no poses and are none."""
    return content.kind == "npz" and "poses" in content.keys and _rate_name(content) is not None


def read(content: Content, options: ReadOptions) -> Motion:
    """The sequence, y up; SMPL-H keeps its hands and takes the body's mean shape, SMPL-X keeps its first ten betas."""
    poses = content.array("poses", (None, None))
    if poses.shape[1] not in (_SMPLH, _SMPLX):
        content.fail(f"poses has {poses.shape[1]} columns, expected 156 (SMPL-H) or 165 (SMPL-X)")
    transl = content.array("trans", (len(poses), 3))
    name = _rate_name(content)
    if name is None:
        content.fail("mocap_framerate and mocap_frame_rate are both missing")
    if poses.shape[1] == _SMPLH:
        params = smpl_params(
            poses[:, :66], transl, options,
            left_hand_pose=poses[:, 66:111], right_hand_pose=poses[:, 111:156],
        )  # fmt: skip
    else:
        params = smplx_params(_smplx_fields(poses, content) | {"transl": transl}, options)
    motion = Motion(rate(content.rate(name), options), params, content.gender("gender"))
    return upright(motion, "z", options)


def _smplx_fields(poses, content: Content) -> dict:
    return {
        "betas": content.array("betas", (None,)),
        "global_orient": poses[:, :3], "body_pose": poses[:, 3:66], "jaw_pose": poses[:, 66:69],
        "leye_pose": poses[:, 69:72], "reye_pose": poses[:, 72:75],
        "left_hand_pose": poses[:, 75:120], "right_hand_pose": poses[:, 120:165],
    }  # fmt: skip


def _rate_name(content: Content) -> str | None:
    return next((name for name in _RATES if name in content.keys), None)
