"""Two processes that would write into one folder, by whatever path they came: the second is refused, the first goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

from avatarpipe.capture.writing import publishing
from avatarpipe.errors import InputError
from avatarpipe.files import write_json

ROOT = Path(__file__).parents[1]
WRITES = """
import sys
from pathlib import Path
from avatarpipe.locks import alone
folder = Path(sys.argv[1])
with alone(folder / ".writing", "writing"):
    (folder / ".partial-first").mkdir()
    print("half", flush=True)
    sys.stdin.readline()
"""


def first(folder: Path) -> subprocess.Popen:
    """A process that is at its draft in `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, folder], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    assert process.stdout.readline() == "half\n"
    return process


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_process_neither_writes_nor_clears_what_the_first_is_at(tmp_path, resume):
    (tmp_path / "results").mkdir()
    (tmp_path / "link").symlink_to("results")
    with first(tmp_path / "results") as process:
        said = rf"another process is writing here \(process {process.pid} on "
        with (
            pytest.raises(InputError, match=said),
            publishing(tmp_path / "link/capture.json", resume=resume),
        ):
            raise AssertionError("two at once")
        assert (tmp_path / "results/.partial-first").is_dir()
        process.communicate("go\n")
    assert [path.name for path in (tmp_path / "results").iterdir()] == [".partial-first"]


def test_what_a_killed_process_held_is_free(tmp_path):
    with first(tmp_path) as process:
        process.kill()
    assert (tmp_path / ".writing").is_file()
    with publishing(tmp_path / "capture.json") as draft:
        write_json(draft / "capture.json", {"images": 0})
    assert [path.name for path in tmp_path.iterdir()] == ["capture.json"]


def test_a_link_that_points_nowhere_makes_way(tmp_path):
    (tmp_path / "images").symlink_to("gone")
    with publishing(tmp_path / "capture.json") as draft:
        write_json(draft / "images/a.json", {})
        write_json(draft / "capture.json", {})
    assert (tmp_path / "images/a.json").is_file() and not (tmp_path / "images").is_symlink()
