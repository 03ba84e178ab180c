"""An input that changes while a step runs is noticed, and the result is not kept."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from avatarpipe import steadiness
from avatarpipe.files import write_json
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step


@dataclass
class Options:
    """A step for the test."""

    first: Path
    out: Path
    others: tuple[Path, ...] = ()
    curves: Path | None = None


@pytest.fixture
def files(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name)
    return tmp_path


def change(path: Path, how: str) -> None:
    if how == "written to":
        path.write_text("new")
    elif how == "replaced":
        path.with_name("new").write_text(path.read_text() + "!")
        path.with_name("new").replace(path)
    elif how == "removed":
        path.unlink()
    elif how == "touched":
        os.utime(path, (0, 0))
    elif how == "written to, its time set back":
        status = path.stat()
        path.write_text(path.read_text().upper())
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "written to again":
        path.write_text(path.read_text())


def run_while(files: Path, changes) -> Path:
    """Run a step that reads a, b and the unnamed c, and writes out.json and curves; `changes` happen meanwhile."""

    def run(options: Options) -> None:
        record = provenance({"first": options.first, "unnamed": files / "c"}, {})
        options.curves.write_text("own")
        changes()
        write_json(options.out, record)
        from avatarpipe.record import note_written

        note_written(options.curves)

    words = [
        "--first",
        files / "a",
        "--others",
        files / "b",
        "--out",
        files / "out.json",
        "--curves",
        files / "curves",
    ]
    run_step(run, [str(word) for word in words])
    return files / "out.json"


@pytest.mark.parametrize("name", ["a", "b", "c"])
@pytest.mark.parametrize("how", ["written to", "written to, its time set back", "replaced", "removed"])
def test_a_changed_input_ends_the_step_without_a_result(files, name, how, capsys):
    with pytest.raises(SystemExit) as caught:
        run_while(files, lambda: change(files / name, how))
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert (
        f"{files / name}: changed while this step was reading it" in message
        and "out.json was not kept" in message
    )
    assert not (files / "out.json").exists() and not (files / "provenance.json").exists()


@pytest.mark.parametrize("how", ["touched", "written to again"])
def test_what_holds_the_same_bytes_has_not_changed(files, how):
    (files / "curves").write_text("of the run before")
    assert run_while(files, lambda: change(files / "a", how)).is_file()


def test_of_large_files_a_new_time_counts(files, monkeypatch):
    monkeypatch.setattr(steadiness, "HASHED_BYTES", 0)
    inputs = steadiness.Inputs([files / "a", files / "b"])
    assert inputs.changed({}, []) == []
    change(files / "a", "touched")
    assert inputs.changed({}, []) == [files / "a"]
    assert inputs.changed({}, [files / "a"]) == []
