"""A recording in the layout of THuman4.0. Its cameras are called cam00, cam01 and on."""

from dataclasses import replace
from pathlib import Path

from avatarpipe.datasets.calibration import write_calibration
from avatarpipe.datasets.smpl_params import NAME, write_smpl_params
from avatarpipe.datasets.thuman4 import CALIBRATION, MISSING
from avatarpipe.datasets.writers.pictures import write_list, write_pictures
from avatarpipe.datasets.writers.recording import RawRecording


def write(folder: Path, recording: RawRecording) -> None:
    """Calibration, poses, images, masks and the lists of missing files below `folder`, which is the recording's own."""
    names = tuple(f"cam{index:02d}" for index in range(len(recording.cameras)))
    recording = replace(recording, cameras=replace(recording.cameras, names=names))
    missed = write_pictures(
        recording,
        lambda camera, frame: folder / "images" / camera / f"{frame:08d}.jpg",
        lambda camera, frame: folder / "masks" / camera / f"{frame:08d}.jpg",
    )
    for name, files in zip(MISSING, zip(*missed, strict=True), strict=False):
        write_list(folder / name, list(files))
    write_calibration(folder / CALIBRATION, recording.cameras, recording.distortion)
    write_smpl_params(folder / NAME, recording.poses, recording.frames)
