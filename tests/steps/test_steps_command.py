import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from avatarpipe.__main__ import main, step_names
from avatarpipe.errors import InputError
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step


@dataclass
class Options:
    """A step for the test."""

    size: int = 3


def fails(options: Options) -> None:
    raise InputError(f"x.pkl: {options.size} is wrong. Fetch it again.")


def breaks(options: Options) -> None:
    raise KeyError("a bug")


def test_bad_input_is_one_message_and_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        run_step(fails, ["--size", "7"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: x.pkl: 7 is wrong. Fetch it again.\n"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError):
        run_step(breaks, [])


@pytest.mark.parametrize("entry", [["avatarpipe", "convert"], ["avatarpipe.steps.convert"]])
def test_both_ways_to_call_a_step_end_the_same(entry, tmp_path):
    options = {
        "dataset": "4d-dress",
        "root": tmp_path,
        "source": "a/b/c",
        "frames": 1,
        "subject": "ann",
        "gender": "male",
        "body": "x.npz",
    }
    args = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    out = tmp_path / "out" / "capture.json"
    command = [sys.executable, "-m", *entry, *args, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: x.npz: no such file. A body in the SMPL-X v1.1 npz layout")
    assert not out.parent.exists()


def test_help_lists_the_steps(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0
    assert {"convert", "normalize", "render", "segment"} <= set(step_names())
    assert all(name in shown for name in step_names()) and "command" not in step_names()


def test_an_unknown_step(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["fly"])
    assert caught.value.code == 2 and "fly: no such step. `avatarpipe --help`" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["normalise"])
    assert "normalise: no such step. Did you mean normalize?" in capsys.readouterr().err


def test_provenance_is_json_and_repeatable(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    block = provenance(
        {"x": tmp_path / "x"}, {"out": Path("a/b"), "n": (1, 2), "t": {"k": None}}, seed=3
    )
    assert block["config"] == {"out": "a/b", "n": [1, 2], "t": {"k": None}}
    assert block["inputs"]["x"]["sha256"].startswith("ba7816bf") and block["seed"] == 3
    assert block == provenance(
        {"x": tmp_path / "x"}, {"out": "a/b", "n": [1, 2], "t": {"k": None}}, seed=3
    )
