"""A recording in the layouts of ActorsHQ. Its cameras are called Cam001, Cam002 and on; it knows no distortion."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from avatarpipe.cameras import Cameras
from avatarpipe.datasets.actorshq import CALIBRATION, COLUMNS, DEFAULT_SCALE
from avatarpipe.datasets.smpl_params import NAME, write_smpl_params
from avatarpipe.datasets.writers.pictures import write_pictures
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.files import atomic_file


def write(folder: Path, recording: RawRecording, scale: str | None = DEFAULT_SCALE) -> None:
    """Calibration, poses, images on black and masks below `folder`, which is the recording's own (Actor01/Sequence1).

    scale: the folder that the images go to, or None for the flattened layout. ValueError where lenses distort.
    """
    if np.abs(recording.distortion).max(initial=0) > 0:
        raise ValueError("ActorsHQ has no distortion, so that it cannot hold this recording")
    names = tuple(f"Cam{index + 1:03d}" for index in range(len(recording.cameras)))
    recording = _on_black(replace(recording, cameras=replace(recording.cameras, names=names)))
    inner = folder / scale if scale else folder
    write_pictures(
        recording,
        lambda camera, frame: inner / "rgbs" / camera / f"{camera}_rgb{frame:06d}.jpg",
        lambda camera, frame: inner / "masks" / camera / f"{camera}_mask{frame:06d}.png",
    )
    with atomic_file(inner / CALIBRATION) as temporary:
        camera_table(recording.cameras).to_csv(temporary, index=False)
    write_smpl_params(folder / NAME, recording.poses, recording.frames)


def camera_table(cameras: Cameras) -> pd.DataFrame:
    """calibration.csv: from camera to world, intrinsics in units of the image."""
    rotations = Rotation.from_matrix(cameras.w2c[:, :3, :3].transpose(0, 2, 1)).as_rotvec()
    size = np.array([cameras.width, cameras.height])
    focal, centre = cameras.K[:, [0, 1], [0, 1]] / size, cameras.K[:, :2, 2] / size
    table = pd.DataFrame(
        np.hstack([rotations, cameras.centres, focal, centre]), columns=list(COLUMNS[3:])
    )
    table.insert(0, "name", list(cameras.names))
    table.insert(1, "w", cameras.width)
    table.insert(2, "h", cameras.height)
    return table


def _on_black(recording: RawRecording) -> RawRecording:
    def image(f: int, c: int) -> np.ndarray | None:
        pixels, mask = recording.image(f, c), recording.mask(f, c)
        if pixels is None or mask is None:
            return None
        return (pixels * (mask[..., None] / 255.0) + 0.5).astype(np.uint8)

    return replace(recording, image=image)
