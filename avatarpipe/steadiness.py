"""Whether what a step reads stays as it was while the step runs."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256

HASHED_BYTES = (
    64 << 20
)  # a tenth of a second's work; of larger files a new time or size counts as a change


class Inputs:
    """Files as they are when a step begins."""

    def __init__(self, paths: Iterable[Path]):
        self._before = {path.resolve(): (_signature(path), _hash(path)) for path in paths}

    def changed(self, noted: Mapping[str, dict], written: Iterable[Path]) -> list[Path]:
        """The files that are not what they were, or gone; one that was only touched, or rewritten with the same bytes, is.

        noted: "path" and "sha256" by role, of files that the step hashed as it ran. written: what the step itself wrote.
        """
        own = {path.resolve() for path in written}
        named = (path for path, before in self._before.items() if _differs(path, *before))
        others = (Path(entry["path"]).resolve() for entry in noted.values() if _was_other(entry))
        return sorted({path for path in (*named, *others) if path not in own})


def _signature(path: Path) -> tuple[int, int, int, int]:
    """The time at which anything was changed comes first: it cannot be set back, but a new link or owner changes it too."""
    status = path.stat()
    return status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_ino


def _hash(path: Path) -> str | None:
    return file_sha256(path) if path.stat().st_size <= HASHED_BYTES else None


def _differs(path: Path, signature: tuple[int, int, int, int], sha256: str | None) -> bool:
    if not path.is_file():
        return True
    if _signature(path) == signature:
        return False
    return _hash(path) != sha256 if sha256 is not None else _signature(path)[1:] != signature[1:]


def _was_other(entry: Mapping[str, str]) -> bool:
    path = Path(entry["path"])
    return not path.is_file() or (_hash(path) or entry["sha256"]) != entry["sha256"]


def named_files(options) -> list[Path]:
    """The files that exist now and that a field of the dataclass names, but for `out`."""
    values = [value for name, value in asdict(options).items() if name != "out"]
    flat = (
        item
        for value in values
        for item in (value if isinstance(value, (list, tuple)) else [value])
    )
    return [item for item in flat if isinstance(item, Path) and item.is_file()]


def refuse_changed(changed: list[Path], out: Path | None) -> None:
    """InputError where inputs changed while a step ran; its output's manifest goes, so that nobody takes it for whole."""
    if not changed:
        return
    if out is not None:
        out.unlink(missing_ok=True)
    names = ", ".join(str(path) for path in changed)
    raise InputError(
        f"{names}: changed while this step was reading it; the result may be half of one and half of the other"
        f"{f', so {out} was not kept' if out else ''}. Run the step again when nobody writes there."
    )
