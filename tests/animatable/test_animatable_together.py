"""An animatable avatar trained by two processes, started as torchrun starts them: the one that a single process trains."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import animatable_video
import numpy as np
import pytest
import torch
from animatable_parts import roughened, tiny_model, tiny_rig
from animatable_video import QUICK
from killing import wait_for

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import frame_split
from avatarpipe.errors import InputError
from avatarpipe.gaussians.render import render
from avatarpipe.methods.animatable.settings import animatable_settings
from avatarpipe.methods.animatable.stage import AnimatableStage
from avatarpipe.methods.animatable.views import VideoViews
from avatarpipe.steps import train_animatable
from avatarpipe.tables import read_table
from avatarpipe.training.distributed import Team
from avatarpipe.training.perceptual import structure

SETTINGS = QUICK | {"cameras_per_step": 2}
LAUNCHER = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
]


@pytest.fixture(scope="module")
def video(tmp_path_factory, fake_body, fake_body_file):
    """Options of the step by name: capture, weights and body."""
    root = tmp_path_factory.mktemp("video")
    capture = animatable_video.write_video(root / "capture", fake_body)
    weights = animatable_video.write_weights(capture, fake_body_file, root / "weights/weights.json")
    return {"--capture": capture, "--weights": weights, "--body": fake_body_file}


def words(video: dict, folder: Path, settings: dict = SETTINGS) -> list[str]:
    given = video | {
        "--out": folder / "avatar/avatar.json", "--curves": folder / "curves.parquet", "--device": "cpu", "--seed": 3,
        "--settings": json.dumps(settings),
    }  # fmt: skip
    return [f"{name}={value}" for name, value in given.items()]


def together(options: list[str]) -> subprocess.Popen:
    """The launcher of two processes of the step."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*LAUNCHER, "avatarpipe.steps.train_animatable", *options], env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def killed_after(folder: Path, process: subprocess.Popen) -> None:
    """kill -9 the launcher, which takes the others with it, once `folder` is there."""
    wait_for(folder, process)
    process.kill()
    process.communicate()


def test_two_processes_killed_and_started_again_train_what_one_does(video, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    train_animatable.main(words(video, one))
    killed_after(two / "checkpoints/00000003", together(words(video, two)))
    assert not (two / "avatar").exists()
    process = together(words(video, two))
    said = process.communicate(timeout=200)[0]
    assert process.returncode == 0, said
    assert said.count("resumed after iteration") == 1 and said.count("frames to train on") == 1
    assert sorted(path.name for path in two.iterdir()) == ["avatar", "curves.parquet"]
    curves = [read_table(root / "curves.parquet", ["step", "name", "value"]) for root in (one, two)]
    assert curves[0][["step", "name"]].equals(curves[1][["step", "name"]])
    assert np.allclose(curves[0]["value"], curves[1]["value"], atol=1e-3)
    capture, shown = Capture.load(video["--capture"]), []
    for root in (one, two):
        cloud = Avatar.load(root / "avatar/avatar.json").pose(capture.poses[0])
        with torch.no_grad():
            shown.append(render(cloud, capture.cameras("train")).rgb)
    assert (shown[0] - shown[1]).abs().mean() < 1e-3


@dataclass(frozen=True)
class Threads(Team):
    """One of several threads that train together."""

    meeting: threading.Barrier | None = None
    said: dict | None = None

    def add_up(self, tensors):
        for tensor in tensors:
            self.said[self.rank] = tensor.clone()
            self.meeting.wait(60)
            tensor.copy_(sum(self.said[rank] for rank in range(self.size)))
            self.meeting.wait(60)

    def from_the_first(self, tensors):
        for tensor in tensors:
            self.said[self.rank] = tensor.detach()
            self.meeting.wait(60)
            tensor.data.copy_(self.said[0])
            self.meeting.wait(60)


def stage_of(video: dict, fake_body, team: Team, points_seed: int = 0) -> AnimatableStage:
    """The training of a process of the team, which has drawn points of `points_seed`."""
    capture = Capture.load(video["--capture"])
    views = VideoViews(capture, "train", "cpu", frame_split(capture).train, workers=1, team=team)
    return AnimatableStage(
        roughened(tiny_model(fake_body, points_seed)), tiny_rig(fake_body), views, animatable_settings(SETTINGS), 3, structure
    )  # fmt: skip


def slopes(video: dict, fake_body, step: int, team: Team) -> tuple[dict, dict]:
    """The gradients by parameter and the losses of an iteration."""
    stage = stage_of(video, fake_body, team)
    stage.descent.step = lambda progress: None  # leaves the gradients where they are
    losses = stage.step(step)
    parameters = stage.model.parameters.items()
    return {name: value.grad for name, value in parameters if value.grad is not None}, losses


@pytest.mark.parametrize("step", [0, 7, 10, 13, 20])
def test_all_find_the_gradients_and_losses_that_one_finds(video, fake_body, step):
    """Adam makes as much of rounding as of a slope, so that what counts is compared before it: at each stage of the schedule."""
    whole, losses = slopes(video, fake_body, step, Team())
    meeting, said = threading.Barrier(2), {}
    team = [Threads(rank, 2, meeting, said) for rank in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda own: slopes(video, fake_body, step, own), team))
    for kept, own in found:
        assert set(kept) == set(whole)
        for name, gradient in whole.items():
            near = 1e-5 * float(gradient.abs().max())
            assert torch.allclose(kept[name], gradient, rtol=1e-4, atol=near), name
        assert own == pytest.approx(
            {name: float(value) for name, value in losses.items()}, rel=1e-5
        )
    for name in whole:  # none drifts from the other
        assert torch.equal(found[0][0][name], found[1][0][name]), name


def test_processes_that_round_differently_are_made_alike_now_and_then(
    video, fake_body, monkeypatch
):
    """As on CUDA, where sums of many have no fixed order: what the second process' networks are taught is a little off."""
    monkeypatch.setattr("avatarpipe.methods.animatable.stage._ALIKE_EVERY", 4)
    meeting, said = threading.Barrier(2), {}

    def trained(rank: int) -> list[torch.Tensor]:
        stage = stage_of(video, fake_body, Threads(rank, 2, meeting, said))
        networks = stage.model.parameters["networks.0.weight"]
        networks.register_hook(lambda slope: slope * (1.0 + 1e-6 * rank) + 1e-12 * rank)
        kept = []
        for step in range(21, 25):
            stage.step(step)
            kept.append(networks.detach().clone())
        return kept

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(trained, (0, 1))
    assert [torch.equal(a, b) for a, b in zip(first, second, strict=True)] == [False] * 3 + [True]


def test_processes_that_found_other_points_all_stand_on_those_of_the_first(video, fake_body):
    meeting, said = threading.Barrier(2), {}

    def begun(rank: int) -> AnimatableStage:
        return stage_of(video, fake_body, Threads(rank, 2, meeting, said), points_seed=rank)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(begun, (0, 1))
    alone = stage_of(video, fake_body, Team()).state()
    for stage in (first, second):
        assert all(torch.equal(value, alone[name]) for name, value in stage.state().items())
    bones, theta = first.bones[0], first.thetas[0]
    a, b = (stage.model.posed(stage.model.canonical(theta), bones) for stage in (first, second))
    assert torch.equal(a.means, b.means) and torch.equal(a.sh, b.sh)


def test_more_processes_than_cameras_are_refused(video, tmp_path):
    given = {name.strip("-"): value for name, value in video.items()}
    options = train_animatable.TrainAnimatable(
        **given, out=tmp_path / "avatar/avatar.json", curves=tmp_path / "curves.parquet"
    )
    with pytest.raises(
        InputError, match=r"2 processes share the cameras of an iteration, .* are 1"
    ):
        train_animatable._run(options, Team(0, 2), torch.device("cpu"))


def test_a_process_that_is_left_no_view_takes_the_first_as_none(video):
    capture = Capture.load(video["--capture"])
    whole, last = (
        VideoViews(capture, "train", "cpu", workers=1, team=team) for team in (Team(), Team(2, 3))
    )
    views, own = whole.batch(0, 2, 7), last.batch(0, 2, 7)
    assert (views.places, views.part) == ([0, 1], 1.0) and (own.places, own.part) == ([0], 0.0)
    assert own.frame == views.frame and torch.equal(own.image, views.image[:1])
    second = VideoViews(capture, "train", "cpu", workers=1, team=Team(1, 2)).batch(0, 2, 7)
    assert (second.places, second.part) == ([1], 0.5) and torch.equal(second.image, views.image[1:])
