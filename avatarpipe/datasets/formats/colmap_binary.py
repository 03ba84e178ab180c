"""COLMAP models in binary: cameras.bin, images.bin, points3D.bin; little-endian throughout."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avatarpipe.datasets.formats.colmap_model import (
    MODEL_IDS,
    ColmapCamera,
    ColmapImage,
    ColmapPoints,
    parameter_count,
)
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file

_HINT = "A COLMAP model needs cameras and images, as .txt or .bin; export it again."
_POINT_2D = struct.calcsize("<ddq")
_TRACK_ELEMENT = struct.calcsize("<II")


class _Bytes:
    """A file's bytes, taken from the front."""

    def __init__(self, path: Path):
        self.path = require_file(path, _HINT)
        self._data = self.path.read_bytes()
        self._at = 0

    def take(self, layout: str) -> tuple:
        start = self._at
        self.skip(struct.calcsize(layout))
        return struct.unpack_from(layout, self._data, start)

    def skip(self, count: int) -> None:
        if self._at + count > len(self._data):
            raise InputError(
                f"{self.path}: truncated: {len(self._data)} bytes. Copy the file again."
            )
        self._at += count

    def text(self) -> str:
        """Up to the next zero byte."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise InputError(f"{self.path}: truncated: a name has no end. Copy the file again.")
        start, self._at = self._at, end + 1
        try:
            return self._data[start:end].decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path}: an image's name is no text ({error}).") from error

    def finish(self) -> None:
        if left := len(self._data) - self._at:
            raise InputError(
                f"{self.path}: {left} bytes more than the file speaks of. Copy the file again."
            )


def read_cameras(path: Path) -> list[ColmapCamera]:
    """Every camera of cameras.bin."""
    data = _Bytes(path)
    cameras = [_camera(data) for _ in range(data.take("<Q")[0])]
    data.finish()
    return cameras


def _camera(data: _Bytes) -> ColmapCamera:
    identity, model, width, height = data.take("<IiQQ")
    name = MODEL_IDS.get(model, f"number {model}")
    count = parameter_count(name, f"{data.path}: camera {identity}")
    return ColmapCamera(identity, name, width, height, data.take(f"<{count}d"))


def read_images(path: Path) -> list[ColmapImage]:
    """Every image of images.bin, without its 2D points."""
    data = _Bytes(path)
    images = [_image(data) for _ in range(data.take("<Q")[0])]
    data.finish()
    return images


def _image(data: _Bytes) -> ColmapImage:
    identity, *pose, camera = data.take("<I7dI")
    name = data.text()
    data.skip(data.take("<Q")[0] * _POINT_2D)
    return ColmapImage(identity, tuple(pose[:4]), tuple(pose[4:]), camera, name)


def read_points(path: Path) -> ColmapPoints:
    """Positions and colours of points3D.bin."""
    data = _Bytes(path)
    rows = []
    for _ in range(data.take("<Q")[0]):
        rows.append(data.take("<Q3d3BdQ"))
        data.skip(rows[-1][-1] * _TRACK_ELEMENT)
    data.finish()
    table = np.array([row[1:7] for row in rows], np.float64).reshape(-1, 6)
    return ColmapPoints(table[:, :3], table[:, 3:].astype(np.uint8))


def write_cameras(path: Path, cameras: Sequence[ColmapCamera]) -> None:
    """cameras.bin."""
    numbers = {name: number for number, name in MODEL_IDS.items()}
    _write(
        path,
        [
            struct.pack(
                f"<IiQQ{len(x.parameters)}d",
                x.identity,
                numbers[x.model],
                x.width,
                x.height,
                *x.parameters,
            )
            for x in cameras
        ],
    )


def write_images(path: Path, images: Sequence[ColmapImage]) -> None:
    """images.bin, without 2D points."""
    _write(
        path,
        [
            struct.pack("<I7dI", x.identity, *x.quaternion, *x.translation, x.camera)
            + x.name.encode() + b"\0" + struct.pack("<Q", 0)
            for x in images
        ],
    )  # fmt: skip


def write_points(path: Path, points: ColmapPoints) -> None:
    """points3D.bin, without tracks and with no error known."""
    rows = zip(points.positions.tolist(), points.colours.tolist(), strict=True)
    _write(
        path,
        [struct.pack("<Q3d3BdQ", i, *xyz, *rgb, 0.0, 0) for i, (xyz, rgb) in enumerate(rows, 1)],
    )


def _write(path: Path, records: list[bytes]) -> None:
    with atomic_file(path) as temporary:
        temporary.write_bytes(struct.pack("<Q", len(records)) + b"".join(records))
