"""What a conversion has finished, written down as it goes, so that the next run after a kill need not do it again."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

NAME = ".finished.jsonl"


@dataclass(frozen=True, slots=True)
class Finished:
    """One view whose files are whole."""

    frame: str
    camera: str
    stamp: str  # of everything that the files depend on
    files: dict[str, str]  # image, mask, boundary: where, seen from the draft
    bytes: dict[str, int]  # how long each of them is

    def is_whole(self, draft: Path) -> bool:
        """Whether the files are there in their full length."""
        try:
            return all(
                os.stat(draft / file).st_size == self.bytes[name]
                for name, file in self.files.items()
            )
        except FileNotFoundError:
            return False


class Journal:
    """A line of JSON for each finished view, in a hidden file of the draft."""

    def __init__(self, draft: Path):
        self._path = draft / NAME
        self._known = _read(self._path) if self._path.exists() else {}
        self._stream: TextIO | None = None

    def __enter__(self) -> "Journal":
        self._stream = self._path.open("a")
        self._stream.write("\n")  # ends a line that a kill cut short
        return self

    def __exit__(self, *_) -> None:
        self._stream.close()

    def find(self, frame: str, camera: str) -> Finished | None:
        """What an earlier run wrote down of a view."""
        return self._known.get((frame, camera))

    def add(self, finished: Finished) -> None:
        """Write a view down, after its files were renamed to their names; kept at once, should the process be killed."""
        if self.find(finished.frame, finished.camera) != finished:
            self._stream.write(json.dumps(asdict(finished)) + "\n")
            self._stream.flush()


def _read(path: Path) -> dict[tuple[str, str], Finished]:
    """The last line of each view; a line cut short by a kill is none."""
    known = {}
    for line in path.read_text(errors="replace").split("\n"):
        try:
            finished = Finished(**json.loads(line))
        except (ValueError, TypeError):
            continue
        known[finished.frame, finished.camera] = finished
    return known
