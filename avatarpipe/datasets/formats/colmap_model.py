"""What the files of a COLMAP model hold, text and binary alike: cameras with their lens model, and posed images.

Facts of the format: https://colmap.github.io/format.html and cameras.html.
"""

from dataclasses import dataclass

import numpy as np

from avatarpipe.datasets.formats.posed_image import Lens
from avatarpipe.errors import InputError

MODEL_IDS = {
    0: "SIMPLE_PINHOLE", 1: "PINHOLE", 2: "SIMPLE_RADIAL", 3: "RADIAL", 4: "OPENCV", 5: "OPENCV_FISHEYE",
    6: "FULL_OPENCV", 7: "FOV", 8: "SIMPLE_RADIAL_FISHEYE", 9: "RADIAL_FISHEYE", 10: "THIN_PRISM_FISHEYE",
}  # fmt: skip
PARAMETER_COUNTS = {
    "SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8, "FULL_OPENCV": 12,
}  # fmt: skip
_ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")


@dataclass(frozen=True)
class ColmapCamera:
    """A line of cameras.txt."""

    identity: int
    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ColmapImage:
    """A first line of images.txt: world to camera as quaternion wxyz and translation."""

    identity: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]
    camera: int
    name: str


@dataclass(frozen=True)
class ColmapPoints:
    """What points3D holds of use here."""

    positions: np.ndarray  # (N, 3) float64
    colours: np.ndarray  # (N, 3) uint8


def parameter_count(model: str, what: str) -> int:
    """How many parameters a lens model has; InputError where it is none that can be read."""
    if model not in PARAMETER_COUNTS:
        raise InputError(
            f"{what}: camera model {model} cannot be read; known are {', '.join(PARAMETER_COUNTS)}. "
            "Undistort the images with `colmap image_undistorter` (it writes PINHOLE), and give that folder."
        )
    return PARAMETER_COUNTS[model]


def lens_of(camera: ColmapCamera, what: str) -> Lens:
    """The calibration in our terms. InputError on wrong parameter counts, absurd values, and k4 to k6 that are not 0."""
    values = np.asarray(camera.parameters, np.float64)
    if len(values) != parameter_count(camera.model, what) or not np.isfinite(values).all():
        raise InputError(
            f"{what}: {camera.model} needs {PARAMETER_COUNTS[camera.model]} finite parameters."
        )
    if camera.model in _ONE_FOCAL:
        values = np.insert(values, 0, values[0])
    focal_x, focal_y, center_x, center_y = values[:4]
    if min(focal_x, focal_y) <= 0 or not (
        0 < center_x < camera.width and 0 < center_y < camera.height
    ):
        raise InputError(
            f"{what}: focal lengths {focal_x:g}, {focal_y:g} and principal point {center_x:g}, {center_y:g} do not "
            f"fit an image of {camera.width} x {camera.height}; the calibration is of another image size."
        )
    if np.any(values[9:]):
        raise InputError(
            f"{what}: k4 to k6 of FULL_OPENCV are not 0. Undistort the images with COLMAP first."
        )
    distortion = np.zeros(5)
    distortion[: len(values[4:9])] = values[4:9]
    K = np.array([[focal_x, 0, center_x], [0, focal_y, center_y], [0, 0, 1.0]])
    return Lens(K, camera.width, camera.height, distortion)


def camera_of(lens: Lens, identity: int) -> ColmapCamera:
    """The simplest COLMAP model that holds `lens`: PINHOLE, OPENCV, or FULL_OPENCV where k3 is not 0."""
    values = lens.K[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
    distortion = np.asarray(lens.distortion).tolist()
    model = "PINHOLE"
    if any(distortion):
        model = "FULL_OPENCV" if distortion[4] else "OPENCV"
        values += distortion + [0.0] * 3 if distortion[4] else distortion[:4]
    return ColmapCamera(identity, model, lens.width, lens.height, tuple(values))
