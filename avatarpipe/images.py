"""8-bit PNG on disk, float32 sRGB in [0, 1] in memory."""

from pathlib import Path

import cv2
import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file


def _decode(path: str | Path, flag: int) -> np.ndarray:
    path = require_file(path, "An image was expected here; rerun the step that writes it.")
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), flag) if path.stat().st_size else None
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
        encoded.tofile(temporary)
