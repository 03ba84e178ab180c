"""Pictures of a raw recording: distorted as its lenses would, encoded, those that a camera missed left out."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from avatarpipe.datasets.parallel import in_parallel
from avatarpipe.datasets.rectification import NEGLIGIBLE, opencv_matrix
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.files import atomic_file

JPEG_QUALITY = 98
_ITERATIONS = 40


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
    """Where each pixel of the distorted image lies in the pinhole one, x and y (H, W) float32.

    OpenCV's x_d = x (1 + k1 r^2 + k2 r^4 + k3 r^6) + tangential(x), solved for x by fixed-point iteration.
    """
    k1, k2, p1, p2, k3 = distortion
    y_d, x_d = np.mgrid[:height, :width].astype(np.float64)
    x_d, y_d = (x_d - K[0, 2]) / K[0, 0], (y_d - K[1, 2]) / K[1, 1]
    x, y = x_d, y_d
    for _ in range(_ITERATIONS):
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        x, y = (
            (x_d - 2 * p1 * x * y - p2 * (r2 + 2 * x * x)) / radial,
            (y_d - p1 * (r2 + 2 * y * y) - 2 * p2 * x * y) / radial,
        )
    return (
        (x * K[0, 0] + K[0, 2]).astype(np.float32),
        (y * K[1, 1] + K[1, 2]).astype(np.float32),
    )


def write_pictures(
    recording: RawRecording,
    image_path: Callable[[str, int], Path],
    mask_path: Callable[[str, int], Path],
) -> list[tuple[Path, Path]]:
    """Write image and mask of each camera and frame where (camera name, frame number) puts them.

    Returns (image path, mask path) of those that the camera missed.
    """
    cameras = recording.cameras
    lenses = [
        Lens(K, bend, cameras.width, cameras.height)
        for K, bend in zip(cameras.K, recording.distortion, strict=True)
    ]

    def write(view: tuple[int, int]) -> tuple[Path, Path] | None:
        f, c = view
        name, number = cameras.names[c], recording.frames[f]
        paths = image_path(name, number), mask_path(name, number)
        pictures = recording.image(f, c), recording.mask(f, c)
        if any(picture is None for picture in pictures):
            return paths
        for path, picture in zip(paths, pictures, strict=True):
            _encode(path, lenses[c](picture))
        return None

    views = [(f, c) for c in range(len(cameras)) for f in range(len(recording.frames))]
    return [paths for paths in in_parallel(write, views, recording.threads) if paths is not None]


def _encode(path: Path, pixels: np.ndarray) -> None:
    pixels = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    with atomic_file(path) as temporary:
        temporary.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(pixels), quality)[1])


def write_list(path: Path, files: list[Path]) -> None:
    """A line for each of `files`, seen from the folder of `path`; nothing is written where there are none."""
    if files:
        with atomic_file(path) as temporary:
            temporary.write_text(
                "".join(f"{file.relative_to(path.parent).as_posix()}\n" for file in files)
            )
