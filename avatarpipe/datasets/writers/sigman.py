"""A frame as an item of SIGMAN's HGS layout: on white, in the world of the body at rest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.capture.normalization import rest_pelvis
from avatarpipe.datasets.sigman import CALIBRATION, IMAGES, MASKS, POSES, ROOT_TRANSL
from avatarpipe.datasets.similarity import moved
from avatarpipe.datasets.writers.pictures import write_pictures
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.files import atomic_file, write_json


def write(folder: Path, recording: RawRecording, body: Body) -> None:
    """Calibration, body, images and masks of the recording's first frame; cameras are called 0000, 0001 and on.

    What the published system needs beyond these (UV/, mesh/) is not written.
    """
    recording = _on_white(_one_frame(recording))
    cameras = at_rest(recording.cameras, recording, body)
    write_pictures(
        replace(recording, cameras=cameras),
        lambda camera, frame: folder / IMAGES / f"{camera}.jpg",
        lambda camera, frame: folder / MASKS / f"{camera}.png",
    )
    with atomic_file(folder / POSES) as temporary:
        np.savez(temporary, **{name: value.numpy() for name, value in recording.poses.items()})
    write_json(
        folder / CALIBRATION, {name: _record(cameras, i) for i, name in enumerate(cameras.names)}
    )


def at_rest(cameras: Cameras, recording: RawRecording, body: Body) -> Cameras:
    """The cameras, numbered, in the world in which the first body's root is where the layout has it."""
    lift = np.eye(4)
    lift[:3, 3] = ROOT_TRANSL
    world = lift @ np.linalg.inv(root_motion(recording.poses[0], body))
    names = tuple(f"{index:04d}" for index in range(len(cameras)))
    return replace(cameras, w2c=moved(cameras.w2c, world), names=names)


def root_motion(poses: BodyParams, body: Body) -> np.ndarray:
    """(4, 4) from the first body with global_orient and transl zero to itself: x' = R (x - J0) + J0 + transl."""
    pelvis = rest_pelvis(body, poses)[0]
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(poses.global_orient[0].double().numpy()).as_matrix()
    motion[:3, 3] = pelvis - motion[:3, :3] @ pelvis + poses.transl[0].double().numpy()
    return motion


def _record(cameras: Cameras, index: int) -> dict:
    return {
        "K": cameras.K[index].tolist(),
        "R": cameras.w2c[index, :3, :3].tolist(),
        "T": cameras.w2c[index, :3, 3].tolist(),
        "height": cameras.height,
        "weight": cameras.width,
    }


def _one_frame(recording: RawRecording) -> RawRecording:
    """The first frame, without distortion, of which the layout cannot tell."""
    straight = np.zeros_like(recording.distortion)
    return replace(
        recording, frames=recording.frames[:1], poses=recording.poses[0], distortion=straight
    )


def _on_white(recording: RawRecording) -> RawRecording:
    def image(f: int, c: int) -> np.ndarray | None:
        colours, mask = recording.image(f, c), recording.mask(f, c)
        if colours is None or mask is None:
            return None
        alpha = mask[..., None] / 255.0
        return (alpha * colours + (1 - alpha) * 255 + 0.5).astype(np.uint8)

    return replace(recording, image=image)
