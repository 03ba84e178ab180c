"""Run a stage as the command line would, and judge an avatar on the held-out views."""

import json
from pathlib import Path

import numpy as np
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.gaussians.render import render
from avatarpipe.steps import train_layered

QUICK = {
    "iterations": 150, "points": 1500, "normal_from": 20, "distortion_from": 20, "rebind_every": 20, "garment_distance": 0.06, "clearance": 0.02,
    "checkpoint_every": 15, "rates": {"sh_dc": 0.02, "means": 5e-4},
    "densify": {"start": 20, "stop": 100, "every": 10, "max_points": 2500},
}  # fmt: skip
PREVIOUS = {"inner": "single", "outer": "inner"}


def arguments(dressed, root: Path, stage: str) -> list[str]:
    """The options of train_layered for a stage of the subject under `root`."""
    given = {
        "--stage": stage, "--capture": dressed.capture, "--body": dressed.body, "--seed": 3, "--device": "cpu",
        "--out": root / stage / "avatar" / "avatar.json", "--curves": root / stage / "curves.parquet",
        "--settings": json.dumps(QUICK),
    }  # fmt: skip
    if stage in PREVIOUS:
        given["--previous"] = root / PREVIOUS[stage] / "avatar" / "avatar.json"
        given["--garment-mesh"] = root / "single" / "mesh" / "garment.ply"
    return [str(word) for pair in given.items() for word in pair]


def run_stage(dressed, root: Path, stage: str) -> None:
    train_layered.main(arguments(dressed, root, stage))


def held_out_psnr(avatar: Avatar, capture_file: Path) -> float:
    """Mean full-frame PSNR of the composite over the held-out views, dB."""
    capture = Capture.load(capture_file)
    with torch.no_grad():
        rgb = render(avatar.pose(avatar.captured), capture.cameras("test")).rgb.numpy()
    errors = np.square(rgb - capture.stack("test", "images")).mean(axis=(1, 2, 3))
    return float((-10 * np.log10(errors)).mean())
