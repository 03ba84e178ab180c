"""One calibrated image of a folder: what transforms.json and a COLMAP model both say of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from avatarpipe.cameras import Cameras
from avatarpipe.errors import InputError

_ORTHONORMAL = 1e-3


@dataclass(frozen=True)
class Lens:
    """Intrinsics in pixels, pixel centres at +0.5."""

    K: np.ndarray  # (3, 3)
    width: int
    height: int
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(5))  # OpenCV k1 k2 p1 p2 k3

    def same(self, other: "Lens") -> bool:
        """Whether both are one calibration."""
        return (
            (self.width, self.height) == (other.width, other.height)
            and np.array_equal(self.K, other.K)
            and np.array_equal(self.distortion, other.distortion)
        )


@dataclass(frozen=True)
class PosedImage:
    """An image file and where it was taken from; paths are relative to the folder of its format, with forward slashes."""

    name: str
    w2c: np.ndarray  # (4, 4) world to camera, OpenCV axes
    lens: Lens
    mask: str | None = None
    camera: str | None = None  # which camera took it, where the file says so
    time: float | None = None  # seconds


@dataclass(frozen=True)
class Shot:
    """One image to be written: camera `camera` of a Cameras, its files, and when."""

    camera: int
    name: str
    mask: str | None = None
    time: float | None = None


def posed_images(
    cameras: Cameras, shots: Sequence[Shot], distortion: np.ndarray | None = None
) -> list[PosedImage]:
    """The shots with the calibration of their cameras. distortion: (C, 5) OpenCV k1 k2 p1 p2 k3, or none."""
    if distortion is None:
        distortion = np.zeros((len(cameras), 5))
    lenses = [
        Lens(K, cameras.width, cameras.height, coefficients)
        for K, coefficients in zip(cameras.K, distortion, strict=True)
    ]
    return [
        PosedImage(
            shot.name,
            cameras.w2c[shot.camera],
            lenses[shot.camera],
            shot.mask,
            cameras.names[shot.camera],
            shot.time,
        )
        for shot in shots
    ]


def check_rotation(rotation: np.ndarray, what: str) -> None:
    """InputError where `rotation` (3, 3) is none: not finite, not orthonormal, or a mirror image."""
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if not error < _ORTHONORMAL or np.linalg.det(rotation) < 0:
        raise InputError(
            f"{what}: the 3x3 part of the pose is no rotation (off by {error:.3g}). A scale belongs into the "
            "option `scale`, not into the matrix; else check the calibration."
        )


def below(folder: Path, name: str, what: str) -> str:
    """`name` with forward slashes and no dots. InputError where it is no relative path that stays below `folder`.

    what: who says so, for the message.
    """
    path = PurePosixPath(str(name).replace("\\", "/"))
    absolute = path.is_absolute() or ":" in (path.parts or ("",))[0]
    if absolute or ".." in path.parts or not path.parts or "\0" in str(name):
        raise InputError(
            f"{what}: {name!r} is no path inside {folder}. Paths must be relative to the file and stay below its folder."
        )
    return path.as_posix()


def inside(folder: Path, name: str, what: str) -> Path:
    """folder/name; InputError as `below` has it."""
    return folder / below(folder, name, what)
