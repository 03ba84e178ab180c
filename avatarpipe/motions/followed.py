"""A motion as an avatar follows it: at one frame rate, without holes, repaired and smoothed where that is wanted."""

from pathlib import Path

import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.smoothing import repaired, smoothed


def read_followed(
    path: str | Path, fps: float | None = None, repair: bool = False, smooth: int = 1
) -> Motion:
    """The neutral motion at `path`. fps: frames a second, by default its own. repair, smooth: see smoothing.py.

    InputError where it is no such motion, no frame of it is valid, or an option is out of range.
    """
    motion = Motion.load(path)
    if not motion.valid.any():
        raise InputError(
            f"{path}: none of its {len(motion)} frames is valid, so there is no pose to follow. Choose other frames of "
            "the source, or another motion."
        )
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise InputError(f"fps {fps}: a frame rate above 0 was expected.")
    if fps not in (None, motion.fps):
        motion = motion.resampled(fps)
    elif not motion.valid.all():
        motion = motion.filled()
    return smoothed(repaired(motion) if repair else motion, smooth)
