"""npz files of strangers: plain arrays, or an error; nothing is unpickled."""

from pathlib import Path

import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.npz import BROKEN, check_size


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays at `path` by name. InputError where it is missing, truncated, or holds what only a pickle could restore."""
    path = require_file(path, "An npz of the dataset was expected here; fetch it again.")
    try:
        check_size(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except BROKEN as error:
        raise InputError(f"{path}: truncated, or not an npz of plain arrays ({error}).") from error
