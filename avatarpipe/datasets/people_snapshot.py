"""PeopleSnapshot (Alldieck et al., CVPR 2018): a person who turns before one camera, with SMPL fits.

Layout of a source: camera.pkl, reconstructed_poses.hdf5, masks.hdf5, {source}.mp4, and perhaps consensus.pkl, asked for betas
where the poses have none. World and fit are the camera's: y down, metres; they are stood upright here. K is OpenCV's.

The fit is SMPL: its 24 joints become SMPL-X by the rule of body/smpl.py, hands by the option hands. Its shape means nothing to
SMPL-X: give the SMPL file as the option smpl, from whose joints a shape is found, or the option betas (10 numbers of SMPL-X);
without either the body has the mean shape. Further options: fps, boundary_radius. Each may be given for each source apart.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from avatarpipe.body.params import BodyParams
from avatarpipe.body.smpl import SMPL_REST_PELVIS, shape_of_joints, smpl_to_smplx
from avatarpipe.capture.frames import frame_name, frame_numbers
from avatarpipe.datasets import hdf5, video
from avatarpipe.datasets.arrays import finite, read_dict
from avatarpipe.datasets.calibration import Calibration
from avatarpipe.datasets.choices import settled, smpl_file
from avatarpipe.datasets.multiview import MultiViewSource, Request, View
from avatarpipe.datasets.similarity import upright
from avatarpipe.datasets.smpl_rest import rest_joints
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file

log = logging.getLogger(__name__)
CAMERA, POSES, MASKS, CONSENSUS = (
    "camera.pkl",
    "reconstructed_poses.hdf5",
    "masks.hdf5",
    "consensus.pkl",
)
CAMERA_NAME = "camera"
_CAMERA_SHAPES = {
    "camera_f": (2,), "camera_c": (2,), "camera_k": (5,), "camera_rt": (3,), "camera_t": (3,),
    "width": (), "height": (),
}  # fmt: skip
_HANDS = ("relaxed", "flat")


def read(request: Request) -> MultiViewSource:
    """What the recording holds, its video unread; InputError on files that are missing, broken or of different lengths."""
    folder = request.folder("A recording is a folder such as male-3-casual.")
    request = replace(request, options=settled(request.options, request.source))
    calibration = _read_camera(folder / CAMERA)
    film, smpl = _film(folder), smpl_file(request.options, request.gender)
    consensus = folder / CONSENSUS
    poses, count = _read_poses(request, folder)
    _check_masks(folder / MASKS, count, calibration)
    numbers = frame_numbers(request.frames, range(count))
    fps = float(request.options.get("fps") or video.frame_rate(film))
    source = MultiViewSource(
        cameras=calibration.cameras,
        distortion=calibration.distortion,
        frames=tuple(map(frame_name, numbers)),
        times=tuple(number / fps for number in numbers),
        poses=poses[numbers],
        views=[],
        missing=[],
        inputs={
            "calibration": folder / CAMERA,
            "poses": folder / POSES,
            "masks": folder / MASKS,
            "video": film,
            **({"smpl": smpl} if smpl else {}),
            **({"shape": consensus} if smpl and consensus.is_file() else {}),
        },
        boundary_radius=int(request.options.get("boundary_radius", 4)),
        unpack=partial(_unpacked, film, folder / MASKS, numbers),
    )
    return upright(source, "-y", request.body)


def _film(folder: Path) -> Path:
    """{source}.mp4, or the only mp4 there is."""
    named = folder / f"{folder.name}.mp4"
    found = [named] if named.is_file() else sorted(folder.glob("*.mp4"))
    if len(found) != 1:
        raise InputError(
            f"{named}: no such file, and {len(found)} others end in .mp4. Fetch the recording again."
        )
    return found[0]


def _read_camera(path: Path) -> Calibration:
    raw = read_dict(path, tuple(_CAMERA_SHAPES))
    values = {name: finite(raw, name, path, shape) for name, shape in _CAMERA_SHAPES.items()}
    K = np.array([np.diag([*values["camera_f"], 1.0])])
    K[0, :2, 2] = values["camera_c"] + 0.5
    w2c = np.eye(4)[None]
    w2c[0, :3, :3] = cv2.Rodrigues(values["camera_rt"])[0]
    w2c[0, :3, 3] = values["camera_t"]
    sizes = np.array([[values["width"], values["height"]]]).astype(np.int64)
    return Calibration((CAMERA_NAME,), w2c, K, values["camera_k"][None], sizes).check(path)


def _read_poses(request: Request, folder: Path) -> tuple[BodyParams, int]:
    """(a body for each frame of the video, their number)."""
    with hdf5.opened(folder / POSES) as file:
        pose = hdf5.numbers(file, "pose", (None, 72))
        trans = hdf5.numbers(file, "trans", (None, 3))
    if len(pose) != len(trans) or not len(pose):
        raise InputError(f"{folder / POSES}: {len(pose)} poses, but {len(trans)} translations.")
    hands = request.options.get("hands", "relaxed")
    if hands not in _HANDS:
        raise InputError(f"option hands is {hands!r}: use {' or '.join(_HANDS)}.")
    pelvis, betas = _shape(request, folder)
    bodies = smpl_to_smplx(pose[:, :3], pose[:, 3:], trans, betas, request.body, pelvis, hands)
    return bodies, len(pose)


def _shape(request: Request, folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """(SMPL's rest pelvis (3,), SMPL-X betas (10,) or None)."""
    options, pelvis, betas = request.options, SMPL_REST_PELVIS, None
    if smpl := smpl_file(options, request.gender):
        joints = rest_joints(smpl, _smpl_betas(folder))
        pelvis, betas = joints[0], shape_of_joints(joints, request.body)
    if options.get("betas") is not None:
        betas = finite(options, "betas", Path("option"), (10,))
    if betas is None:
        log.warning(
            "%s: the body has the mean shape; the option smpl or betas would give it its own.",
            folder,
        )
    return pelvis, betas


def _smpl_betas(folder: Path) -> np.ndarray:
    """(10,) in SMPL's shape space."""
    with hdf5.opened(folder / POSES) as file:
        if "betas" in file:
            return hdf5.numbers(file, "betas", (10,))
    raw = read_dict(folder / CONSENSUS, ("betas",))
    return finite(raw, "betas", folder / CONSENSUS, (10,))


def _check_masks(path: Path, count: int, calibration: Calibration) -> None:
    with hdf5.opened(path) as file:
        shape = hdf5.dataset(file, "masks", 3).shape
    width, height = calibration.sizes[0].tolist()
    if shape[0] != count:
        raise InputError(
            f"{path}: {shape[0]} masks for {count} poses. Fetch masks and poses again."
        )
    if shape[1:] != (height, width):
        raise InputError(
            f"{path}: masks of {shape[2]} x {shape[1]} pixels, but the camera is calibrated for {width} x {height}."
        )


def _unpacked(film: Path, masks: Path, numbers: Sequence[int], folder: Path) -> list[View]:
    """Frames and masks as PNG below `folder`, decoded once; what an earlier run left whole there is kept."""
    folder = folder / _identity(film, masks)
    images = {number: folder / "images" / f"{frame_name(number)}.png" for number in numbers}
    cut = {number: folder / "masks" / f"{frame_name(number)}.png" for number in numbers}
    for number, pixels in video.frames(film, _absent(images)):
        _write(images[number], pixels)
    with hdf5.opened(masks) as file:
        stack = hdf5.dataset(file, "masks", 3)
        for number in _absent(cut):
            _write(cut[number], (np.asarray(stack[number]) > 0).astype(np.uint8) * 255)
    return [View(i, 0, images[number], cut[number]) for i, number in enumerate(numbers)]


def _identity(*paths: Path) -> str:
    """Another one as soon as a file changes."""
    found = [(path, (path.stat().st_size, path.stat().st_mtime_ns)) for path in paths]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def _absent(paths: Mapping[int, Path]) -> set[int]:
    return {number for number, path in paths.items() if not path.is_file()}


def _write(path: Path, pixels: np.ndarray) -> None:
    with atomic_file(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
