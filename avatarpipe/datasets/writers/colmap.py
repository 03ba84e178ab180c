"""A recording as a COLMAP folder calibrated at its first frame, with smpl_params.npz; to be read with NAMES."""

from pathlib import Path

from avatarpipe.datasets.formats.colmap import write_colmap
from avatarpipe.datasets.formats.posed_image import Shot
from avatarpipe.datasets.smpl_params import NAME, write_smpl_params
from avatarpipe.datasets.writers.pictures import write_pictures
from avatarpipe.datasets.writers.recording import RawRecording

NAMES = "{camera}/{frame}.png"  # the option `names` that tells the images apart


def write(folder: Path, recording: RawRecording, binary: bool = True) -> None:
    """sparse/0, images/, masks/ under the names that COLMAP gives masks, and poses: row n is frame n."""
    write_pictures(
        recording,
        lambda camera, frame: folder / "images" / camera / f"{frame:06d}.png",
        lambda camera, frame: folder / "masks" / camera / f"{frame:06d}.png.png",
    )
    first = recording.frames[0]
    shots = [Shot(c, f"{name}/{first:06d}.png") for c, name in enumerate(recording.cameras.names)]
    write_colmap(folder / "sparse" / "0", recording.cameras, shots, binary, recording.distortion)
    write_smpl_params(folder / NAME, recording.poses, recording.frames)
