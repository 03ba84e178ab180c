"""smpl_params.npz: SMPL-X parameters a frame, as AvatarReX, THuman4.0 and ActorsHQ (by Animatable Gaussians) have them.

betas (1 or more, 10), of which the first row counts; per frame global_orient, transl, body_pose (63), jaw_pose, expression
(10), left_hand_pose and right_hand_pose (45): axis-angle, hands in full with their mean. Row n is frame n.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file
from avatarpipe.npz import BROKEN, check_size

NAME = "smpl_params.npz"
FACES = ("full", "neutral")
_OPTIONAL = ("leye_pose", "reye_pose")
_FACE = ("jaw_pose", "leye_pose", "reye_pose", "expression")


def read_smpl_params(
    path: str | Path, frames: Sequence[int] | None = None, face: str = "full"
) -> BodyParams:
    """The bodies of `frames` (all of the file where None), a row each.

    face: "full", or "neutral" for jaw, eyes and expression at zero, as the published animatable method has them. Eyes that
    the file does not have look straight ahead. InputError on arrays that are missing, of unlike lengths or not finite.
    """
    if face not in FACES:
        raise InputError(f"option face is {face!r}: use {' or '.join(FACES)}.")
    arrays = _read_arrays(path)
    count = _frame_count(arrays, path)
    chosen = np.arange(count) if frames is None else np.asarray(frames, np.int64)
    if len(chosen) and chosen.max() >= count:
        raise InputError(
            f"{path}: no pose of frame {chosen.max()}; it has {count} rows, from frame 0."
        )
    values = {name: array[chosen] for name, array in arrays.items() if name != "betas"}
    values["betas"] = np.tile(arrays["betas"][:1], (len(chosen), 1))
    for name in _FACE:
        if face == "neutral" or name not in values:
            values[name] = np.zeros((len(chosen), SIZES[name]))
    _check_finite(values, chosen, path)
    return BodyParams.from_arrays(values, path)


def frame_count(path: str | Path) -> int:
    """How many frames the file has poses of."""
    return _frame_count(_read_arrays(path), path)


def write_smpl_params(
    path: str | Path, poses: BodyParams, frames: Sequence[int] | None = None
) -> None:
    """Write the bodies at the rows `frames` (0 and up where None); rows between them repeat the body before."""
    frames = np.arange(len(poses)) if frames is None else np.asarray(frames, np.int64)
    rows = np.maximum(np.searchsorted(frames, np.arange(frames.max() + 1), side="right") - 1, 0)
    arrays = {name: value.cpu().numpy()[rows] for name, value in poses.items()}
    arrays["betas"] = arrays["betas"][:1]
    with atomic_file(path) as temporary:
        np.savez(temporary, **arrays)


def _read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    path = require_file(
        path,
        "The body fit of the recording was expected here; resources/README.md says where to get it, docs/own-data.md "
        "what one of your own holds.",
    )
    try:
        check_size(path)
        with np.load(path) as archive:
            arrays = {
                name: np.asarray(archive[name], np.float64)
                for name in SIZES
                if name in archive.files
            }
    except BROKEN as error:
        raise InputError(
            f"{path}: truncated or no npz of number arrays ({error}). Fetch it again."
        ) from error
    for name, size in SIZES.items():
        if name not in arrays and name not in _OPTIONAL:
            raise InputError(f"{path}: {name} is missing. Fetch the file again.")
        if name in arrays and (arrays[name].ndim != 2 or arrays[name].shape[1] != size):
            raise InputError(
                f"{path}: {name} has shape {arrays[name].shape}, expected (frames, {size}) of an SMPL-X fit in axis-angle; "
                "docs/own-data.md has all shapes."
            )
    if not len(arrays["betas"]):
        raise InputError(f"{path}: betas has no row. Fetch the file again.")
    return arrays


def _frame_count(arrays: dict[str, np.ndarray], path: str | Path) -> int:
    counts = {name: len(array) for name, array in arrays.items() if name != "betas"}
    if len(set(counts.values())) != 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(
            f"{path}: arrays of unlike numbers of frames: {listed}. Fetch the file again."
        )
    return counts["transl"]


def _check_finite(values: dict[str, np.ndarray], frames: np.ndarray, path: str | Path) -> None:
    for name, array in values.items():
        bad = frames[~np.isfinite(array).all(axis=1)]
        if len(bad):
            raise InputError(
                f"{path}: {name} holds NaN or infinity at {len(bad)} of the frames, the first {bad[0]}. "
                "Leave such frames out, or fetch the fit again."
            )
