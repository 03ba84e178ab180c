"""transforms.json of nerfstudio and its forerunners: intrinsics shared or by image, poses camera to world.

Poses are c2w in OpenGL axes (x right, y up, z backward); principal points have pixel centres at +0.5, as ours do.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from avatarpipe.cameras import Cameras
from avatarpipe.datasets.formats.posed_image import (
    Lens,
    PosedImage,
    Shot,
    below,
    check_rotation,
    inside,
    posed_images,
)
from avatarpipe.errors import InputError
from avatarpipe.files import read_json, write_json

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # between OpenGL and OpenCV camera axes, either way
_DISTORTION = ("k1", "k2", "p1", "p2", "k3")
_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV")


def read_transforms(path: str | Path) -> list[PosedImage]:
    """The images of a transforms.json, in the file's order.

    Raises InputError on another camera model than a pinhole with OpenCV distortion, a pose that is no rotation and
    translation, intrinsics that are missing or absurd, and paths that leave the folder.
    """
    path = Path(path)
    document = read_json(path, given=True)
    entries = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(
            f"{path}: no list of frames. A transforms.json of nerfstudio was expected."
        )
    return [
        _posed(document, entry, f"{path}: frame {i}", path.parent)
        for i, entry in enumerate(entries)
    ]


def _posed(document: dict, entry: object, what: str, folder: Path) -> PosedImage:
    if not isinstance(entry, dict) or not isinstance(entry.get("file_path"), str):
        raise InputError(f"{what}: no file_path.")
    what = f"{what} ({entry['file_path']})"
    image = _with_suffix(inside(folder, entry["file_path"], what))
    mask = entry.get("mask_path")
    settings = {**document, **entry}
    time = settings.get("time")
    return PosedImage(
        name=image.relative_to(folder).as_posix(),
        w2c=_w2c(entry.get("transform_matrix"), what),
        lens=_lens(settings, image, what),
        mask=None if mask is None else below(folder, mask, what),
        camera=entry.get("camera"),
        time=None if time is None else _number(settings, "time", what),
    )


def _with_suffix(path: Path) -> Path:
    """The oldest files of this kind leave ".png" out."""
    return path if path.suffix else path.with_name(f"{path.name}.png")


def _w2c(matrix: object, what: str) -> np.ndarray:
    try:
        c2w = np.asarray(matrix, np.float64)
    except (TypeError, ValueError):
        c2w = np.empty(0)
    if c2w.shape == (3, 4):
        c2w = np.vstack([c2w, [0, 0, 0, 1]])
    if (
        c2w.shape != (4, 4)
        or not np.isfinite(c2w).all()
        or np.abs(c2w[3] - [0, 0, 0, 1]).max() > 1e-6
    ):
        raise InputError(
            f"{what}: transform_matrix must be 4 rows of 4 finite numbers, the last 0 0 0 1."
        )
    check_rotation(c2w[:3, :3], what)
    rotation = OPENGL[:3, :3] @ c2w[:3, :3].T
    w2c = np.eye(4)
    w2c[:3, :3], w2c[:3, 3] = rotation, -rotation @ c2w[:3, 3]
    return w2c


def _lens(settings: dict, image: Path, what: str) -> Lens:
    model = settings.get("camera_model", "OPENCV")
    if model not in _MODELS:
        raise InputError(
            f"{what}: camera_model {model!r} is not known; use one of {', '.join(_MODELS)}. "
            "Undistort fisheye and panoramic images into pinhole images first."
        )
    width, height = _size(settings, image, what)
    focal_x, focal_y = _focals(settings, width, what)
    center = [
        _number(settings, key, what, size / 2) for key, size in (("cx", width), ("cy", height))
    ]
    if not (0 < center[0] < width and 0 < center[1] < height):
        raise InputError(
            f"{what}: principal point {center[0]:g}, {center[1]:g} outside an image of {width} x {height}: "
            "the intrinsics are of another image size."
        )
    K = np.array([[focal_x, 0, center[0]], [0, focal_y, center[1]], [0, 0, 1.0]])
    return Lens(K, width, height, _distortion(settings, what))


def _distortion(settings: dict, what: str) -> np.ndarray:
    if _number(settings, "k4", what, 0.0):
        raise InputError(
            f"{what}: k4 is not 0: only k1 k2 p1 p2 k3 are read. Undistort the images first."
        )
    return np.array([_number(settings, key, what, 0.0) for key in _DISTORTION])


def _size(settings: dict, image: Path, what: str) -> tuple[int, int]:
    if "w" in settings and "h" in settings:
        width, height = (_number(settings, key, what) for key in "wh")
    else:
        width, height = _size_on_disk(image, what)
    if not (width >= 1 and height >= 1 and width == int(width) and height == int(height)):
        raise InputError(f"{what}: image size {width:g} x {height:g}.")
    return int(width), int(height)


def _size_on_disk(image: Path, what: str) -> tuple[int, int]:
    pixels = cv2.imread(str(image), cv2.IMREAD_UNCHANGED) if image.is_file() else None
    if pixels is None:
        raise InputError(f"{what}: neither w and h nor a readable image to take them from.")
    return pixels.shape[1], pixels.shape[0]


def _focals(settings: dict, width: int, what: str) -> tuple[float, float]:
    if "fl_x" in settings:
        focal = _number(settings, "fl_x", what)
    elif "camera_angle_x" in settings:
        focal = 0.5 * width / np.tan(0.5 * _number(settings, "camera_angle_x", what))
    else:
        raise InputError(f"{what}: neither fl_x nor camera_angle_x: the focal length is missing.")
    focals = focal, _number(settings, "fl_y", what, focal)
    if min(focals) <= 0:
        raise InputError(f"{what}: focal lengths {focals[0]:g} and {focals[1]:g} pixels.")
    return focals


def _number(settings: dict, key: str, what: str, default: float | None = None) -> float:
    value = settings.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(f"{what}: {key} is {value!r}, expected a number.")
    return float(value)


def write_transforms(
    path: str | Path,
    cameras: Cameras,
    shots: Sequence[Shot],
    distortion: np.ndarray | None = None,
    notes: Sequence[dict] | None = None,
    **extra: object,
) -> None:
    """Write a transforms.json that nerfstudio reads; intrinsics stand beside each image.

    distortion: (C, 5) OpenCV k1 k2 p1 p2 k3. notes: further keys of each shot's frame. extra: further keys of the
    document, such as ply_file_path.
    Beyond nerfstudio's keys each frame names its `camera`, so that several frames of one camera are known as such.
    """
    entries = map(_entry, posed_images(cameras, shots, distortion))
    frames = [entry | note for entry, note in zip(entries, notes or [{}] * len(shots), strict=True)]
    write_json(path, {"camera_model": "OPENCV", **extra, "frames": frames})


def _entry(image: PosedImage) -> dict:
    lens, rotation = image.lens, image.w2c[:3, :3]
    c2w = np.eye(4)
    c2w[:3, :3], c2w[:3, 3] = rotation.T, -rotation.T @ image.w2c[:3, 3]
    entry = {"file_path": image.name, "camera": image.camera}
    if image.mask is not None:
        entry["mask_path"] = image.mask
    if image.time is not None:
        entry["time"] = image.time
    intrinsics = zip(
        ("fl_x", "fl_y", "cx", "cy"), lens.K[[0, 1, 0, 1], [0, 1, 2, 2]].tolist(), strict=True
    )
    distortion = zip(_DISTORTION, lens.distortion.tolist(), strict=True)
    size = {"w": lens.width, "h": lens.height}
    return (
        entry
        | size
        | dict(intrinsics)
        | dict(distortion)
        | {"transform_matrix": (c2w @ OPENGL).tolist()}
    )
