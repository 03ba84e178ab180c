"""Motion-X (Lin et al. 2023), 322 numbers a frame: SMPL-X with full hands, y up, 30 frames a second."""

from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.reading import ReadOptions, rate, smplx_params, upright

EXPECTS = "npy of (F, 322) numbers"
FPS = 30.0
WIDTH = 322
# Between them lie the shape and expressions of FLAME's face: 50 expressions, of which SMPL-X takes ten, and 100 face shapes.
COLUMNS = {
    "global_orient": slice(0, 3), "body_pose": slice(3, 66), "left_hand_pose": slice(66, 111),
    "right_hand_pose": slice(111, 156), "jaw_pose": slice(156, 159), "expression": slice(159, 169),
    "transl": slice(309, 312), "betas": slice(312, 322),
}  # fmt: skip


def recognises(content: Content) -> bool:
    """Whether the file is an array of Motion-X's width."""
    return len(content.shape) == 2 and content.shape[1] == WIDTH


def read(content: Content, options: ReadOptions) -> Motion:
    """The clip. Hands already hold their mean: it is not added again. Subsets that are not y up need `up`."""
    rows = content.checked(content.data, "the array", (None, WIDTH))
    params = smplx_params({name: rows[:, part] for name, part in COLUMNS.items()}, options)
    return upright(Motion(rate(FPS, options), params), "y", options)
