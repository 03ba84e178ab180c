"""Images made pinhole images: lens distortion taken out, K kept, then padded to the common size."""

from functools import cached_property

import cv2
import numpy as np

NEGLIGIBLE = 1e-4
"""Distortion whose coefficients sum to less in absolute value is none: it moves no pixel of a real camera visibly."""


def opencv_matrix(K: np.ndarray) -> np.ndarray:
    """(3, 3) K as OpenCV wants it, which puts the centre of the first pixel at 0 and not at 0.5."""
    shifted = np.array(K, np.float64)
    shifted[:2, 2] -= 0.5
    return shifted


class Rectifier:
    """What has to be done to the images of one camera; safe to use from several threads.

    K: (3, 3), pixel centres at +0.5. distortion: (5,) OpenCV k1 k2 p1 p2 k3. size: (width, height) of the camera's images,
    padded_size: of the results, no smaller.
    """

    def __init__(
        self,
        K: np.ndarray,
        distortion: np.ndarray,
        size: tuple[int, int],
        padded_size: tuple[int, int],
    ):
        self._K, self._distortion, self.size = (
            opencv_matrix(K),
            np.asarray(distortion, np.float64),
            size,
        )
        self._padding = padded_size[0] - size[0], padded_size[1] - size[1]
        self.undistorts = bool(np.abs(self._distortion).sum() >= NEGLIGIBLE)
        self.changes = self.undistorts or any(self._padding)

    @property
    def identity(self) -> tuple:
        """Equal for rectifiers that do the same."""
        matrix = self._K.tolist() if self.undistorts else None
        return (
            matrix,
            self._distortion.tolist() if self.undistorts else None,
            self.size,
            self._padding,
        )

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W) or (H, W, n) of the camera's size, as a pinhole camera of the padded size sees it; black outside."""
        if self.undistorts:
            pixels = cv2.remap(pixels, *self._maps, cv2.INTER_LINEAR)
        right, bottom = self._padding
        if right or bottom:
            pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
        return pixels

    @cached_property
    def unseen(self) -> np.ndarray | None:
        """(H, W) bool: pixels that the sensor did not cover; None where it covers all."""
        if not self.changes:
            return None
        hole = self(np.full(self.size[::-1], 255, np.uint8)) < 255
        return hole if hole.any() else None

    @cached_property
    def _maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Fixed-point maps, as cv2.undistort makes them anew for each image."""
        return cv2.initUndistortRectifyMap(
            self._K, self._distortion, None, self._K, self.size, cv2.CV_16SC2
        )
