"""Frames of a video file, decoded in one pass."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import require_file


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    require_file(path, "The video of the recording was expected here; fetch it.")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise InputError(f"{path}: truncated or not a video. Fetch the file again.")
        yield capture
    finally:
        capture.release()


def frame_rate(path: Path) -> float:
    """Frames a second as the file says. InputError where it says none."""
    with _opened(path) as capture:
        rate = capture.get(cv2.CAP_PROP_FPS)
    if not 0 < rate < 1000:
        raise InputError(f"{path}: its frame rate is {rate:g}; give the option fps.")
    return float(rate)


def frames(path: Path, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """(number, (H, W, 3) uint8 BGR) of the frames `wanted`, counted from 0, ascending; others are skipped, none read twice.

    InputError where the video ends before the last of them.
    """
    last = max(wanted, default=-1)
    with _opened(path) as capture:
        for number in range(last + 1):
            found, pixels = capture.read() if number in wanted else (capture.grab(), None)
            if not found:
                raise InputError(
                    f"{path}: it ends after {number} frames, but frame {last} is needed. The video is truncated, or "
                    "poses and video are of different recordings; fetch both again."
                )
            if pixels is not None:
                yield number, pixels
