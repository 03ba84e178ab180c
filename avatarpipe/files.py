"""Files that are either whole or absent: atomic writes, JSON, hashes, clear errors for what is missing."""

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.record import note_writing, note_written

_reading_umask = threading.Lock()


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` with the same ending; rename it over `path` if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _use_default_permissions(temporary)
        note_writing(path)
        temporary.replace(path)
        note_written(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it takes the place of `path` if the block succeeds.

    It is on the disk by then, and what stood there is moved away before it is deleted: neither a machine that loses its
    power nor a kill leaves a folder in place of which a part is missing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    old = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        _flush(temporary)
        note_writing(path)
        if path.is_symlink():  # the link goes, what it points at stays
            path.unlink()
        elif path.exists():
            path.rename(old)
        temporary.replace(path)
        note_written(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Wait until the files of `folder`, and their names, are on the disk."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError:
            if not path.is_dir():  # some file systems know no fsync of folders
                raise
        finally:
            os.close(handle)


def _umask() -> int:
    with _reading_umask:  # reading sets it: two threads at once could leave it at 0
        mask = os.umask(0)
        os.umask(mask)
    return mask


def _use_default_permissions(path: Path) -> None:
    path.chmod(0o666 & ~_umask())


def require_file(path: str | Path, hint: str) -> Path:
    """`path` as a Path, or an InputError that names it and gives `hint`: what it is and how to get it."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file. {hint}")
    return path


def check_part(name: object, what: str) -> str:
    """`name` if it can be one part of a path and no more, or an InputError about `what`."""
    if not isinstance(name, str) or not name.isprintable() or name[:1] in ("", ".") or set(name) & {"/", "\\"}:
        raise InputError(
            f"{what} {name!r}: files are called by it, so it may neither be empty, nor begin with a dot, nor hold slashes "
            "or line breaks. Do not trust what has such a name."
        )
    return name


def read_json(path: str | Path, given: bool = False) -> dict:
    """The JSON document at `path`; InputError where it is missing or broken. given: by the user, and not made here."""
    remedy = "Mend it, or export or download it again." if given else "Delete it and rerun the step."
    path = require_file(
        path, "A JSON file was expected here" + ("." if given else "; rerun the step that writes it.")
    )
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}). {remedy}") from error


def write_json(path: str | Path, document: dict) -> None:
    """Write `document` to `path` as indented JSON, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, sort_keys=False) + "\n")


def write_if_changed(path: str | Path, text: str) -> None:
    """Make `text` what the file holds, without touching a file that holds it already."""
    path = Path(path)
    if path.is_file() and path.read_text() == text:
        return
    with atomic_file(path) as temporary:
        temporary.write_text(text)


def file_sha256(path: str | Path) -> str:
    """Hex SHA-256 of the bytes at `path`."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
