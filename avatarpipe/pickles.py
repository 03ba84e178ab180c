"""Third-party pickles, read by an unpickler that can build arrays and plain values and nothing else."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import require_file

# What numpy writes when it pickles an array or a scalar, under its old and new module names.
_NUMPY = frozenset(
    f"{module}.{name}"
    for module, names in {
        "numpy": ("dtype",),
        "numpy.core.multiarray": ("scalar",),
        "numpy._core.multiarray": ("scalar",),
        "numpy.core.numeric": ("_frombuffer",),
        "numpy._core.numeric": ("_frombuffer",),
    }.items()
    for name in names
)
_BUILTINS = frozenset({"builtins.dict", "builtins.complex", "builtins.slice", "collections.OrderedDict", "_codecs.encode"})


def _gathers(kind: type) -> Callable:
    """`kind`, called with what the pickle itself holds: list(range(10**10)) is forty bytes of pickle."""

    def gathered(items=()):
        if not isinstance(items, (list, tuple, set, frozenset, bytes, str)):
            raise TypeError(f"a {kind.__name__} of a {type(items).__name__}")
        return kind(items)

    return gathered


def _empty_array(kind, shape, code) -> np.ndarray:
    """What numpy's _reconstruct is for: an array that the pickle fills afterwards, and cannot make larger than itself."""
    if shape != (0,):
        raise TypeError(f"an array of shape {shape} to begin with")
    return np.empty(0, np.int8)


_IN_PLACE_OF = {
    f"builtins.{kind.__name__}": _gathers(kind) for kind in (list, tuple, set, frozenset, bytearray)
} | {
    "numpy.ndarray": "numpy.ndarray",  # an argument of _reconstruct, and nothing to be called
    "numpy.core.multiarray._reconstruct": _empty_array,
    "numpy._core.multiarray._reconstruct": _empty_array,
}


class _SafeUnpickler(pickle.Unpickler):
    def __init__(
        self, stream, allow: frozenset[str], encoding: str, instead: Mapping[str, Callable]
    ):
        super().__init__(stream, encoding=encoding)
        self._allow = _NUMPY | _BUILTINS | allow
        self._instead = _IN_PLACE_OF | dict(instead)

    def find_class(self, module: str, name: str):
        module = "builtins" if module == "__builtin__" else module  # as Python 2 called it
        if f"{module}.{name}" in self._instead:
            return self._instead[f"{module}.{name}"]
        if f"{module}.{name}" not in self._allow:
            raise _Forbidden(f"{module}.{name}")
        return super().find_class(module, name)


class _Forbidden(Exception):
    pass


def load_pickle(
    path: str | Path,
    allow: frozenset[str] = frozenset(),
    encoding: str = "latin1",
    instead: Mapping[str, Callable] | None = None,
) -> object:
    """The object pickled at `path`, built only of numpy arrays, plain containers and the classes named in `allow`.

    allow: full names such as "scipy.sparse._csc.csc_matrix". instead: what to call where the pickle names a function that
    is itself unsafe. Raises InputError where the file is missing, truncated, no pickle, or asks for anything else.
    """
    path = require_file(path, "A pickle of the dataset was expected here; check the dataset's folder.")
    with path.open("rb") as stream:
        return _unpickled(stream, path, allow, encoding, instead or {})


def load_pickled_npy(
    path: str | Path, allow: frozenset[str] = frozenset(), instead: Mapping[str, Callable] | None = None
) -> object:
    """What numpy.save pickled into an .npy: the object itself where it was one, else the object array; as `load_pickle`."""
    path = require_file(path, "A pickled npy of the dataset was expected here; check its folder.")
    with path.open("rb") as stream:
        try:
            old = np.lib.format.read_magic(stream) == (1, 0)
            header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            header(stream)
        except ValueError as error:
            raise InputError(f"{path}: not a readable npy ({error}). Fetch the file again.") from error
        found = _unpickled(stream, path, allow, "latin1", instead or {})
    return found[()] if isinstance(found, np.ndarray) and found.shape == () else found


def _unpickled(
    stream: BinaryIO, path: Path, allow: frozenset[str], encoding: str, instead: Mapping[str, Callable]
) -> object:
    try:
        return _SafeUnpickler(stream, allow, encoding, instead).load()
    except _Forbidden as error:
        raise InputError(
            f"{path}: this pickle wants to run {error}, which no dataset needs; it was not loaded. "
            "Do not trust this file; fetch it again from its source."
        ) from error
    except Exception as error:
        raise InputError(
            f"{path}: truncated or not a pickle ({type(error).__name__}: {error}). Fetch the file again."
        ) from error
