"""A recording in the layout of AvatarReX."""

from pathlib import Path

from avatarpipe.datasets.avatarrex import CALIBRATION, MISSING
from avatarpipe.datasets.calibration import write_calibration
from avatarpipe.datasets.smpl_params import NAME, write_smpl_params
from avatarpipe.datasets.writers.pictures import write_list, write_pictures
from avatarpipe.datasets.writers.recording import RawRecording


def write(folder: Path, recording: RawRecording) -> None:
    """Calibration, poses, images, masks and the list of missing images below `folder`, which is the recording's own."""
    missed = write_pictures(
        recording,
        lambda camera, frame: folder / camera / f"{frame:08d}.jpg",
        lambda camera, frame: folder / camera / "mask" / "pha" / f"{frame:08d}.jpg",
    )
    write_list(folder / MISSING[0], [image for image, _ in missed])
    write_calibration(folder / CALIBRATION, recording.cameras, recording.distortion)
    write_smpl_params(folder / NAME, recording.poses, recording.frames)
