"""A tiny video of someone whose look changes with the pose, seen by three cameras, one of them held out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from animatable_parts import BETAS, TINY, random_pose, tiny_model

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing, write_cameras, write_frames
from avatarpipe.gaussians.render import render
from avatarpipe.images import write_image
from avatarpipe.methods.animatable.rig import Rig
from avatarpipe.steps.weight_volume import WeightVolumeOptions
from avatarpipe.steps.weight_volume import run as make_weights

SIZE = 48
FRAMES = ("000000", "000006", "000012", "000018")  # the last is novel
QUICK = {
    "iterations": 24, "bases_from": 6, "harmonics_from": 9, "checkpoint_every": 3, "boundaries": False,
    "model": {
        "gaussians": TINY.gaussians, "controls": TINY.controls, "anchors": TINY.anchors, "bases": TINY.bases,
        "control_bases": TINY.control_bases, "widths": list(TINY.widths), "gaussian_candidates": 3,
    },
    "losses": {"perceptual_from": 12, "perceptual_size": 24, "patches_from": 18},
    "rates": {"controls": 2e-3, "looks": 1e-2, "look_bases": 1e-2, "networks": 2e-3, "extent": "centres"},
}  # fmt: skip


def cameras() -> Cameras:
    """Front and left, to train; right, held out."""
    w2c = np.tile(np.eye(4), (3, 1, 1))
    for camera, angle in zip(w2c, (0.0, 2.1, 4.2), strict=True):
        c, s = np.cos(angle), np.sin(angle)
        camera[:3, :3] = np.diag([1, -1, -1]) @ [[c, 0, -s], [0, 1, 0], [s, 0, c]]
        camera[:3, 3] = [0, 0, 3]
    K = np.tile(np.array([[50.0, 0, SIZE / 2], [0, 50, SIZE / 2], [0, 0, 1]]), (3, 1, 1))
    return Cameras(w2c, K, SIZE, SIZE, ("front", "left", "right"))


def poses() -> BodyParams:
    """A body a frame."""
    each = [
        random_pose(31 + k, 0.15).replaced(transl=torch.zeros(1, 3)) for k in range(len(FRAMES))
    ]
    return BodyParams(**{
        name: torch.cat([dict(pose.items())[name] for pose in each]) for name, _ in each[0].items()
    })  # fmt: skip


def write_video(folder: Path, body: Body) -> Path:
    """The capture.json of the video, its split.json beside it."""
    path, bodies, seen_by = folder / "capture.json", poses(), cameras()
    with publishing(path) as draft:
        for k, frame in enumerate(FRAMES):
            with torch.no_grad():
                rendering = render(_figure(body, bodies, k), seen_by)
            for c, name in enumerate(seen_by.names):
                write_image(draft / f"images/{frame}/{name}.png", rendering.rgb[c].numpy())
                write_image(draft / f"masks/{frame}/{name}.png", rendering.alpha[c, ..., 0].numpy())
        split = {"train_frames": FRAMES[:3], "novel_frames": FRAMES[3:]}
        (draft / "split.json").write_text(json.dumps(split))
        Manifest(
            "zoe", "neutral", provenance={}, images="images", masks="masks", truth={"split": "split.json"},
            **write_frames(draft, bodies, FRAMES, np.arange(len(FRAMES)) / 5),
            **write_cameras(draft, {"train": seen_by[[0, 1]], "test": seen_by[[2]]}),
        ).save(draft / "capture.json")  # fmt: skip
    return path


def _figure(body: Body, bodies: BodyParams, k: int):
    """Gaussians at rest on the body, coloured by place and frame, posed as in frame k."""
    model = tiny_model(body, 5)
    canonical = model.canonical(None, harmonics=False)
    colors = torch.sin(4 * canonical.means + k)[:, None]
    rig = Rig.of(body, BETAS, TINY.legs_apart_deg)
    return model.posed(replace(canonical, sh=colors), rig.bones(bodies[k]))


def write_weights(capture: Path, body_file: Path, out: Path) -> Path:
    """The weights.json of the video's subject."""
    make_weights(WeightVolumeOptions(capture, body_file, out, resolution=24, levels=0, device="cpu"))
    return out
