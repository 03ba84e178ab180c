"""What every reader shares: the options, the axes of the world, and parameters from whatever fields a source has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.body.smpl import SMPL_REST_PELVIS, HandStyle, rest_hands, smpl_to_smplx
from avatarpipe.errors import InputError
from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion, first_ten

Up = Literal["auto", "y", "z", "-y"]
# Rotations that bring each up axis to +y: z up as in AMASS, and y down as in an OpenCV camera's frame.
TO_Y_UP = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "-y": np.diag([1.0, -1.0, -1.0]),
}


@dataclass(frozen=True)
class ReadOptions:
    """How to read a motion where its file leaves a choice."""

    body: Body
    """Whose hand PCA, hand mean and rest pelvis the conversions use: give the file of the source's gender."""
    hands: HandStyle = "relaxed"
    """Of sources without hands (SMPL): the mean hand, or flat."""
    person: int = 0
    """Which one, from 0, of a file with several."""
    fps: float | None = None
    """Frame rate of the source, in place of what its format says or usually has."""
    up: Up = "auto"
    """Up axis of the source, in place of what its format has."""


def upright(motion: Motion, own: Literal["y", "z", "-y"], options: ReadOptions) -> Motion:
    """The motion, y up, from a source whose up axis is `own` unless the options say otherwise; vertices become R V."""
    up = own if options.up == "auto" else options.up
    return motion if up == "y" else motion.rotated(TO_Y_UP[up], options.body)


def rate(own: float, options: ReadOptions) -> float:
    """The source's frame rate: the option's where given."""
    if options.fps is None:
        return own
    if not (np.isfinite(options.fps) and options.fps > 0):
        raise InputError(f"fps {options.fps}: a frame rate above 0 was expected.")
    return options.fps


def smplx_params(
    fields: Mapping[str, np.ndarray], options: ReadOptions, hands_given: bool = True
) -> BodyParams:
    """F bodies of (F, size) arrays by name; what is absent is zero, hands by option where `hands_given` is False.

    betas: (10,) and more, or one row a frame, whose mean counts, since a body keeps its shape.
    """
    count = len(fields["global_orient"])
    arrays = {name: np.zeros((count, size)) for name, size in SIZES.items()} | dict(fields)
    arrays["expression"] = first_ten(arrays["expression"])
    arrays["betas"] = np.repeat(_one_shape(arrays["betas"]), count, axis=0)
    params = BodyParams(
        **{name: torch.from_numpy(np.array(arrays[name], np.float32)) for name in SIZES}
    )
    if hands_given:
        return params
    return params.replaced(**rest_hands(options.body, count, options.hands))


def smpl_params(
    pose: np.ndarray, transl: np.ndarray, options: ReadOptions, **hands: np.ndarray
) -> BodyParams:
    """F bodies from SMPL's (F, 72) or (F, 66) pose and (F, 3) transl, of `body`'s mean shape, pelvis where SMPL had it.

    hands: left_hand_pose and right_hand_pose, (F, 45) in full, where the source (SMPL-H) has them.
    """
    params = smpl_to_smplx(
        pose[:, :3], pose[:, 3:66], transl, None, options.body, SMPL_REST_PELVIS, options.hands
    )
    return params.replaced(
        **{name: torch.from_numpy(np.array(value, np.float32)) for name, value in hands.items()}
    )


def chosen(content: Content, name: str, options: ReadOptions) -> object:
    """Entry `options.person` of the list `name`; InputError where there are fewer."""
    listed = content.data[name] if name in content.keys else None
    if not isinstance(listed, (list, tuple, np.ndarray)) or not len(listed):
        content.fail(f"{name} is no list with an entry for each person")
    if not 0 <= options.person < len(listed):
        raise InputError(
            f"{content.path}: person {options.person} of {len(listed)}. Give person 0 to {len(listed) - 1}."
        )
    return listed[options.person]


def _one_shape(betas: np.ndarray) -> np.ndarray:
    """(1, 10)"""
    return first_ten(np.atleast_2d(betas)).mean(axis=0, keepdims=True)
