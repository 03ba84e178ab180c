"""A capture written by hand: two frames, three cameras, random images."""

import numpy as np
import pytest
import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import orbit
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing, write_cameras, write_frames
from avatarpipe.images import write_image, write_labels


@pytest.fixture
def video(tmp_path):
    """(path of capture.json, {(kind, frame, camera): array as stored})."""
    rng = np.random.default_rng(0)
    rigs = {
        "train": orbit([0], [0, 90], 2, 60, 12, 10, prefix="train_"),
        "test": orbit([5], [45], 2, 60, 12, 10, prefix="test_"),
    }
    stored, path = {}, tmp_path / "ann" / "render" / "capture.json"
    with publishing(path) as draft:
        for frame in ("00010", "00011"):
            for camera in ("train_000", "train_001", "test_000"):
                stored["images", frame, camera] = rng.integers(0, 256, (10, 12, 3)) / 255
                stored["masks", frame, camera] = rng.integers(0, 256, (10, 12)) / 255
                stored["truth_labels", frame, camera] = rng.integers(0, 7, (10, 12))
                for kind in ("images", "masks", "truth_labels"):
                    write = write_labels if kind == "truth_labels" else write_image
                    write(draft / kind / frame / f"{camera}.png", stored[kind, frame, camera])
        poses = BodyParams.zeros(2).replaced(transl=torch.tensor([[0.0, 0, 0], [0, 1, 0]]))
        Manifest(
            subject="ann", gender="female", provenance={}, images="images", masks="masks",
            truth_labels="truth_labels",
            **write_frames(draft, poses, ["00010", "00011"], [0.0, 0.04]), **write_cameras(draft, rigs),
        ).save(draft / "capture.json")  # fmt: skip
    return path, stored
