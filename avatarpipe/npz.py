"""How large an npz would become: a few megabytes of strangers' zip can unpack to more than there is memory."""

import zipfile
import zlib
from pathlib import Path

from avatarpipe.errors import InputError

# What numpy and zipfile raise on files that are no npz, are damaged, encrypted or compressed in unheard-of ways.
BROKEN = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, TypeError, AttributeError, KeyError,
    NotImplementedError, RuntimeError, MemoryError, SyntaxError,
)  # fmt: skip
LIMIT = 4 << 30
"""Bytes of all arrays together; the largest body model and the longest motion are a tenth of it."""


def check_size(path: Path, limit: int = LIMIT) -> None:
    """InputError where the arrays of an npz would take more than `limit` bytes; what zipfile raises where it is no zip.

    Sizes are those that the archive states; no more than that is ever read of an entry.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > limit:
        raise InputError(
            f"{path}: its arrays would take {size / 2**30:.1f} GiB unpacked, and {limit / 2**30:g} GiB is the most that is read. "
            "It is not what was expected here; fetch the file again."
        )
