"""A small multi-view recording whose pictures are made of sines and a disk, and its way into a capture."""

from pathlib import Path

import cv2
import numpy as np
import torch

from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.cameras import Cameras, orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing
from avatarpipe.datasets import actorshq, avatarrex, thuman4
from avatarpipe.datasets.multiview import MultiViewSource, Policy, Request, write_source
from avatarpipe.datasets.writers import actorshq as actorshq_writer
from avatarpipe.datasets.writers import avatarrex as avatarrex_writer
from avatarpipe.datasets.writers import thuman4 as thuman4_writer
from avatarpipe.datasets.writers.recording import RawRecording

READERS = {"avatarrex": avatarrex, "thuman4.0": thuman4, "actorshq": actorshq}
WRITERS = {"avatarrex": avatarrex_writer, "thuman4.0": thuman4_writer, "actorshq": actorshq_writer}
LENS = np.array([-0.18, 0.07, 0.002, -0.001, 0.01])


def recording(
    frames=(0, 1, 2), count=3, width=96, height=80, distortion=None, missed=(), seed=0
) -> RawRecording:
    """`count` cameras around a disk; (frame index, camera index) pairs in `missed` have no picture."""
    rng = np.random.default_rng(seed)
    cameras = orbit([3], np.arange(count) * 50, 3, 50, width, height)
    K = cameras.K + rng.normal(0, 1.5, (count, 1, 1)) * np.array([[1, 0, 1], [0, 1, -1], [0, 0, 0]])
    names = tuple(f"2201{index:04d}" for index in range(count))
    poses = {name: rng.normal(0, 0.2, (len(frames), size)) for name, size in SIZES.items()}
    poses["betas"] = np.tile(rng.normal(0, 1, 10), (len(frames), 1))
    poses["leye_pose"] = poses["reye_pose"] = np.zeros((len(frames), 3))
    y, x = np.mgrid[:height, :width]

    def image(f: int, c: int):
        waves = [np.sin(x / (9 + k) + f) * np.cos(y / (8 + c) + k) for k in range(3)]
        return None if (f, c) in missed else (127 + 90 * np.stack(waves, -1)).astype(np.uint8)

    def mask(f: int, c: int):
        drawn = np.zeros((height, width), np.uint8)
        cv2.circle(
            drawn,
            (width // 2 + 3 * (f % 5), height // 2 - 2 * c),
            height // 4,
            255,
            -1,
            cv2.LINE_AA,
        )
        return drawn

    return RawRecording(
        Cameras(cameras.w2c, K, width, height, names),
        np.zeros((count, 5)) if distortion is None else np.tile(distortion, (count, 1)),
        tuple(frames), 30.0, BodyParams.from_arrays(poses, "drawn"), "neutral", image, mask,
    )  # fmt: skip


def request(root: Path, body=None, frames="all", **options) -> Request:
    """For the recording root/take."""
    return Request(root, "take", frames, "neutral", body, options)


def capture(
    source: MultiViewSource, folder: Path, image_format="png", workers=1, **policy
) -> Capture:
    """The source converted as the step does it."""
    path = folder / "convert" / "capture.json"
    with publishing(path, resume=True) as draft:
        entries = write_source(source, draft, workers, image_format, Policy(**policy))
        Manifest("ann", "neutral", provenance={}, **entries).save(draft / "capture.json")
    return Capture.load(path)


def vertices(body, poses: BodyParams) -> torch.Tensor:
    """(B, V, 3) metres, in double precision."""
    return body.vertices(poses).double()
