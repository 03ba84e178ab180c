"""A frame as a four-view folder of NLF-GS, or as its forerunner wrote them."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np

from avatarpipe.datasets.formats.transforms import OPENGL
from avatarpipe.datasets.fourview import FIT, FOLDERS, MESH_SCALE
from avatarpipe.datasets.similarity import moved
from avatarpipe.datasets.writers.pictures import write_pictures
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.files import atomic_file, write_json


def write(
    root: Path, number: str, recording: RawRecording, scale: float = 1.0, older: bool = False
) -> None:
    """The recording's first frame as person `number`; its cameras are called front, 90 and the like.

    scale: what a metre of the recording is in the scan that was rendered. older: in OpenGL axes, and with the fit of the
    scan before it was enlarged.
    """
    straight = np.zeros_like(recording.distortion)  # the layout cannot tell of any other
    recording = replace(
        recording, frames=recording.frames[:1], poses=recording.poses[0], distortion=straight
    )
    folder = root / FOLDERS["images"] / number
    write_pictures(
        recording,
        lambda camera, frame: folder / f"{number}_{camera}.png",
        lambda camera, frame: folder / f"{number}_{camera}_mask.png",
    )
    _write_cameras(root / FOLDERS["calibrations"], recording, scale, older)
    fit = root / FOLDERS["fits"] / number / FIT if older else folder / FIT
    _write_fit(fit, recording, scale / MESH_SCALE if older else scale)


def _write_cameras(folder: Path, recording: RawRecording, scale: float, older: bool) -> None:
    cameras = recording.cameras
    w2c = moved(cameras.w2c, np.diag([scale, scale, scale, 1.0]))
    more = {} if older else {"coords": "+z", "type": "w2c"}
    for index, view in enumerate(cameras.names):
        K = cameras.K[index] - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
        document = {
            "K": K.tolist(),
            "viewmat": (OPENGL @ w2c[index] if older else w2c[index]).tolist(),
            "image_size": [cameras.width, cameras.height],
            "yfov_deg": float(np.degrees(2 * np.arctan(0.5 * cameras.height / K[1, 1]))),
        }
        write_json(folder / f"thuman_{view}.json", document | more)


def _write_fit(path: Path, recording: RawRecording, scale: float) -> None:
    arrays = {name: value.numpy() for name, value in recording.poses.items()}
    arrays["translation"] = arrays.pop("transl") * np.float32(scale)
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        pickle.dump(arrays | {"scale": np.array([scale], np.float32)}, stream, protocol=4)
