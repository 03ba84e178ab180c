"""A recording as a folder that nerfstudio trains from, with smpl_params.npz."""

from pathlib import Path

from avatarpipe.datasets.formats.posed_image import Shot
from avatarpipe.datasets.formats.transforms import write_transforms
from avatarpipe.datasets.nerfstudio import CALIBRATION
from avatarpipe.datasets.smpl_params import NAME, write_smpl_params
from avatarpipe.datasets.writers.pictures import write_pictures
from avatarpipe.datasets.writers.recording import RawRecording


def write(folder: Path, recording: RawRecording) -> None:
    """transforms.json, which lists what the cameras missed too, poses a row a time, images and masks as PNG."""
    write_pictures(
        recording,
        lambda camera, frame: folder / "images" / camera / f"{frame:06d}.png",
        lambda camera, frame: folder / "masks" / camera / f"{frame:06d}.png",
    )
    shots = [
        Shot(
            c,
            *(f"{kind}/{name}/{frame:06d}.png" for kind in ("images", "masks")),
            frame / recording.fps,
        )
        for frame in recording.frames
        for c, name in enumerate(recording.cameras.names)
    ]
    write_transforms(folder / CALIBRATION, recording.cameras, shots, recording.distortion)
    write_smpl_params(folder / NAME, recording.poses)
