"""3DPW (von Marcard et al. 2018): SMPL of one or two people at 30 frames a second, filmed by one moving camera."""

from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.reading import ReadOptions, chosen, rate, smpl_params, upright

EXPECTS = "pickle with poses, trans, genders and cam_poses (lists with an entry for each person)"
FPS = 30.0


def recognises(content: Content) -> bool:
    """Whether the file is a sequence of 3DPW."""
    return content.kind == "pickle" and {"poses", "trans", "cam_poses"} <= content.keys


def read(content: Content, options: ReadOptions) -> Motion:
    """One person and the camera; frames whose camera is unreliable (campose_valid) are not valid.

    The world is y up, roughly, but differs from sequence to sequence; the image follows from w2c.
    """
    pose = content.checked(chosen(content, "poses", options), "poses", (None, 72))
    count = len(pose)
    transl = content.checked(chosen(content, "trans", options), "trans", (count, 3))
    w2c = content.array("cam_poses", (count, 4, 4))
    valid = None
    if "campose_valid" in content.keys:
        valid = (
            content.checked(chosen(content, "campose_valid", options), "campose_valid", (count,))
            > 0
        )
    motion = Motion(
        rate(FPS, options),
        smpl_params(pose, transl, options),
        _gender(content, options),
        valid,
        content.array("cam_intrinsics", (3, 3))[None].repeat(count, axis=0),
        w2c,
    )
    return upright(motion, "y", options)


def _gender(content: Content, options: ReadOptions) -> str:
    name = "genders" if "genders" in content.keys else "gender"
    return content.known_gender(str(chosen(content, name, options)))
