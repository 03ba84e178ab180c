"""ActorsHQ (Isik et al., 2023): 160 cameras, 25 frames a second, background removed, no distortion.

Layout of a source, such as Actor01/Sequence1: {scale}/calibration.csv, {scale}/rgbs/{camera}/{camera}_rgb{frame:06d}.jpg and
{scale}/masks/{camera}/{camera}_mask{frame:06d}.png with smpl_params.npz beside or in the folder of the scale; or all of it
in one folder without scales. Options: those of `assembly`, and `scale` (1x, 2x or 4x).

calibration.csv has name,w,h,rx,ry,rz,tx,ty,tz,fx,fy,px,py: rotation (axis-angle) and translation (metres) from camera to
world, OpenCV axes; fx and px in image widths, fy and py in image heights, so that the corner of the image is at 0.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from avatarpipe.datasets.assembly import Files, assemble, chosen_rig
from avatarpipe.datasets.calibration import Calibration
from avatarpipe.datasets.listing import folders_in, numbered_files
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.smpl_params import NAME
from avatarpipe.errors import InputError
from avatarpipe.files import require_file

CALIBRATION = "calibration.csv"
COLUMNS = ("name", "w", "h", "rx", "ry", "rz", "tx", "ty", "tz", "fx", "fy", "px", "py")
SCALES = ("1x", "2x", "4x")
DEFAULT_SCALE = "4x"
FPS = 25.0
BOUNDARY_RADIUS = 4


def read(request: Request) -> MultiViewSource:
    """What the recording holds; InputError on a broken calibration, poses that do not fit, cameras without images."""
    folder, params = _layout(request)
    path = folder / CALIBRATION
    rig = chosen_rig(request, read_table(path), path, folders_in(folder / "rgbs"))
    names = rig.calibration.names
    files = Files(
        images=[
            numbered_files(folder / "rgbs" / name, rf"{re.escape(name)}_rgb(\d+)") for name in names
        ],
        masks=[
            numbered_files(folder / "masks" / name, rf"{re.escape(name)}_mask(\d+)")
            for name in names
        ],
    )
    return assemble(request, rig, files, params, FPS, BOUNDARY_RADIUS, premultiplied=True)


def _layout(request: Request) -> tuple[Path, Path]:
    """(folder of calibration and images, smpl_params.npz) in either layout."""
    source = request.folder("A recording of ActorsHQ is a folder such as Actor01/Sequence1.")
    scale = request.options.get("scale", DEFAULT_SCALE)
    if scale not in SCALES:
        raise InputError(f"option scale is {scale!r}: use one of {', '.join(SCALES)}.")
    folder = source if (source / CALIBRATION).is_file() else source / scale
    beside, inside = source / NAME, folder / NAME
    return folder, inside if inside.is_file() else beside


def read_table(path: Path) -> Calibration:
    """The calibration at `path`, every camera of it. InputError names what is missing or no number."""
    require_file(
        path, "The calibration was expected here, or in a folder of the scale (1x, 2x, 4x)."
    )
    try:
        table = pd.read_csv(path, dtype={"name": str}, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(
            f"{path}: no table of comma-separated values ({error}). Fetch it again."
        ) from error
    if absent := [name for name in COLUMNS if name not in table.columns]:
        raise InputError(f"{path}: column {', '.join(absent)} is missing. Fetch the file again.")
    numbers = table[list(COLUMNS[1:])].apply(pd.to_numeric, errors="coerce")
    if not len(table) or table["name"].isna().any() or not np.isfinite(numbers.to_numpy()).all():
        raise InputError(
            f"{path}: no camera, or a cell that is empty or no number. Fetch the file again."
        )
    if table["name"].duplicated().any():
        raise InputError(f"{path}: two cameras share one name. Fetch the file again.")
    w2c = world_to_camera(
        numbers[["rx", "ry", "rz"]].to_numpy(), numbers[["tx", "ty", "tz"]].to_numpy()
    )
    sizes = numbers[["w", "h"]].to_numpy(np.int64)
    K = np.tile(np.eye(3), (len(table), 1, 1))
    K[:, [0, 0], [0, 2]] = numbers[["fx", "px"]].to_numpy() * sizes[:, :1]
    K[:, [1, 1], [1, 2]] = numbers[["fy", "py"]].to_numpy() * sizes[:, 1:]
    return Calibration(tuple(table["name"]), w2c, K, np.zeros((len(table), 5)), sizes).check(path)


def world_to_camera(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """(C, 4, 4) from axis-angles (C, 3) and positions (C, 3) that lead from camera to world."""
    w2c = np.tile(np.eye(4), (len(rotations), 1, 1))
    w2c[:, :3, :3] = Rotation.from_rotvec(np.array(rotations)).as_matrix().transpose(0, 2, 1)
    w2c[:, :3, 3] = -np.einsum("cij,cj->ci", w2c[:, :3, :3], translations)
    return w2c
