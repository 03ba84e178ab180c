"""What a writer of a raw format is given: a calibrated multi-view video whose pictures are made when asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras


@dataclass(frozen=True)
class RawRecording:
    """F frames seen by C cameras, in our conventions; nothing big is held.

    image(f, c) gives (H, W, 3) uint8 RGB and mask(f, c) gives (H, W) uint8 coverage of frame index f and camera index c,
    both free of distortion (a writer distorts them), or None where the camera missed the frame.
    """

    cameras: Cameras
    distortion: np.ndarray  # (C, 5) OpenCV k1 k2 p1 p2 k3
    frames: tuple[int, ...]  # F numbers, ascending
    fps: float
    poses: BodyParams  # F bodies in the cameras' world
    gender: str
    image: Callable[[int, int], np.ndarray | None]
    mask: Callable[[int, int], np.ndarray | None]
    threads: int = 1  # in which image and mask may be asked for at once
