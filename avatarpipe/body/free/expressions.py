"""Expressions: Anny's facial actions (ARKit's names) as blend shapes.

The first ten columns are both-sided and cover a face with few numbers; then come the other actions
and the one-sided ones. A coefficient of 2 is an action in full. Jaw and gaze are left to their joints.
"""

import numpy as np

from avatarpipe.body.free.assets import facial_action_path, read_target

FULL_AT = 2.0
_SIDES = ("Left", "Right")


def _both(*names: str) -> tuple[str, ...]:
    return tuple(name + side for name in names for side in _SIDES)


_TWO_SIDED = {
    "smile": _both("mouthSmile"),
    "brows_up": ("browInnerUp", *_both("browOuterUp")),
    "brows_down": _both("browDown"),
    "blink": _both("eyeBlink"),
    "lips_part": _both("mouthUpperUp", "mouthLowerDown"),
    "pucker": ("mouthPucker",),
    "frown": _both("mouthFrown"),
    "stretch": _both("mouthStretch"),
    "cheeks_puff": ("cheekPuff",),
    "sneer": _both("noseSneer", "cheekSquint"),
    "eyes_wide": _both("eyeWide"),
    "squint": _both("eyeSquint"),
    "funnel": ("mouthFunnel",),
    "press": _both("mouthPress"),
    "dimples": _both("mouthDimple"),
    "roll_lower": ("mouthRollLower",),
    "roll_upper": ("mouthRollUpper",),
    "shrug_lower": ("mouthShrugLower",),
    "shrug_upper": ("mouthShrugUpper",),
    "mouth_left": ("mouthLeft",),
    "mouth_right": ("mouthRight",),
}
_ONE_SIDED = (
    "mouthSmile", "mouthFrown", "browDown", "browOuterUp", "eyeBlink", "eyeWide", "eyeSquint",
    "mouthUpperUp", "mouthLowerDown", "mouthStretch", "mouthDimple", "mouthPress", "noseSneer",
    "cheekSquint",
)  # fmt: skip
ACTIONS = _TWO_SIDED | {action: (action,) for action in _both(*_ONE_SIDED)}
NAMES = list(ACTIONS)


def expression_directions(vertex_count: int) -> np.ndarray:
    """(N, 3, E) offsets of the base mesh per unit of each expression coefficient."""
    columns = [
        sum(read_target(facial_action_path(action), vertex_count) for action in actions)
        for actions in ACTIONS.values()
    ]
    return np.stack(columns, axis=-1) / FULL_AT
