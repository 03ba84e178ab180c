"""Arrays of HDF5 files, checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.npz import LIMIT


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file at `path`; what goes wrong while it is read is one InputError."""
    require_file(path, "An HDF5 file of the dataset was expected here; fetch it.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, MemoryError) as error:
        raise InputError(
            f"{path}: truncated or not HDF5 ({error}). Fetch the file again."
        ) from error


def dataset(file: h5py.File, name: str, ndim: int) -> h5py.Dataset:
    """The array `name` of `ndim` axes, which must lie in the file itself and not be linked from another."""
    link = file.get(name, getlink=True)
    found = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.ndim != ndim:
        shape = found.shape if isinstance(found, h5py.Dataset) else "no array"
        raise InputError(
            f"{file.filename}: {name}: {shape}, expected an array of {ndim} axes. Fetch it again."
        )
    return found


def numbers(file: h5py.File, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """The array `name` as float64, finite, of `shape` (None leaves a size open)."""
    stored = dataset(file, name, len(shape))
    if 8 * stored.size > LIMIT:  # what was never written takes no room in the file
        raise InputError(
            f"{file.filename}: {name} has shape {stored.shape}, more than is ever read. Fetch it again."
        )
    array = np.asarray(stored[()], np.float64)
    with np.errstate(over="ignore"):
        finite = np.isfinite(array.astype(np.float32)).all()  # as which it will be kept
    if any(size not in (None, actual) for size, actual in zip(shape, array.shape, strict=True)):
        expected = tuple("any" if size is None else size for size in shape)
        raise InputError(f"{file.filename}: {name} has shape {array.shape}, expected {expected}.")
    if not finite:
        raise InputError(f"{file.filename}: {name} holds NaN or infinity. Fetch the file again.")
    return array
