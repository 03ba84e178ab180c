"""Pickled dicts of arrays, as datasets of scans store them: read safely, checked, hands decoded."""

from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.errors import InputError
from avatarpipe.pickles import load_pickle

FULL_HAND = 45


def read_dict(path: Path, keys: tuple[str, ...]) -> dict:
    """The dict pickled at `path`; InputError where it is none or lacks one of `keys`."""
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a dict, got {type(content).__name__}. Fetch the file again."
        )
    if missing := [key for key in keys if key not in content]:
        raise InputError(f"{path}: {', '.join(missing)} missing. Fetch the file again.")
    return content


def finite(raw: dict, name: str, path: Path, shape: tuple[int | None, ...] | None) -> np.ndarray:
    """raw[name] as float64, finite, of `shape` (None leaves a size, or the whole shape, open)."""
    try:
        array = np.asarray(raw[name], np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {name} is not an array of numbers ({error}).") from error
    if shape is not None and (
        array.ndim != len(shape)
        or any(size not in (None, actual) for size, actual in zip(shape, array.shape, strict=True))
    ):
        expected = tuple("any" if size is None else size for size in shape)
        raise InputError(f"{path}: {name} has shape {array.shape}, expected {expected}.")
    if bad := int((~np.isfinite(array)).sum()):
        raise InputError(
            f"{path}: {name} holds {bad} NaN or infinite numbers. Fetch the file again."
        )
    return array


def decode_hand(coefficients: np.ndarray, name: str, body: Body, path: Path) -> np.ndarray:
    """(B, 45) full hand of (B, C) PCA coefficients, C from 1 to 45, the mean added; name: left_hand_pose or right_hand_pose."""
    if coefficients.ndim != 2 or not 1 <= coefficients.shape[1] <= FULL_HAND:
        raise InputError(
            f"{path}: {name} has shape {coefficients.shape}, expected 1 to {FULL_HAND} PCA coefficients."
        )
    return body.decode_hand(coefficients, name.partition("_")[0])


def stacked(bodies: list[BodyParams]) -> BodyParams:
    """Single bodies as one batch."""
    columns = zip(*(body.items() for body in bodies), strict=True)
    arrays = {column[0][0]: np.concatenate([value for _, value in column]) for column in columns}
    return BodyParams.from_arrays({name: arrays[name] for name in SIZES}, "frames")
