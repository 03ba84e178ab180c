"""What a motion file holds, read without running anything in it, and checked access to its fields."""

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import NoReturn

import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.motions.tensors import TENSOR_NAMES, load_storage
from avatarpipe.npz import check_size
from avatarpipe.pickles import load_pickle, load_pickled_npy

_HINT = "A motion was expected here: see docs/motions.md for the formats and how to get them."
_SKELETONS = {b"HIERAR": "a BVH file", b"Kaydar": "an FBX file"}  # by their first six bytes
_GENDERS = {"n": "neutral", "f": "female", "m": "male"}
Shape = Sequence[int | None]


@dataclass(frozen=True)
class Content:
    """A file and what is in it.

    kind: "npz", "npy" (one plain array), "object npy" (a pickle inside an npy), "json" or "pickle".
    data: dict of arrays or values by name where the file has names, else the array or object itself.
    """

    path: Path
    kind: str
    data: object

    @cached_property
    def keys(self) -> frozenset[str]:
        """Names of the fields; empty where the file holds no mapping."""
        return frozenset(self.data) if isinstance(self.data, dict) else frozenset()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the one array; () where the file holds something else."""
        return self.data.shape if isinstance(self.data, np.ndarray) else ()

    def part(self, name: str, data: object) -> "Content":
        """A mapping inside this file, named `name` in errors."""
        return Content(Path(f"{self.path}: {name}"), self.kind, data)

    def fail(self, what: str) -> NoReturn:
        """Raise the InputError that names this file."""
        raise InputError(f"{self.path}: {what}. Fetch the file again, or give its real format.")

    def array(self, name: str, shape: Shape) -> np.ndarray:
        """Field `name` as finite float64 of `shape` (None leaves a size open); sizes of 1 may be absent or extra."""
        if name not in self.keys:
            self.fail(f"{name} is missing; there are {', '.join(sorted(self.keys)) or 'no names'}")
        return self.checked(self.data[name], name, shape)

    def rows(self, name: str, width: int) -> np.ndarray:
        """Field `name` as (F, width), be it stored so or as (F, width / 3, 3)."""
        if name not in self.keys:
            return self.array(name, (None, width))
        value = self.data[name]
        shape = np.shape(value) if isinstance(value, np.ndarray) else ()
        flat = value.reshape(len(value), -1) if len(shape) == 3 and len(value) else value
        return self.checked(flat, name, (None, width))

    def optional(self, name: str, shape: Shape) -> np.ndarray | None:
        """Like `array`, None where the field is absent."""
        return self.array(name, shape) if name in self.keys else None

    def checked(self, value: object, name: str, shape: Shape) -> np.ndarray:
        """`value` as `array` returns it."""
        try:
            array = np.asarray(value, np.float64)
        except (TypeError, ValueError) as error:
            self.fail(f"{name} is not an array of numbers ({error})")
        array = _fitted(array, shape)
        if array is None:
            sizes = tuple("any" if size is None else size for size in shape)
            self.fail(f"{name} has shape {np.shape(value)}, expected {sizes}")
        if bad := int((~np.isfinite(array)).sum()):
            self.fail(f"{name} holds {bad} NaN or infinite numbers")
        return array

    def number(self, name: str) -> float:
        """Field `name` as one finite number."""
        return float(self.array(name, ()))

    def rate(self, name: str) -> float:
        """Field `name` as frames a second, above 0."""
        value = self.number(name)
        if value <= 0:
            self.fail(f"{name} is {value:g}; a frame rate above 0 was expected")
        return value

    def text(self, name: str) -> str:
        """Field `name` as text, be it str, bytes or an array of one of them."""
        if name not in self.keys:
            self.fail(f"{name} is missing")
        value = np.asarray(self.data[name]).reshape(-1)
        if len(value) != 1:
            self.fail(f"{name} holds {len(value)} values, one was expected")
        item = value[0]
        return item.decode("latin1") if isinstance(item, bytes) else str(item)

    def gender(self, name: str) -> str:
        """Field `name` as neutral, female or male."""
        return self.known_gender(self.text(name))

    def known_gender(self, text: str) -> str:
        """`text` (male, m, Female...) as neutral, female or male."""
        word = text.strip().lower()
        full = _GENDERS.get(word[:1])
        if full is None or not full.startswith(word):
            self.fail(f"gender {text!r}; neutral, female or male was expected")
        return full


def _fitted(array: np.ndarray, shape: Shape) -> np.ndarray | None:
    """`array` in `shape`, lengths of 1 dropped or put in front; None where it does not fit."""
    extra = array.ndim - len(shape)
    if extra < 0:
        array = array.reshape((1,) * -extra + array.shape)
    ones = [axis for axis, size in enumerate(array.shape) if size == 1]
    candidates = (np.squeeze(array, axes) for axes in combinations(ones, max(extra, 0)))
    return next((found for found in candidates if _fits(found.shape, shape)), None)


def _fits(actual: Sequence[int], shape: Shape) -> bool:
    return len(actual) == len(shape) and all(
        size in (None, found) for size, found in zip(shape, actual, strict=True)
    )


def peek(path: str | Path) -> Content:
    """What the file at `path` holds; its first bytes tell npz, npy and JSON, all else is taken for a pickle.

    Pickles may hold arrays, plain values and torch tensors, nothing else. Raises InputError where the file is missing,
    empty, broken, or asks for anything else.
    """
    path = require_file(path, _HINT)
    with path.open("rb") as stream:
        start = stream.read(6)
    if not start:
        raise InputError(f"{path}: empty file. {_HINT}")
    if start in _SKELETONS:
        raise InputError(
            f"{path}: {_SKELETONS[start]}, a skeleton of its own. Motions of SMPL bodies are read: fit or retarget it to SMPL-X "
            "first; docs/motions.md lists the formats."
        )
    if start.startswith(b"PK"):
        return Content(path, "npz", _npz(path))
    if start == b"\x93NUMPY":
        return _npy(path)
    if start.lstrip()[:1] in (b"{", b"["):
        return Content(path, "json", _json(path))
    return Content(path, "pickle", load_pickle(path, TENSOR_NAMES, instead=load_storage()))


def _npz(path: Path) -> dict[str, np.ndarray]:
    """The plain arrays by name; those that only a pickle could restore are left out."""
    try:
        check_size(path)
        with np.load(path, allow_pickle=False) as archive:
            found = {name: _plain(archive, name) for name in archive.files}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, zlib.error, MemoryError) as error:
        raise InputError(f"{path}: not a readable npz ({error}). Fetch the file again.") from error
    return {name: array for name, array in found.items() if array is not None}


def _plain(archive, name: str) -> np.ndarray | None:
    try:
        return archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        return None


def _npy(path: Path) -> Content:
    try:
        return Content(path, "npy", np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError, MemoryError) as error:
        if "allow_pickle" not in str(error):
            raise InputError(
                f"{path}: not a readable npy ({error}). Fetch the file again."
            ) from error
    return Content(path, "object npy", load_pickled_npy(path, TENSOR_NAMES, load_storage()))


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}). Fetch the file again.") from error
