"""What a running step reads and writes, noted where it happens; a step's provenance file is made of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(eq=False)
class Record:
    """Notes of one step, in the order they came."""

    written: list[Path] = field(default_factory=list)
    """Files and folders that were put in their place; some may be gone again, such as checkpoints."""
    inputs: dict[str, dict] = field(default_factory=dict)
    """By role, "path" and "sha256" of a file at the moment it was noted."""
    device: str = "cpu"
    """Where tensors were computed, as torch calls it."""
    manifest: Path | None = None
    """The file that speaks for the step's output, written last."""

    def make_way(self, path: Path) -> None:
        """Take away a manifest of before, once a file is put beside it that it does not speak of. Drafts are none."""
        if self.manifest is None or path == self.manifest or not path.is_relative_to(self.manifest.parent):
            return
        if self.manifest in self.written:  # the step's own: it says more after it
            return
        if not any(part.startswith(".") for part in path.relative_to(self.manifest.parent).parts):
            self.manifest.unlink(missing_ok=True)


_open: list[Record] = []


@contextmanager
def recording(manifest: Path | None = None) -> Iterator[Record]:
    """Everything noted inside the block, by any thread of this process, goes into the record."""
    record = Record(manifest=manifest)
    _open.append(record)
    try:
        yield record
    finally:
        _open.remove(record)


def note_writing(path: str | Path) -> None:
    """A file or folder is about to be put in its place."""
    for record in _open:
        record.make_way(Path(path))


def note_written(path: str | Path) -> None:
    """A file or folder is in its place. A folder stands for all that is in it when the step ends."""
    for record in _open:
        record.written.append(Path(path))


def note_inputs(inputs: Mapping[str, dict]) -> None:
    """Files were read: "path" and "sha256" by role."""
    for record in _open:
        record.inputs.update(inputs)


def note_device(name: str) -> None:
    """Tensors are computed on this device."""
    for record in _open:
        record.device = name
