"""Calibrated pinhole cameras: OpenCV axes (x right, y down, z forward), w2c matrices, pixel K, centres at +0.5."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from avatarpipe.errors import InputError

_TABLE_COLUMNS = [
    "camera", "width", "height", "fx", "fy", "cx", "cy",
    *(f"w2c_{row}{column}" for row in range(3) for column in range(4)),
]  # fmt: skip


@dataclass(frozen=True)
class Cameras:
    """C cameras of one image size.

    w2c: (C, 4, 4) world to camera, float64. K: (C, 3, 3) pixels, float64. names: one a camera, unique.
    """

    w2c: np.ndarray
    K: np.ndarray
    width: int
    height: int
    names: tuple[str, ...]

    def __post_init__(self):
        count = len(self.names)
        if self.w2c.shape != (count, 4, 4) or self.K.shape != (count, 3, 3):
            raise ValueError(f"{count} names, but w2c {self.w2c.shape} and K {self.K.shape}")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index) -> "Cameras":
        """The cameras at an integer, slice, list or integer/boolean array, always as a Cameras."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        names = tuple(self.names[i] for i in chosen)
        return Cameras(self.w2c[chosen], self.K[chosen], self.width, self.height, names)

    @property
    def centres(self) -> np.ndarray:
        """(C, 3) camera centres in the world."""
        return -np.einsum("cji,cj->ci", self.w2c[:, :3, :3], self.w2c[:, :3, 3])

    def resized(self, width: int, height: int) -> "Cameras":
        """The same cameras with images resampled to another size."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return Cameras(self.w2c, scale @ self.K, width, height, self.names)

    def tensors(self, device=None, dtype=None):
        """(viewmats (C, 4, 4), Ks (C, 3, 3)) as torch tensors, float32 unless `dtype` says otherwise."""
        import torch

        dtype = dtype or torch.float32
        return tuple(torch.as_tensor(x, dtype=dtype, device=device) for x in (self.w2c, self.K))

    def to_table(self) -> pd.DataFrame:
        """One row a camera: camera, width, height, fx, fy, cx, cy, and the twelve numbers of w2c's top rows."""
        intrinsics = self.K[:, [0, 1, 0, 1], [0, 1, 2, 2]]
        numbers = np.hstack([intrinsics, self.w2c[:, :3].reshape(len(self), 12)])
        table = pd.DataFrame(numbers, columns=_TABLE_COLUMNS[3:])
        table.insert(0, "camera", list(self.names))
        table.insert(1, "width", self.width)
        table.insert(2, "height", self.height)
        return table

    @staticmethod
    def from_table(table: pd.DataFrame) -> "Cameras":
        """The inverse of to_table. Raises InputError on mixed image sizes, NaN, or rotations that are none."""
        if len(table.drop_duplicates(["width", "height"])) != 1:
            raise InputError("cameras: every camera of one Cameras needs the same width and height.")
        count = len(table)
        w2c = np.tile(np.eye(4), (count, 1, 1))
        w2c[:, :3] = table[_TABLE_COLUMNS[7:]].to_numpy(np.float64).reshape(count, 3, 4)
        K = np.tile(np.eye(3), (count, 1, 1))
        K[:, [0, 1, 0, 1], [0, 1, 2, 2]] = table[["fx", "fy", "cx", "cy"]].to_numpy(np.float64)
        _check_rotations(w2c, table["camera"])
        first = table.iloc[0]
        return Cameras(w2c, K, int(first["width"]), int(first["height"]), tuple(table["camera"]))

    @staticmethod
    def concatenate(parts: Sequence["Cameras"]) -> "Cameras":
        """All cameras of `parts`, which share one image size."""
        if len({(part.width, part.height) for part in parts}) != 1:
            raise ValueError("cameras of different image sizes cannot be concatenated")
        return Cameras(
            np.concatenate([part.w2c for part in parts]),
            np.concatenate([part.K for part in parts]),
            parts[0].width,
            parts[0].height,
            tuple(name for part in parts for name in part.names),
        )


def _check_rotations(w2c: np.ndarray, names: Sequence[str]) -> None:
    rotation = w2c[:, :3, :3]
    error = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    for name, off, matrix in zip(names, error, rotation, strict=True):
        if not off < 1e-3 or np.linalg.det(matrix) < 0:
            raise InputError(
                f"camera {name}: the 3x3 part of w2c is no rotation (off by {off:.3g}, determinant "
                f"{np.linalg.det(matrix):.3g}). Check the calibration file."
            )


def look_at(centre, target, up=(0.0, 1.0, 0.0)) -> np.ndarray:
    """(4, 4) w2c of a camera at `centre` that looks at `target`; right-handed, image upright along `up`."""
    centre, target, up = (np.asarray(x, np.float64) for x in (centre, target, up))
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    w2c = np.eye(4)
    w2c[:3, :3], w2c[:3, 3] = rotation, -rotation @ centre
    return w2c


def intrinsics(fov_deg: float, width: int, height: int) -> np.ndarray:
    """(3, 3) K of a centred camera whose vertical field of view is `fov_deg`, square pixels."""
    focal = 0.5 * height / np.tan(0.5 * np.radians(fov_deg))
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])


def orbit(
    elevations_deg, azimuths_deg, distance, fov_deg, width, height, target=(0.0, 0.0, 0.0), prefix=""
) -> Cameras:
    """Cameras on a sphere of radius `distance` metres around `target`, elevation-major.

    Azimuth 0 sees the subject's front from +Z and grows toward +X, the subject's left; positive elevations look down.
    """
    target = np.asarray(target, np.float64)
    views = []
    for elevation in np.radians(elevations_deg):
        for azimuth in np.radians(azimuths_deg):
            flat = np.cos(elevation)
            direction = [flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)]
            views.append(look_at(target + distance * np.array(direction), target))
    K = np.tile(intrinsics(fov_deg, width, height), (len(views), 1, 1))
    names = tuple(f"{prefix}{i:03d}" for i in range(len(views)))
    return Cameras(np.stack(views), K, width, height, names)
