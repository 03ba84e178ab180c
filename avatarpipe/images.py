"""8-bit PNG or JPEG on disk, float32 sRGB in [0, 1] in memory."""

from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_TAIL = 4096  # bytes in which the end of a whole file is looked for first


def _decode(path: str | Path, flag: int) -> np.ndarray:
    path = require_file(path, "An image was expected here; rerun the step that writes it.")
    flag |= cv2.IMREAD_IGNORE_ORIENTATION  # calibrations speak of the pixels as they are stored
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), flag) if path.stat().st_size else None
    except cv2.error:  # more than 2^30 pixels, says the header
        pixels = None
    if pixels is None:
        raise InputError(f"{path}: truncated or not an image. Fetch or render it again.")
    return pixels


def read_image(path: str | Path) -> np.ndarray:
    """The colour image at `path` as (H, W, 3) float32 RGB in [0, 1]."""
    return _decode(path, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255.0


def read_mask(path: str | Path) -> np.ndarray:
    """The single-channel image at `path` as (H, W) float32 in [0, 1]."""
    return _decode(path, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255.0


def read_labels(path: str | Path) -> np.ndarray:
    """The label map at `path` as (H, W) uint8, values as stored."""
    return _decode(path, cv2.IMREAD_GRAYSCALE)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W) values in [0, 1] to `path`, rounded to 8 bits."""
    pixels = (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    _encode(path, pixels[..., ::-1] if pixels.ndim == 3 else pixels)


def write_labels(path: str | Path, labels: np.ndarray) -> None:
    """Write a (H, W) label map of integers below 256 to `path`, losslessly."""
    _encode(path, labels.astype(np.uint8))


def _encode(path: str | Path, pixels: np.ndarray) -> None:
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 2]
    ok, encoded = cv2.imencode(Path(path).suffix, np.ascontiguousarray(pixels), fast)
    if not ok:
        raise ValueError(f"{path}: cannot encode an image of shape {pixels.shape}")
    with atomic_file(path) as temporary:
        temporary.write_bytes(encoded)  # `tofile` leaves a last block that finds no room unmentioned


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of a PNG or JPEG, from its header alone; InputError where it is neither."""
    return _header(path)[:2]


def require_whole(path: str | Path) -> tuple[int, int]:
    """(height, width) like `image_size`; InputError also where the end of the file is missing. Decodes nothing."""
    height, width, data_start = _header(path)
    mark = b"\xff\xd9" if data_start else b"IEND\xaeB`\x82"  # EOI; the last chunk of a PNG with its checksum
    with Path(path).open("rb") as stream:
        stream.seek(max(data_start, Path(path).stat().st_size - _TAIL))
        found = mark in stream.read()
        if not found:  # something may follow the image
            stream.seek(data_start)
            found = mark in stream.read()
    if not found:
        raise InputError(f"{path}: truncated: the end of the image is missing. Fetch or render it again.")
    return height, width


def _header(path: str | Path) -> tuple[int, int, int]:
    """(height, width, where the data of a JPEG start or 0); PNG specification 11.2.2, ITU T.81 B.1 and B.2.2."""
    path = require_file(path, "An image was expected here; rerun the step that writes it.")
    with path.open("rb") as stream:
        start = stream.read(24)
        if start[:8] == _PNG and len(start) == 24:
            return int.from_bytes(start[20:24], "big"), int.from_bytes(start[16:20], "big"), 0
        frame = _jpeg_frame(stream) if start[:2] == _JPEG else None
    if frame is None:
        raise InputError(f"{path}: truncated or not a PNG or JPEG. Fetch or render it again.")
    return frame


def _jpeg_frame(stream: BinaryIO) -> tuple[int, int, int] | None:
    """Height, width and offset of the frame header, found by walking over the segments before it."""
    stream.seek(2)
    while len(marker := stream.read(2)) == 2 and marker[0] == 0xFF:
        if marker[1] == 0xFF:  # padding
            stream.seek(-1, 1)
            continue
        fields = stream.read(7)
        if len(fields) < 7:
            return None
        if marker[1] in _SIZE_MARKERS:
            return (
                int.from_bytes(fields[3:5], "big"),
                int.from_bytes(fields[5:7], "big"),
                stream.tell(),
            )
        stream.seek(int.from_bytes(fields[:2], "big") - 7, 1)
    return None
