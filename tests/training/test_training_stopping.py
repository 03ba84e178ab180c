"""A training that is told to end saves the iteration it was at; what it saves is kept, and nothing else is believed."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import walking

from avatarpipe.training import checkpoint, loop
from avatarpipe.training.checkpoint import Checkpoints
from avatarpipe.training.loop import train
from avatarpipe.training.stopping import stop_noted

ROOT = Path(__file__).parents[2]


class Walk(walking.Walk):
    """A stage that is sent a signal in the midst of a step."""

    def __init__(self, signal_at: int | None = None, number: int = signal.SIGTERM):
        super().__init__()
        self.signal_at, self.number = signal_at, number

    def step(self, step: int) -> dict:
        if step == self.signal_at:
            os.kill(os.getpid(), self.number)
        return super().step(step)


def run(folder: Path, stage: Walk, identity: str = "a", **options):
    checkpoints = Checkpoints(folder, {"settings": identity})
    return train(stage, 25, checkpoints, "walk", "cpu", checkpoint_every=4, log_every=3, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[0-9]*"))


@pytest.fixture
def hangups_count():
    """SIGHUP as it is at first, also where these tests were started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups_count")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("at", [0, 11, 17, 24])
def test_a_signal_loses_no_iteration(tmp_path, number, at, capfd):
    actions = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    straight, resumed = Walk(), Walk()
    curves = run(tmp_path / "straight", straight)
    with pytest.raises(SystemExit) as caught:
        run(tmp_path / "stopped", Walk(at, number))
    assert caught.value.code == 128 + number
    assert (
        f"ended by {signal.Signals(number).name} after iteration {at + 1}" in capfd.readouterr().err
    )
    assert names(tmp_path / "stopped")[-1] == f"{at + 1:08d}"
    assert {each: signal.getsignal(each) for each in actions} == actions
    again = run(tmp_path / "stopped", resumed)
    assert torch.equal(straight.value, resumed.value) and curves.table().equals(again.table())


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        run(tmp_path, Walk(11, signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_same_signal_twice_at_once_is_one_and_later_an_end_at_once(monkeypatch):
    with stop_noted() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
        later = time.monotonic() + 10
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)


FOLLOWER = """
import os, signal, sys, time
from avatarpipe.training import stopping
stopping._FOLLOWERS_S = 0.5
with stopping.stop_noted(leads=False) as stop:
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.signal == signal.SIGTERM
    print("works on", flush=True)
    if sys.argv[1] == "fails":
        raise RuntimeError("Connection closed by peer")
    time.sleep(60)
"""


@pytest.mark.parametrize("then", ["fails", "waits"])
def test_one_that_does_not_save_works_on_and_ends_with_the_one_that_does(then):
    done = subprocess.run(
        [sys.executable, "-c", FOLLOWER, then], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "works on\n", "")


def test_what_another_training_has_left_does_not_cost_the_new_one_its_checkpoints(tmp_path):
    """Of other settings, and further on than the new training gets before it is stopped itself."""
    with pytest.raises(SystemExit):
        run(tmp_path, Walk(20))
    assert names(tmp_path) == ["00000020", "00000021"]
    with pytest.raises(SystemExit):
        run(tmp_path, Walk(9), identity="b")
    assert names(tmp_path) == ["00000008", "00000010"]
    step, _ = Checkpoints(tmp_path, {"settings": "b"}).newest()
    assert step == 10


def test_a_damaged_checkpoint_does_not_take_the_place_of_a_whole_one(tmp_path):
    with pytest.raises(SystemExit):
        run(tmp_path, Walk(18))
    (tmp_path / "00000019/state.safetensors").write_bytes(b"")
    (tmp_path / "00000016.copy").mkdir()  # somebody's, not ours
    with pytest.raises(SystemExit):
        run(tmp_path, Walk(17))
    assert names(tmp_path) == ["00000016", "00000016.copy", "00000018"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"step": 16', '"step": 18'),  # one bit
        lambda text: text.replace('"step": 16', '"step": "16"'),
        lambda text: text.replace('"step": 16', '"step": null'),
        lambda text: json.dumps([text]),
        lambda text: "null",
        lambda text: "",
    ],
)
def test_a_damaged_manifest_is_no_checkpoint(tmp_path, damage, caplog):
    with pytest.raises(SystemExit):
        run(tmp_path, Walk(16))
    manifest = tmp_path / "00000016/checkpoint.json"
    manifest.write_text(damage(manifest.read_text()))
    (tmp_path / "00000017/checkpoint.json").write_text("[]")
    assert Checkpoints(tmp_path, {"settings": "a"}).newest() is None
    assert caplog.text.count("damaged, passed over") == 2
    straight, again = Walk(), Walk()
    run(tmp_path / "straight", straight), run(tmp_path, again)
    assert torch.equal(straight.value, again.value)


def test_a_disk_that_does_not_answer_costs_no_checkpoint(tmp_path, monkeypatch):
    with pytest.raises(SystemExit):
        run(tmp_path, Walk(16))
    with monkeypatch.context() as patch, pytest.raises(OSError, match="Stale file handle"):
        patch.setattr(checkpoint, "file_sha256", lambda path: _raise(errno.ESTALE, path))
        run(tmp_path, Walk())
    assert Checkpoints(tmp_path, {"settings": "a"}).newest()[0] == 17


@pytest.mark.parametrize("stream", ["full disk", "nobody reads"])
def test_what_cannot_be_said_ends_no_training(tmp_path, monkeypatch, stream):
    class Broken(io.StringIO):
        def write(self, text):
            _raise(errno.ENOSPC if stream == "full disk" else errno.EPIPE, Path("stderr"))

    monkeypatch.setattr(sys, "stderr", Broken())
    monkeypatch.setattr(loop, "_PRINT_EVERY_S", 0.0)
    stage = Walk()
    assert run(tmp_path, stage).table()["step"].max() == 25


def _raise(number: int, path: Path):
    raise OSError(number, os.strerror(number), str(path))
