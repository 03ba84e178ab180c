"""smpl_params.npz: one SMPL-X body a frame, as AvatarReX, THuman4.0 and ActorsHQ registrations write it.

betas (1 or N, 10), global_orient, transl, jaw_pose (N, 3), body_pose (N, 63), expression (N, 10), left_hand_pose and
right_hand_pose (N, 45) in full (flat_hand_mean=True); eyes, jaw, expression and hands may be absent: zero.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file

_NEEDED = ("betas", "global_orient", "body_pose", "transl")
_HINT = "SMPL-X parameters of every frame were expected here; docs/data.md says what they hold."


def read_smpl_params(path: str | Path, rows: Sequence[int] | None = None) -> BodyParams:
    """The bodies of `rows` (all of them, where None), counted from 0; the shape of row 0 is everyone's.

    Raises InputError where the file is missing or broken, an array has another shape, a number is NaN, or a row is not
    there.
    """
    arrays = read_arrays(path)
    if missing := [name for name in _NEEDED if name not in arrays]:
        raise InputError(f"{path}: {', '.join(missing)} missing. {_HINT}")
    count = len(np.atleast_2d(arrays["global_orient"]))
    chosen = range(count) if rows is None else rows
    if out := [row for row in chosen if not 0 <= row < count]:
        raise InputError(
            f"{path}: {count} bodies, but the images ask for body {out[0]} (counted from 0). "
            "Images and bodies must be of the same frames; see docs/data.md, option first_frame."
        )
    found = {name: _rows(arrays.get(name), name, count, list(chosen), path) for name in SIZES}
    return BodyParams.from_arrays(found, path)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The plain arrays of an npz, by name; nothing is unpickled. InputError where it is missing or broken."""
    path = require_file(path, _HINT)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: truncated, or not an npz of plain arrays ({error}).") from error


def _rows(array: np.ndarray | None, name: str, count: int, rows: list[int], path) -> np.ndarray:
    if array is None:
        return np.zeros((len(rows), SIZES[name]))
    array = np.atleast_2d(array)
    if name == "betas":  # one person: every frame has the first frame's shape
        return np.repeat(array[:1, : SIZES[name]], len(rows), axis=0)
    if len(array) != count:
        raise InputError(
            f"{path}: {len(array)} rows of {name} for {count} frames of global_orient."
        )
    return array[rows]


def write_smpl_params(path: str | Path, poses: BodyParams) -> None:
    """Write the bodies as float32; betas once, of the first body."""
    arrays = {name: value.cpu().numpy() for name, value in poses.items()}
    with atomic_file(path) as temporary:
        np.savez(temporary, **(arrays | {"betas": arrays["betas"][:1]}))
