"""AIST++ (Li et al. 2021): SMPL (male, mean shape) at 60 frames a second, y up; translations in units of smpl_scaling."""

from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.reading import ReadOptions, rate, smpl_params, upright

EXPECTS = "pickle with smpl_poses, smpl_scaling and smpl_trans"
FPS = 60.0


def recognises(content: Content) -> bool:
    """Whether the file is a motion of AIST++."""
    return content.kind == "pickle" and {"smpl_poses", "smpl_trans"} <= content.keys


def read(content: Content, options: ReadOptions) -> Motion:
    """The dance in metres: smpl_trans / smpl_scaling."""
    pose = content.rows("smpl_poses", 72)
    scaling = content.number("smpl_scaling")
    if scaling <= 0:
        content.fail(f"smpl_scaling is {scaling:g}; a number above 0 was expected")
    transl = content.array("smpl_trans", (len(pose), 3)) / scaling
    motion = Motion(rate(FPS, options), smpl_params(pose, transl, options), "male")
    return upright(motion, "y", options)
