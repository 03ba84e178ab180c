"""Items of SIGMAN's HGS layout (2025): one pose of one person, drawn by a rig of 90 cameras on white.

Layout of a source: camera_full_calibration.json, rgb_map/{camera:04d}.jpg, mask_map/{camera:04d}.png, smplx.npz. K has pixel
centres at +0.5; x_camera = R x + T, metres; the world is that of the body with its root at rest, so the stored global_orient
and transl are not those of the pictures: the published system puts (0, 0.35, 0) and no turn in their place. Hands are in
full (flat_hand_mean=True), or of fewer PCA coefficients. UV/ and mesh/ are not read. The
white is taken out again where the mask lets it through, since it would shine around the subject.
Options: those of `assembly` about cameras, boundary_radius, and stored_root (to believe the file's root after all).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.capture.frames import frame_name
from avatarpipe.datasets.arrays import FULL_HAND, decode_hand, finite
from avatarpipe.datasets.assembly import chosen_rig
from avatarpipe.datasets.calibration import Calibration
from avatarpipe.datasets.listing import numbered_files, pair_views
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.plain_npz import read_arrays
from avatarpipe.errors import InputError
from avatarpipe.files import read_json

CALIBRATION, POSES = "camera_full_calibration.json", "smplx.npz"
IMAGES, MASKS = "rgb_map", "mask_map"
ROOT_TRANSL = (0.0, 0.35, 0.0)  # metres
HELD_OUT = ("0000", "0008", "0060", "0082")  # what the published system tests on, beside its inputs
WIDTH_KEYS = ("weight", "width")  # the dataset spells it so
_OPTIONAL = ("jaw_pose", "leye_pose", "reye_pose")
_MATRICES = {"K": (3, 3), "R": (3, 3), "T": (3,)}


def read(request: Request) -> MultiViewSource:
    """What the item holds; InputError on a broken calibration, body or option."""
    if request.frames not in ("0", "all"):
        raise InputError(f"frames {request.frames!r}: an item of SIGMAN has frame 0 only.")
    folder = request.folder("An item is a folder with camera_full_calibration.json.")
    path = folder / CALIBRATION
    calibration = read_calibration(path)
    rig = chosen_rig(_with_held_out(request, calibration), calibration, path, calibration.names)
    names, frame = rig.calibration.names, frame_name(0)
    images, masks = (_one_frame(folder / kind, names) for kind in (IMAGES, MASKS))
    views, missing = pair_views([(0, frame)], names, images, masks, {})
    return MultiViewSource(
        cameras=rig.calibration.cameras,
        distortion=rig.calibration.distortion,
        sizes=rig.calibration.sizes,
        frames=(frame,),
        times=(0.0,),
        poses=read_body(folder / POSES, request.body, bool(request.options.get("stored_root"))),
        views=views,
        missing=missing,
        test_cameras=rig.test,
        inputs={"calibration": path, "poses": folder / POSES},
        boundary_radius=int(request.options.get("boundary_radius", 4)),
        on_white=True,
    )


def _with_held_out(request: Request, calibration: Calibration) -> Request:
    """The published test cameras, where neither cameras nor test cameras are chosen and the rig is the published one."""
    options = request.options
    chosen = options.get("cameras") not in (None, "all") or options.get("test_cameras") is not None
    if chosen or not set(HELD_OUT) < set(calibration.names):
        return request
    return replace(request, options={**options, "test_cameras": HELD_OUT})


def _one_frame(folder: Path, names: tuple[str, ...]) -> list[Mapping[int, Path]]:
    """{0: file} for each camera, {} where it has none: files are numbered by camera."""
    found = numbered_files(folder)
    return [{0: found[int(name)]} if int(name) in found else {} for name in names]


def read_calibration(path: Path) -> Calibration:
    """The cameras at `path`; InputError names the one that is broken."""
    document = read_json(path, given=True)
    if not isinstance(document, dict) or not document:
        raise InputError(
            f"{path}: expected an object with a record for each camera. Fetch it again."
        )
    if strange := [name for name in document if not name.isdigit()]:
        raise InputError(f"{path}: camera {strange[0]!r}: cameras are numbers such as 0030.")
    places = {name: f"{path}, camera {name}" for name in document}
    w2c = np.tile(np.eye(4), (len(document), 1, 1))
    matrices = {
        key: np.stack(
            [_matrix(document[name], key, shape, place) for name, place in places.items()]
        )
        for key, shape in _MATRICES.items()
    }
    w2c[:, :3, :3], w2c[:, :3, 3] = matrices["R"], matrices["T"]
    sizes = np.array([_size(document[name], place) for name, place in places.items()])
    distortion = np.zeros((len(document), 5))
    return Calibration(tuple(document), w2c, matrices["K"], distortion, sizes).check(path)


def _matrix(record: object, key: str, shape: tuple[int, ...], place: str) -> np.ndarray:
    try:
        array = np.asarray(record[key], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{place}: {key} is missing or no numbers. Fetch it again.") from error
    if array.size != np.prod(shape) or not np.isfinite(array).all():
        raise InputError(f"{place}: {key} must be {int(np.prod(shape))} finite numbers.")
    return array.reshape(shape)


def _size(record: Mapping, place: str) -> tuple[int, int]:
    width = next((record[key] for key in WIDTH_KEYS if key in record), None)
    if not all(isinstance(side, int) and side > 0 for side in (width, record.get("height"))):
        raise InputError(f"{place}: its image size (height and weight) is missing. Fetch it again.")
    return width, record["height"]


def read_body(path: Path, body: Body, stored_root: bool) -> BodyParams:
    """The body of the pictures: its root where the published system has it, or where the file says."""
    raw = read_arrays(path)
    if "scale" in raw and not np.allclose(raw["scale"], 1.0):
        raise InputError(f"{path}: scale is {raw['scale'].tolist()}: the body must be metric.")
    arrays = {name: _row(raw, name, body, path) for name in SIZES}
    if not stored_root:
        arrays |= {"global_orient": np.zeros((1, 3)), "transl": np.array([ROOT_TRANSL])}
    return BodyParams.from_arrays(arrays, path)


def _row(raw: Mapping, name: str, body: Body, path: Path) -> np.ndarray:
    if name not in raw and name in _OPTIONAL:  # items of 179 numbers have neither
        return np.zeros((1, SIZES[name]))
    if name not in raw:
        raise InputError(f"{path}: {name} is missing. Fetch the file again.")
    row = finite(raw, name, path, None).reshape(1, -1)
    if name.endswith("hand_pose") and row.shape[1] < FULL_HAND:
        return decode_hand(row, name, body, path)
    return row
