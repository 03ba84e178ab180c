"""Pictures of a raw recording: distorted as its lenses would, encoded, those that a camera missed left out."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from avatarpipe.datasets.rectification import NEGLIGIBLE, opencv_matrix
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.files import atomic_file

JPEG_QUALITY = 98
_ITERATIONS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9)


class Lens:
    """Bends a pinhole image as a lens does: what cv2.undistort makes of the result is the image again."""

    def __init__(self, K: np.ndarray, distortion: np.ndarray, width: int, height: int):
        self._maps = None
        if np.abs(distortion).sum() >= NEGLIGIBLE:
            self._maps = _sources(
                opencv_matrix(K), np.asarray(distortion, np.float64), width, height
            )

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W) or (H, W, 3) uint8 as photographed; black where the pinhole image does not reach."""
        if self._maps is None:
            return pixels
        return cv2.remap(pixels, *self._maps, cv2.INTER_CUBIC)


def _sources(
    K: np.ndarray, distortion: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the distorted image lies in the pinhole one: the distortion inverted, pixel by pixel."""
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    points = cv2.undistortPointsIter(
        grid.reshape(-1, 1, 2), K, distortion, np.eye(3), K, _ITERATIONS
    )
    return tuple(np.moveaxis(points.reshape(height, width, 2).astype(np.float32), -1, 0))


def write_pictures(
    recording: RawRecording,
    image_path: Callable[[str, int], Path],
    mask_path: Callable[[str, int], Path],
) -> list[tuple[Path, Path]]:
    """Write image and mask of each camera and frame where (camera name, frame number) puts them.

    Returns (image path, mask path) of those that the camera missed.
    """
    cameras, missed = recording.cameras, []
    for c, name in enumerate(cameras.names):
        lens = Lens(cameras.K[c], recording.distortion[c], cameras.width, cameras.height)
        for f, number in enumerate(recording.frames):
            paths = image_path(name, number), mask_path(name, number)
            pictures = recording.image(f, c), recording.mask(f, c)
            if any(picture is None for picture in pictures):
                missed.append(paths)
                continue
            for path, picture in zip(paths, pictures, strict=True):
                _encode(path, lens(picture))
    return missed


def _encode(path: Path, pixels: np.ndarray) -> None:
    pixels = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    with atomic_file(path) as temporary:
        cv2.imencode(path.suffix, np.ascontiguousarray(pixels), quality)[1].tofile(temporary)


def write_list(path: Path, files: list[Path]) -> None:
    """A line for each of `files`, seen from the folder of `path`; nothing is written where there are none."""
    if files:
        with atomic_file(path) as temporary:
            temporary.write_text(
                "".join(f"{file.relative_to(path.parent).as_posix()}\n" for file in files)
            )
