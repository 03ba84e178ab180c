"""The four cells of an animatable avatar's evaluation: poses seen or novel, by views seen or novel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avatarpipe.cameras import Cameras
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit
from avatarpipe.errors import InputError
from avatarpipe.methods.animatable.projection import PoseProjection

SAME_PLACE, SAME_ANGLE = 0.005, np.radians(0.5)
"""Metres and radians within which two cameras see the same."""


@dataclass(frozen=True)
class Cell:
    """Frames of one kind seen by cameras of one kind."""

    name: str
    frames: tuple[str, ...]
    cameras: Cameras


def cells(
    capture: Capture, split: FrameSplit, every: Mapping[str, int], seen_cameras: int = 0
) -> list[Cell]:
    """Those of the four cells that have frames and cameras: seen and novel poses, by seen and novel views.

    every: of the "seen" and the "novel" frames one in so many. seen_cameras: so many of the training cameras, evenly over their list;
    0 for all. InputError where no frame or camera is left at all.
    """
    training = capture.cameras("train")
    frames = {"seen": split.train[:: every["seen"]], "novel": split.novel[:: every["novel"]]}
    cameras = {
        "seen": training[_evenly(len(training), seen_cameras)],
        "novel": capture.cameras("test"),
    }
    found = [
        Cell(f"{pose}_pose_{view}_view", frames[pose], cameras[view])
        for pose in frames
        for view in cameras
        if frames[pose] and len(cameras[view])
    ]
    if not found:
        raise InputError(f"{capture.path}: no frame that a camera saw is left to evaluate.")
    return found


def _evenly(count: int, wanted: int) -> np.ndarray:
    if not wanted or wanted >= count:
        return np.arange(count)
    return ((np.arange(wanted) + 0.5) * count / wanted).astype(int)


def check_frames(
    capture: Capture, split: FrameSplit, projection: PoseProjection, avatar: str
) -> None:
    """InputError where a frame counts as novel though the avatar learnt its pose, or as seen though it did not.

    projection: of the avatar, which remembers the poses that it was trained on. avatar: what to call it.
    """
    if both := sorted(set(split.train) & set(split.novel)):
        raise InputError(f"{capture.path}: frame {both[0]} is to be seen and novel at once.")
    row = {name: index for index, name in enumerate(capture.frame_names)}
    poses = capture.poses.body_pose.cpu().numpy()
    for frames, wanted in ((split.novel, False), (split.train, True)):
        for frame in frames:
            if projection.knows(poses[row[frame]]) != wanted:
                raise InputError(
                    f"{avatar}: {'was not' if wanted else 'was'} trained on the pose of frame {frame} of {capture.path}, "
                    f"which counts as {'seen' if wanted else 'novel'}. Give the novel frames that it was trained with, or "
                    "train it again."
                )


def check_cameras(capture: Capture) -> None:
    """InputError where a camera that is held out stands where a training camera does and looks the same way."""
    held_out, training = capture.cameras("test"), capture.cameras("train")
    for index, name in enumerate(held_out.names):
        twin = _twin(held_out.w2c[index], training.w2c)
        if twin is not None:
            raise InputError(
                f"{capture.path}: camera {name}, held out, sees what {training.names[twin]} sees, which is trained on. "
                "Hold out both or neither."
            )


def _twin(w2c: np.ndarray, others: np.ndarray) -> int | None:
    """Which of the (C, 4, 4) cameras stands and looks as `w2c` does."""
    if not len(others):
        return None
    apart = np.linalg.norm(_centres(others) - _centres(w2c[None]), axis=1)
    cosine = others[:, 2, :3] @ w2c[2, :3]  # of the optical axes
    same = np.flatnonzero((apart < SAME_PLACE) & (cosine > np.cos(SAME_ANGLE)))
    return int(same[0]) if len(same) else None


def _centres(w2c: np.ndarray) -> np.ndarray:
    return -np.einsum("cji,cj->ci", w2c[:, :3, :3], w2c[:, :3, 3])


def frames_of(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Every frame of the cells once, in their order."""
    return tuple(dict.fromkeys(frame for cell in cells for frame in cell.frames))
