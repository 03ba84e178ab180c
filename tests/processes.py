"""Which tests share a process where several test: those that share costly fixtures, so that none is made twice."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST_FIRST = ("workflow", "layered", "guidance", "capture", "synthetic")
_STARTS_FROM_A_WHOLE_RUN = re.compile(r"^def \w+\([^)]*\b(finished|done|spare)\b", re.M)


def place(nodeid: str) -> int:
    """Where a test's group stands in the queue: what takes longest begins, so that no process ends alone."""
    name = group(nodeid)
    return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)


def group(nodeid: str) -> str:
    """The folder where it has fixtures of its own, else the file; of the workflow's tests those that need its whole run."""
    return _group(ROOT / nodeid.partition("::")[0])


@cache
def _group(file: Path) -> str:
    folder = file.parent
    if folder.name == "workflow":
        together = bool(_STARTS_FROM_A_WHOLE_RUN.search(file.read_text()))
    else:
        together = (folder / "conftest.py").is_file()
    return folder.name if together else f"{folder.name}/{file.stem}"


def scheduler(config, log):
    """A queue of those groups for pytest-xdist. Its own `loadgroup` does nothing under pytest 9.2: it marks the tests'
    `_nodeid`, which is no longer read."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return Groups(config, log)
