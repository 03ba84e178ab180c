"""Which frames of a video are trained on, and which are kept apart as poses that training never saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frames import numbers_in
from avatarpipe.errors import InputError
from avatarpipe.files import read_json

SAME_POSE = 1e-4  # radians; frames whose joints are all turned alike within it show one pose


@dataclass(frozen=True)
class FrameSplit:
    """Names of frames, each list in the capture's order."""

    train: tuple[str, ...]
    novel: tuple[str, ...]


def frame_split(capture: Capture, novel: str = "") -> FrameSplit:
    """The split of a capture's frames. Those it does not name as novel are trained on.

    novel: frame numbers such as "1200-1499"; numbers that the capture lacks name nothing. "none" keeps no frame apart.
    Empty: as the maker of a synthetic video split them, none novel where there is no such truth. InputError where no
    frame is left to train on, a frame is in both parts, or shows the same body pose as one of the other part.
    """
    split = _given(capture, novel) if novel else _of_truth(capture)
    if not split.train:
        raise InputError(
            f"{capture.path}: none of its {len(capture.frame_names)} frames is left to train on. Convert more frames "
            "(column `frames` of the subject table), or name fewer in animatable.novel_frames."
        )
    _check_poses(capture, split)
    return split


def _given(capture: Capture, spec: str) -> FrameSplit:
    names = capture.frame_names
    if spec.strip() == "none":
        return FrameSplit(names, ())
    if strange := [name for name in names if not name.isdecimal()]:
        raise InputError(
            f"novel_frames {spec!r}: frame {strange[0]!r} of {capture.path} has no number. Use none."
        )
    numbers = {int(name) for name in names} if spec.strip() == "all" else numbers_in(spec)
    apart = [name for name in names if int(name) in numbers]
    if not apart:
        raise InputError(
            f"novel_frames {spec!r}: {capture.path} has none of them; its {len(names)} frames are {names[0]} to {names[-1]}."
        )
    return FrameSplit(_without(names, apart), tuple(apart))


def _of_truth(capture: Capture) -> FrameSplit:
    path = capture.truth.get("split")
    if path is None:
        return FrameSplit(capture.frame_names, ())
    told = _read(path)
    if both := sorted(set(told["train_frames"]) & set(told["novel_frames"])):
        raise InputError(
            f"{path}: frame {both[0]} is in both train_frames and novel_frames. Make the video again."
        )
    train, novel = (
        tuple(name for name in capture.frame_names if name in set(told[part]))
        for part in ("train_frames", "novel_frames")
    )
    return FrameSplit(train, novel)


def _read(path: Path) -> dict[str, list[str]]:
    told = read_json(path)
    for part in ("train_frames", "novel_frames"):
        if not isinstance(told.get(part), list):
            raise InputError(f"{path}: no list {part!r}. Make the video again.")
    return told


def _without(names: Sequence[str], apart: Sequence[str]) -> tuple[str, ...]:
    left = set(names) - set(apart)
    return tuple(name for name in names if name in left)


def _check_poses(capture: Capture, split: FrameSplit) -> None:
    if not split.novel:
        return
    row = {name: index for index, name in enumerate(capture.frame_names)}
    poses = capture.poses.body_pose.double().cpu().numpy()
    train, novel = (
        poses[[row[name] for name in names]].reshape(len(names), -1)
        for names in (split.train, split.novel)
    )
    distances, nearest = cKDTree(train).query(novel, p=np.inf)
    same = int(distances.argmin())
    if distances[same] <= SAME_POSE:
        raise InputError(
            f"{capture.path}: frame {split.novel[same]}, to be kept apart as novel, shows the body pose of frame "
            f"{split.train[nearest[same]]}, which is trained on. Name both in animatable.novel_frames, or neither."
        )
