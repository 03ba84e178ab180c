"""Progress bars find the terminal behind a log, and stay away where there is none."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from avatarpipe.errors import InputError
from avatarpipe.steps.command import run_step
from avatarpipe.terminal import bar_console, tracked


@pytest.fixture
def terminal(monkeypatch):
    """The reading end of a terminal that AVATARPIPE_PROGRESS names."""
    reading, writing = os.openpty()
    monkeypatch.setenv("AVATARPIPE_PROGRESS", os.ttyname(writing))
    monkeypatch.setenv("TERM", "xterm")
    yield reading
    os.close(reading), os.close(writing)


def test_without_a_terminal_there_is_no_bar(monkeypatch, tmp_path):
    monkeypatch.delenv("AVATARPIPE_PROGRESS", raising=False)
    assert bar_console() is None
    for name in (tmp_path / "no" / "such", tmp_path / "file"):
        monkeypatch.setenv("AVATARPIPE_PROGRESS", str(name))
        assert bar_console() is None


def test_the_bar_is_drawn_on_the_named_terminal(terminal, capsys):
    assert list(tracked(range(3), 3, "rendering")) == [0, 1, 2]
    assert b"rendering" in os.read(terminal, 65536)
    assert capsys.readouterr().err == ""


@dataclass
class Options:
    """A step for the test."""

    out: Path


def nothing_to_read(options: Options) -> None:
    raise InputError("scan.obj: no such file.")


def test_a_step_tells_the_terminal_what_it_makes_and_the_log_only_what_is_wrong(terminal, capsys):
    with pytest.raises(SystemExit):
        run_step(nothing_to_read, ["--out", "results/[ada]/capture.json"])
    assert b"avatarpipe test-terminal: making results/[ada]/capture.json" in os.read(terminal, 65536)
    assert capsys.readouterr().err == "error: scan.obj: no such file.\n"
