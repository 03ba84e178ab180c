"""The loop and its checkpoints: interrupted anywhere, the result is the same; damaged files are passed over."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import walking

from avatarpipe.errors import InputError
from avatarpipe.tables import read_table
from avatarpipe.training.checkpoint import Checkpoints
from avatarpipe.training.loop import train


class Walk(walking.Walk):
    """A stage that may be killed in the midst of a step."""

    def __init__(self, die_at: int | None = None):
        super().__init__()
        self.die_at = die_at

    def step(self, step: int) -> dict:
        if step == self.die_at:
            raise KeyboardInterrupt
        return super().step(step)


def run(folder, stage: Walk, identity="a", iterations=25):
    checkpoints = Checkpoints(folder, {"settings": identity})
    return train(stage, iterations, checkpoints, "walk", "cpu", checkpoint_every=4, log_every=3)


def killed(folder, at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(folder, Walk(die_at=at))


@pytest.mark.parametrize("at", [1, 4, 13, 24])
def test_a_killed_run_ends_as_if_never_killed(tmp_path, at):
    straight, resumed = Walk(), Walk()
    curves = run(tmp_path / "straight", straight)
    killed(tmp_path / "killed", at)
    again = run(tmp_path / "killed", resumed)
    assert torch.equal(straight.value, resumed.value)
    assert curves.table().equals(again.table())
    assert curves.table()["step"].tolist() == [3, 6, 9, 12, 15, 18, 21, 24, 25]


def test_a_resumed_run_does_not_repeat_what_was_done(tmp_path):
    killed(tmp_path, 13)
    taken = []
    stage = Walk()
    step = stage.step
    stage.step = lambda i: (taken.append(i), step(i))[1]
    run(tmp_path, stage)
    assert taken == list(range(12, 25))


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, caplog):
    killed(tmp_path, 13)
    newest = sorted(tmp_path.glob("0*"))[-1] / "state.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 0xFF
    newest.write_bytes(content)
    step, _ = Checkpoints(tmp_path, {"settings": "a"}).newest()
    assert step == 8 and f"{newest.parent}: damaged, passed over" in caplog.text
    straight, resumed = Walk(), Walk()
    run(tmp_path / "straight", straight), run(tmp_path, resumed)
    assert torch.equal(straight.value, resumed.value)


def test_damaged_curves_begin_anew_and_the_training_goes_on(tmp_path, caplog):
    killed(tmp_path, 13)
    (tmp_path / "curves.parquet").write_bytes(b"PAR1 and no more")
    straight, resumed = Walk(), Walk()
    run(tmp_path / "straight", straight)
    curves = run(tmp_path, resumed)
    assert torch.equal(straight.value, resumed.value) and "the curves begin anew" in caplog.text
    assert curves.table()["step"].tolist() == [15, 18, 21, 24, 25]


def test_other_settings_never_resume(tmp_path):
    killed(tmp_path, 13)
    assert Checkpoints(tmp_path, {"settings": "b"}).newest() is None


def test_only_two_checkpoints_stay_and_clear_removes_them(tmp_path):
    killed(tmp_path, 24)
    assert [p.name for p in sorted(tmp_path.glob("0*"))] == ["00000020", "00000024"]
    assert read_table(tmp_path / "curves.parquet")["step"].max() == 24
    Checkpoints(tmp_path, {}).clear()
    assert not tmp_path.exists()


HOLDER = """
import sys, torch
from avatarpipe.training.checkpoint import Checkpoints
checkpoints = Checkpoints(sys.argv[1], {"settings": "a"})
checkpoints.save(4, {"value": torch.zeros(3)})
print("saved", flush=True)
sys.stdin.read()
"""


def test_the_folder_of_a_training_that_runs_is_left_alone(tmp_path):
    (tmp_path / ".00000004.left-by-a-kill").mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], cwd=Path(__file__).parents[2], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout.readline() == "saved\n"
        assert not (tmp_path / ".00000004.left-by-a-kill").exists()
        for attempt in (lambda c: c.newest(), lambda c: c.save(8, {"value": torch.ones(3)})):
            with pytest.raises(
                InputError, match=rf"another process is training here \(process {holder.pid} on "
            ):
                attempt(Checkpoints(tmp_path, {"settings": "a"}))
        holder.kill()
        holder.wait()
        step, tensors = Checkpoints(tmp_path, {"settings": "a"}).newest()
    assert step == 4 and torch.equal(tensors["value"], torch.zeros(3))


@pytest.mark.parametrize("lost", ["loss", "value"])
def test_a_training_that_has_run_away_ends_and_goes_on_from_before(tmp_path, lost):
    class Runaway(Walk):
        def step(self, step: int) -> dict:
            found = super().step(step)
            if step < 11:
                return found
            if lost == "value":
                self.value = self.value * torch.tensor([1.0, torch.nan, 1.0])
                return found
            return {"loss": found["loss"] / 0.0}

    told = "the losses loss are" if lost == "loss" else "some parameters are"
    with pytest.raises(InputError, match=rf"walk: after 12 iterations {told} no numbers any more"):
        run(tmp_path / "away", Runaway())
    straight, resumed = Walk(), Walk()
    curves, again = run(tmp_path / "straight", straight), run(tmp_path / "away", resumed)
    assert torch.equal(straight.value, resumed.value) and curves.table().equals(again.table())
    assert len(curves.table()) == 9
