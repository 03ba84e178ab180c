"""A training process that dies without warning, of each stage: started again, it leaves the very same bytes."""

import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from killing import train_and_kill, train_and_stop
from layered_runs import QUICK, arguments

from avatarpipe.avatar import Avatar
from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.gaussians.render import render
from avatarpipe.methods.layered import surfel_stage
from avatarpipe.methods.layered.settings import stage_settings
from avatarpipe.methods.layered.stages import StageInputs, single_stage, stage_avatar
from avatarpipe.steps import train_layered
from avatarpipe.tables import read_table
from avatarpipe.training.densify import densify

STAGES = ("single", "inner", "outer")
ITERATIONS, EVERY = 40, 4
SETTINGS = QUICK | {
    "iterations": ITERATIONS, "points": 1000, "checkpoint_every": EVERY, "rebind_every": 7,
    "normal_from": 10, "distortion_from": 10, "opacity_resets": [23], "opacity_reset_to": 0.8,
    "densify": {"start": 5, "stop": 38, "every": 6, "max_points": 2500, "gradient": 5e-5},
}  # fmt: skip
CUDA_TOLERANCE_DB = (
    40.0  # gsplat adds up gradients in any order; docs/layered.md has what was measured
)


@pytest.fixture(scope="module")
def unbroken(dressed, trained, tmp_path_factory):
    """The folder in which each stage was trained without a break, and with changes of density that a resume could lose."""
    root = tmp_path_factory.mktemp("unbroken")
    for stage in STAGES:
        changed = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                surfel_stage, "densify", lambda *given, to=changed: to.append(densify(*given))
            )
            train_layered.main(words(dressed, trained, root, stage))
        assert sum(sum(counts.values()) for counts in changed) > 0, (
            f"{stage}: its density never changed"
        )
    return root


def words(dressed, before: Path, root: Path, stage: str) -> list[str]:
    """The options of `stage` written under `root`, from what the stages before left under `before`."""
    changed = {
        "--settings": json.dumps(SETTINGS),
        "--out": str(root / stage / "avatar" / "avatar.json"),
        "--curves": str(root / stage / "curves.parquet"),
    }
    given = arguments(dressed, before, stage)
    pairs = dict(zip(given[::2], given[1::2], strict=True)) | changed
    return [word for pair in pairs.items() for word in pair]


def assert_same_result(ours: Path, theirs: Path) -> None:
    """Every tensor file of the avatars, byte for byte, and every value of the curves."""
    names = sorted(path.name for path in (theirs / "avatar").glob("*.safetensors"))
    assert names and names == sorted(path.name for path in (ours / "avatar").glob("*.safetensors"))
    for name in names:
        assert (ours / "avatar" / name).read_bytes() == (theirs / "avatar" / name).read_bytes(), (
            name
        )
    tables = [
        read_table(root / "curves.parquet", ["step", "name", "value"]) for root in (ours, theirs)
    ]
    assert tables[0].equals(tables[1])
    assert tables[0]["step"].max() == ITERATIONS


@pytest.mark.parametrize("seed", range(len(STAGES)), ids=STAGES)
def test_killed_at_any_moment_a_stage_leaves_what_it_would_have(
    seed, trained, unbroken, dressed, tmp_path, capfd
):
    stage, rng = STAGES[seed], random.Random(seed)
    options, folder = words(dressed, trained, tmp_path, stage), tmp_path / stage
    train_and_kill("avatarpipe.steps.train_layered", options, folder / "checkpoints", EVERY, ITERATIONS, rng)
    assert not (folder / "avatar").exists() and not (folder / "curves.parquet").exists()
    left = sorted((folder / "checkpoints").glob("[0-9]*"))
    shutil.copytree(folder / "checkpoints", tmp_path / "as_killed")
    train_layered.main(options)
    assert f"resumed after iteration {int(left[-1].name)}" in capfd.readouterr().err
    assert_same_result(folder, unbroken / stage)
    assert not (folder / "checkpoints").exists()

    shutil.rmtree(folder / "avatar")
    shutil.copytree(tmp_path / "as_killed", folder / "checkpoints")
    newest = folder / "checkpoints" / left[-1].name / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[: rng.randint(0, newest.stat().st_size - 1)])
    train_layered.main(options)
    assert f"resumed after iteration {int(left[-2].name)}" in capfd.readouterr().err
    assert_same_result(folder, unbroken / stage)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(len(STAGES)), ids=STAGES)
def test_told_to_end_at_any_moment_a_stage_goes_on_from_there(seed, trained, unbroken, dressed, tmp_path, capfd):
    stage, rng = STAGES[seed], random.Random(seed)
    options, folder = words(dressed, trained, tmp_path, stage), tmp_path / stage
    command = [sys.executable, "-m", "avatarpipe.steps.train_layered", *options]
    saved = train_and_stop(command, folder / "checkpoints", EVERY, rng, 0.3)
    train_layered.main(options)
    assert f"resumed after iteration {saved}" in capfd.readouterr().err
    assert_same_result(folder, unbroken / stage)


def resumed_and_unbroken(dressed, device: str):
    """Avatars of a single stage: one stopped half-way and restored from its state, one trained in one go."""
    settings = stage_settings(QUICK)
    inputs = StageInputs(
        Capture.load(dressed.capture), Body(dressed.body, torch.device(device)), "upper", settings, 3, torch.device(device)
    )  # fmt: skip
    unbroken, stopped, resumed = (single_stage(inputs) for _ in range(3))
    for step in range(settings.iterations):
        unbroken.step(step)
    for step in range(70):
        stopped.step(step)
    resumed.restore({name: value.clone() for name, value in stopped.state().items()})
    for step in range(70, settings.iterations):
        resumed.step(step)
    return [stage_avatar(stage, "single", "ann", {}) for stage in (resumed, unbroken)]


def seen(avatar: Avatar, capture: Capture) -> np.ndarray:
    """(C, H, W, 3) the held-out views."""
    with torch.no_grad():
        return render(avatar.pose(avatar.captured), capture.cameras("test")).rgb.cpu().numpy()


def psnr(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of all pixels of all pictures, dB."""
    return float(-10 * np.log10(np.square(ours - theirs).mean()))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU with gsplat")
def test_on_cuda_a_resumed_stage_shows_the_same_pictures(dressed):
    capture = Capture.load(dressed.capture)
    avatars = resumed_and_unbroken(dressed, "cuda")
    ours, theirs = (seen(avatar, capture) for avatar in avatars)
    assert psnr(ours, theirs) > CUDA_TOLERANCE_DB
    truth = capture.stack("test", "images")
    assert abs(psnr(ours, truth) - psnr(theirs, truth)) < 0.5
