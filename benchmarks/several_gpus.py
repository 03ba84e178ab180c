"""How long an iteration of the animatable training takes on one GPU and on several, and whether the processes stay alike.

$ python -m benchmarks.several_gpus --capture results/vic/normalize/capture.json --body results/body/SMPLX_MALE.npz \\
      --weights results/vic/animatable/weights/weights.json
$ torchrun --standalone --nproc-per-node 2 -m benchmarks.several_gpus --capture ... --body ... --weights ...

Iterations use all bases and colours that depend on the view, without the perceptual term; their images are
read beforehand. At the end the largest difference of any parameter between processes is told.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import distributed

from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit, frame_split
from avatarpipe.devices import chosen_device
from avatarpipe.methods.animatable.beginning import Beginning, matching_volume
from avatarpipe.methods.animatable.settings import animatable_settings
from avatarpipe.methods.animatable.stage import AnimatableStage
from avatarpipe.training.distributed import ALONE, Team, joined

WARM = 20  # iterations before those that are timed


@dataclass
class Options:
    """What to train on, and how."""

    capture: Path
    """The normalised capture.json of a video."""
    body: Path
    """The SMPLX_*.npz it was fitted with."""
    weights: Path
    """The weights.json of its volume of skinning weights."""
    cameras: tuple[int, ...] = (4, 8, 14)
    """Cameras an iteration, each timed; not fewer than processes."""
    frames: int = 12
    """Frames of the video whose images are held in memory."""
    iterations: int = 100
    """Iterations that are timed."""
    settings: str = "{}"
    """Settings that are not the published ones, as a JSON object."""
    seed: int = 0
    device: str = "auto"


def main(options: Options) -> None:
    """Measure as one of the processes; the first prints."""
    with joined(chosen_device(options.device)) as (team, device):
        stage = _stage(options, team, device)
        rows = [_row(stage, cameras, options.iterations, device) for cameras in options.cameras]
        drift = _drift(stage, team)
    if team.leads:
        table = Table(*rows[0], title=f"an iteration on {team.size} of {_name(device)}")
        for row in rows:
            table.add_row(*(f"{value:.3g}" for value in row.values()))
        Console().print(table)
        Console().print(f"largest difference of a parameter between processes after all that: {drift:.2g}")


def _row(stage: AnimatableStage, cameras: int, timed: int, device: torch.device) -> dict[str, float]:
    stage.settings = replace(stage.settings, cameras_per_step=cameras)
    for step in range(WARM):
        stage.step(step)
    _finish(device)
    began = time.perf_counter()
    for step in range(WARM, WARM + timed):
        stage.step(step)
    _finish(device)
    return {"cameras": cameras, "ms": 1e3 * (time.perf_counter() - began) / timed}


def _stage(options: Options, team: Team, device: torch.device) -> AnimatableStage:
    """A training whose images are all in memory."""
    fixed = {"bases_from": 0, "harmonics_from": 0, "boundaries": False}
    settings = animatable_settings(json.loads(options.settings) | fixed)
    capture = Capture.load(options.capture)
    frames = FrameSplit(frame_split(capture).train[: options.frames], ())
    legs = settings.model.legs_apart_deg
    volume = matching_volume(options.weights, options.body, capture.poses.betas[0], legs)
    begun = Beginning(capture, frames, Body(options.body), volume, settings, options.seed, device, team=team)
    stage = begun.stage(None)
    stage.views.team = ALONE
    for step in range(len(frames.train)):
        stage.views.batch(step, len(stage.views.names), options.seed)
    stage.views.team = team
    return stage


def _drift(stage: AnimatableStage, team: Team) -> float:
    """The largest difference of any parameter from the first process' own, over all processes."""
    if team.size == 1:
        return 0.0
    largest = torch.zeros((), device=stage.views.device)
    for value in stage.model.parameters.values():
        first = value.detach().clone()
        team.from_the_first([first])
        largest = torch.maximum(largest, (first - value.detach()).abs().max())
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return float(largest)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    main(tyro.cli(Options))
