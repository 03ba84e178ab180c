"""Views of a video for training: several cameras of one frame at a time, read ahead, kept where memory allows."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from avatarpipe.capture.capture import Capture
from avatarpipe.devices import usable_cores
from avatarpipe.errors import InputError
from avatarpipe.methods.animatable.losses import Box
from avatarpipe.training.distributed import ALONE, Team

_AHEAD = 4  # iterations whose images are on their way


@dataclass
class FrameBatch:
    """C views of one frame, on the training device."""

    frame: int
    """Position among the frames of the views."""
    viewmats: torch.Tensor  # (C, 4, 4) w2c
    Ks: torch.Tensor  # (C, 3, 3)
    image: torch.Tensor  # (C, H, W, 3) sRGB bytes, times their mask
    alpha: torch.Tensor  # (C, H, W, 1) bytes
    boundary: torch.Tensor | None  # (C, H, W) bool, to be left out of comparisons
    boxes: list[Box]  # of the subject
    places: list[int]
    """Which of the iteration's views they are; other processes may have the others."""
    part: float
    """How much of the iteration's views they are."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[2], self.image.shape[1]


@dataclass(frozen=True)
class _View:
    image: torch.Tensor  # (H, W, 3) uint8
    alpha: torch.Tensor  # (H, W) uint8
    boundary: torch.Tensor | None  # (H, W) bool
    box: Box

    @property
    def bytes(self) -> int:
        return sum(x.nbytes for x in (self.image, self.alpha, self.boundary) if x is not None)


class VideoViews:
    """The views of one split of a capture, in an order that depends on the seed and the iteration alone.

    frames: names of the frames to use, by default all. memory: bytes of images that stay on `device`, by default most of
    what a card has free and 4 GB on a CPU; the others are read again when their turn comes. team: the processes that share
    the views of an iteration. InputError where a frame has no view.
    """

    def __init__(
        self,
        capture: Capture,
        split: str,
        device,
        frames: Sequence[str] | None = None,
        memory: float | None = None,
        workers: int | None = None,
        team: Team = ALONE,
    ):
        self.capture, self.device, self.team = capture, device, team
        self.memory = _room_for_images(device) if memory is None else memory
        self.frames = tuple(capture.frame_names if frames is None else frames)
        cameras = capture.cameras(split)
        self.viewmats, self.Ks = cameras.tensors(device)
        self.names = cameras.names
        self._seen = _seen(capture, split, self.frames, self.names)
        self._pool = ThreadPoolExecutor(workers or usable_cores())
        self._kept: dict[tuple[int, int], _View] = {}
        self._coming: dict[tuple[int, int], Future] = {}
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def poses(self):
        """The bodies of the frames."""
        return self.capture.poses[[self.capture.frame_names.index(name) for name in self.frames]]

    def batch(self, step: int, count: int, seed: int) -> FrameBatch:
        """The `count` views, fewer where a frame has none left, of iteration `step`: each view once an epoch."""
        for later in range(step, step + _AHEAD):
            frame, cameras = self._group(later, count, seed)
            self._ask_for(frame, self.team.share(cameras)[0])
        frame, all_cameras = self._group(step, count, seed)
        cameras, part = self.team.share(all_cameras)
        views = [self._taken(frame, camera) for camera in cameras]
        boundary = None
        if views[0].boundary is not None:
            boundary = torch.stack([view.boundary for view in views])
        return FrameBatch(
            frame,
            torch.stack([self.viewmats[camera] for camera in cameras]),
            torch.stack([self.Ks[camera] for camera in cameras]),
            torch.stack([view.image for view in views]),
            torch.stack([view.alpha for view in views])[..., None],
            boundary,
            [view.box for view in views],
            [all_cameras.index(camera) for camera in cameras],
            part,
        )

    def _group(self, step: int, count: int, seed: int) -> tuple[int, tuple[int, ...]]:
        length = sum(-(-len(cameras) // count) for cameras in self._seen)
        return self._order(step // length, count, seed)[step % length]

    def _draw_order(self, epoch: int, count: int, seed: int) -> list[tuple[int, tuple[int, ...]]]:
        """(frame, cameras) of each iteration of an epoch."""
        rng = np.random.default_rng([seed, epoch])
        groups = []
        for frame, cameras in enumerate(self._seen):
            drawn = rng.permutation(cameras).tolist()
            groups += [(frame, tuple(drawn[i : i + count])) for i in range(0, len(drawn), count)]
        return [groups[k] for k in rng.permutation(len(groups))]

    def _ask_for(self, frame: int, cameras: Sequence[int]) -> None:
        for key in ((frame, camera) for camera in cameras):
            if key not in self._kept and key not in self._coming:
                self._coming[key] = self._pool.submit(self._read, *key)

    def _taken(self, frame: int, camera: int) -> _View:
        key = frame, camera
        if key in self._kept:
            return self._kept[key]
        view = self._coming.pop(key).result()
        if view.bytes <= self.memory:
            self.memory -= view.bytes
            self._kept[key] = view
        return view

    def _read(self, frame: int, camera: int) -> _View:
        where = self.names[camera], self.frames[frame]
        alpha = self.capture.mask(*where)
        boundary = None
        if self.capture.has("boundaries"):
            boundary = torch.from_numpy(self.capture.boundary(*where)).to(self.device)
        image = _bytes(self.capture.image(*where), self.device)
        return _View(image, _bytes(alpha, self.device), boundary, _box(alpha > 0.5))


def _room_for_images(device) -> float:
    if torch.device(device).type != "cuda":
        return 4e9
    return 0.6 * torch.cuda.mem_get_info(device)[0]


def _seen(
    capture: Capture, split: str, frames: tuple[str, ...], names: tuple[str, ...]
) -> list[list[int]]:
    """Of each frame the cameras, by position in the split, that saw it."""
    position = {name: index for index, name in enumerate(names)}
    by_frame = {name: [] for name in frames}
    for frame, camera in capture.views(split).itertuples(index=False):
        if frame in by_frame:
            by_frame[frame].append(position[camera])
    if blind := [frame for frame, cameras in by_frame.items() if not cameras]:
        raise InputError(
            f"{capture.path}: no {split} camera saw frame {blind[0]}. Leave that frame out of the training."
        )
    return list(by_frame.values())


def _bytes(values: np.ndarray, device) -> torch.Tensor:
    return torch.from_numpy((values * 255.0 + 0.5).astype(np.uint8)).to(device)


def _box(mask: np.ndarray) -> Box:
    """Around the subject; the whole image where it is nowhere."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
