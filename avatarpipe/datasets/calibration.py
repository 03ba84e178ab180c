"""Calibrations of many cameras, before and after choosing some of them; AvatarReX's and THuman4.0's JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatarpipe.cameras import Cameras
from avatarpipe.capture.manifest import check_name
from avatarpipe.errors import InputError
from avatarpipe.files import read_json, write_json

_RECORD = {"K": 9, "R": 9, "T": 3, "distCoeff": 5, "imgSize": 2}
_ROTATION_ERROR = 1e-3


@dataclass(frozen=True)
class Calibration:
    """C cameras, each with an image size of its own; pixel centres at +0.5."""

    names: tuple[str, ...]
    w2c: np.ndarray  # (C, 4, 4)
    K: np.ndarray  # (C, 3, 3)
    distortion: np.ndarray  # (C, 5) OpenCV k1 k2 p1 p2 k3
    sizes: np.ndarray  # (C, 2) width, height

    def __getitem__(self, chosen: Sequence[int]) -> "Calibration":
        """The cameras at the positions `chosen`, in that order."""
        index = list(chosen)
        names = tuple(self.names[i] for i in index)
        return Calibration(
            names, self.w2c[index], self.K[index], self.distortion[index], self.sizes[index]
        )

    @property
    def cameras(self) -> Cameras:
        """The cameras with their images padded to the largest width and height."""
        width, height = self.sizes.max(axis=0).tolist()
        return Cameras(self.w2c, self.K, width, height, self.names)

    def check(self, path: Path) -> "Calibration":
        """Itself; InputError that names `path` and the camera where something cannot be a calibration."""
        for index, name in enumerate(self.names):
            check_name(name, f"{path}: camera")
            place = f"{path}, camera {name}"
            _check_rotation(self.w2c[index, :3, :3], place)
            _check_matrix(self.K[index], self.sizes[index], place)
        return self


def read_calibration(path: Path) -> Calibration:
    """The calibration at `path`: {name: {K, R, T, distCoeff, imgSize}}, x_camera = R x_world + T in metres.

    Its K is OpenCV's, with pixel centres at 0. InputError names the camera and what is wrong with it.
    """
    document = read_json(path, given=True)
    if not isinstance(document, dict) or not document:
        raise InputError(
            f"{path}: expected an object with a record for each camera. Fetch it again."
        )
    records = {
        name: _numbers(record, f"{path}, camera {name}") for name, record in document.items()
    }
    w2c = np.tile(np.eye(4), (len(records), 1, 1))
    w2c[:, :3, :3] = [record["R"].reshape(3, 3) for record in records.values()]
    w2c[:, :3, 3] = [record["T"] for record in records.values()]
    K = np.array([record["K"].reshape(3, 3) for record in records.values()])
    K[:, :2, 2] += 0.5
    distortion = np.array([record["distCoeff"] for record in records.values()])
    sizes = np.array([record["imgSize"] for record in records.values()]).astype(np.int64)
    return Calibration(tuple(records), w2c, K, distortion, sizes).check(path)


def write_calibration(path: Path, cameras: Cameras, distortion: np.ndarray) -> None:
    """The inverse of read_calibration."""
    K = np.array(cameras.K, np.float64)
    K[:, :2, 2] -= 0.5
    records = {
        name: {
            "K": K[i].ravel().tolist(),
            "R": cameras.w2c[i, :3, :3].ravel().tolist(),
            "T": cameras.w2c[i, :3, 3].tolist(),
            "distCoeff": np.asarray(distortion[i], np.float64).tolist(),
            "imgSize": [cameras.width, cameras.height],
        }
        for i, name in enumerate(cameras.names)
    }
    write_json(path, records)


def _numbers(record: object, place: str) -> dict[str, np.ndarray]:
    """The arrays of one camera, flat and finite, each of its length."""
    if not isinstance(record, dict):
        raise InputError(f"{place}: expected {', '.join(_RECORD)}. Fetch the calibration again.")
    arrays = {}
    for name, length in _RECORD.items():
        try:
            array = np.asarray(record[name], np.float64).ravel()
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{place}: {name} is missing or no array of numbers. Fetch it again."
            ) from error
        if len(array) != length or not np.isfinite(array).all():
            raise InputError(
                f"{place}: {name} must be {length} finite numbers, got {record[name]}."
            )
        arrays[name] = array
    return arrays


def _check_rotation(R: np.ndarray, place: str) -> None:
    error, determinant = np.abs(R @ R.T - np.eye(3)).max(), np.linalg.det(R)
    if not (error < _ROTATION_ERROR and determinant > 0):
        raise InputError(
            f"{place}: R is no rotation: R R^T is off the identity by {error:.3g}, the determinant is {determinant:.3g}. "
            "Expected world to camera, row by row, without scale; fetch the calibration again."
        )


def _check_matrix(K: np.ndarray, size: np.ndarray, place: str) -> None:
    width, height = size.tolist()
    if min(width, height) < 1 or min(K[0, 0], K[1, 1]) <= 0 or not np.allclose(K[2], [0, 0, 1]):
        raise InputError(
            f"{place}: K is no camera matrix, or imgSize {width} x {height} is none. Fetch it again."
        )
    if abs(K[0, 1]) > 1e-3:
        raise InputError(
            f"{place}: K has a skew of {K[0, 1]:.3g}; only square or oblong pixels are known here."
        )
    if not (0 < K[0, 2] < width and 0 < K[1, 2] < height):
        raise InputError(
            f"{place}: K has its principal point at ({K[0, 2]:.1f}, {K[1, 2]:.1f}), outside the image of {width} x "
            f"{height}: likely K is for another image size. Give K for the size that the images have."
        )
