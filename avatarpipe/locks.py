"""One process at a time in a folder: a lock file that goes free by itself when its process dies, on any machine."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from avatarpipe.errors import InputError

log = logging.getLogger(__name__)


def claimed(path: Path, doing: str) -> TextIO:
    """The lock file, held as long as it is open; InputError where another process has it, `doing` something in the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("a+")
    _take(stream, path, fcntl.LOCK_EX, doing)
    with suppress(OSError):  # a full disk: the lock holds without a name
        stream.truncate(0)
        os.write(stream.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    return stream


def refuse_company(path: Path, doing: str) -> None:
    """InputError where another process has the lock; processes that only look do not disturb each other."""
    if path.is_file():
        with path.open() as stream:
            _take(stream, path, fcntl.LOCK_SH, doing)


@contextmanager
def alone(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock for the time of the block; the file goes with it."""
    stream = claimed(path, doing)
    while not _is_at(stream, path):  # whoever had it has just deleted it
        stream.close()
        stream = claimed(path, doing)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        stream.close()


def _is_at(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _take(stream: TextIO, path: Path, kind: int, doing: str) -> None:
    try:
        fcntl.lockf(stream, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        stream.seek(0)
        owner = stream.read().strip() or "unknown"
        stream.close()
        raise InputError(
            f"{path.parent}: another process is {doing} here ({owner}), perhaps left over from a run that was "
            "killed. Let it come to its end or end it, then run again."
        ) from error
    except OSError as error:
        log.warning(
            "%s: a file system without locks (%s); let no second process work there",
            path.parent,
            error,
        )
