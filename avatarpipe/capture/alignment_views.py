"""What the alignment check looks at: a few images, evenly chosen, cut out around the subject and reduced."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.capture import Capture
from avatarpipe.mesh.embree import visibility
from avatarpipe.mesh.mesh import Mesh

SIZE = 160
"""Pixels that the subject's longer side is reduced to: 11 mm a pixel for a person of 1.8 m."""
_MARGIN = 0.5  # of the subject's longer side, kept around it: a body beside its silhouette is still seen


@dataclass(frozen=True)
class Look:
    """One camera at one frame: the subject's silhouette in a window of the image, with the window's camera."""

    frame: int
    camera: int
    mask: np.ndarray  # (h, w) bool
    w2c: np.ndarray  # (4, 4)
    K: np.ndarray  # (3, 3) of the window
    crop: np.ndarray  # (3, 3) from pixels of the whole image to those of the window
    image_size: tuple[int, int]
    """Width and height of the whole image."""
    whole: bool
    """Whether the silhouette ends within the image, so that its extent means something."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.mask.shape


def chosen_pairs(frames: int, cameras: int, max_frames: int, max_images: int) -> list[tuple[int, int]]:
    """(frame, camera) pairs, at most `max_images`: frames spread evenly, cameras in turn so that each has its share."""
    times = evenly(frames, min(max_frames, max_images))
    per_frame = min(cameras, max(1, max_images // len(times)))
    pairs = []
    for turn, frame in enumerate(times):
        start = turn * per_frame if per_frame < cameras else 0
        steps = np.arange(per_frame) if len(times) > 1 else evenly(cameras, per_frame)
        spread = (start + steps) % cameras
        pairs += [(int(frame), int(camera)) for camera in np.sort(spread)]
    return pairs


def evenly(count: int, wanted: int) -> np.ndarray:
    """At most `wanted` of the indices below `count`, spread evenly, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))


def read_looks(
    capture: Capture, pairs: Sequence[tuple[int, int]], size: int = SIZE, workers: int = 4
) -> list[Look]:
    """The looks at (frame, camera) `pairs`; memory is that of the reduced masks."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(partial(_read_look, capture, size), pairs))


def _read_look(capture: Capture, size: int, pair: tuple[int, int]) -> Look:
    frame, camera = pair
    mask = capture.mask(camera, frame)
    rows, columns, whole = subject_window(mask > 0.5)
    longest = max(_extent(mask[rows, columns] > 0.5), 1)
    return cut(capture, pair, mask, (rows, columns), min(1.0, size / longest), whole)


def subject_window(mask: np.ndarray) -> tuple[slice, slice, bool]:
    """Rows and columns of the subject with a margin, and whether it ends within the image; all of it where it is empty."""
    y, x = np.nonzero(mask)
    if not len(y):
        return slice(0, mask.shape[0]), slice(0, mask.shape[1]), False
    grow = round(_MARGIN * _extent(mask))
    low, high = np.array([y.min(), x.min()]), np.array([y.max(), x.max()]) + 1
    whole = bool((low > 0).all() and (high < mask.shape).all())
    low, high = np.maximum(low - grow, 0), np.minimum(high + grow, mask.shape)
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), whole


def _extent(mask: np.ndarray) -> int:
    """The longer side of the box around what is set, pixels."""
    y, x = np.nonzero(mask)
    return int(max(np.ptp(y), np.ptp(x))) + 1 if len(y) else 0


def cut(capture: Capture, pair, mask: np.ndarray, window, factor=1.0, whole=False) -> Look:
    """The look at (frame, camera) `pair` in a window (rows, columns) of its (H, W) mask, resampled by `factor`."""
    cameras, (rows, columns) = capture.cameras(), window
    part = mask[rows, columns]
    height, width = (max(1, round(side * factor)) for side in part.shape)
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    shift = np.array([[1.0, 0, -columns.start], [0, 1, -rows.start], [0, 0, 1]])
    crop = np.diag([width / part.shape[1], height / part.shape[0], 1.0]) @ shift
    frame, camera = pair
    return Look(
        frame, camera, small > 0.5, cameras.w2c[camera], crop @ cameras.K[camera], crop,
        (cameras.width, cameras.height), whole,
    )  # fmt: skip


class Figures:
    """The posed bodies of a capture, each made when first asked for."""

    def __init__(self, body: Body, poses: BodyParams):
        self.body, self.poses = body, poses
        self._solids: dict = {}
        self._points: dict = {}

    def silhouette(self, frame: int, w2c: np.ndarray, K: np.ndarray, shape) -> np.ndarray:
        """(h, w) bool: which pixel centres see the body of `frame`."""
        return self.faces_seen(frame, w2c, K, shape) >= 0

    def faces_seen(self, frame: int, w2c: np.ndarray, K: np.ndarray, shape) -> np.ndarray:
        """(h, w) int32: the body's face at each pixel centre, -1 for none."""
        if frame not in self._solids:
            self._solids[frame] = visibility(Mesh(self.vertices(frame), self.body.faces))
        return self._solids[frame](w2c, K, shape[1], shape[0])

    def vertices(self, frame: int) -> np.ndarray:
        """(V, 3) in the capture's world."""
        return self._posed("vertices", frame)

    def joints(self, frame: int) -> np.ndarray:
        """(55, 3) in the capture's world."""
        return self._posed("joints", frame)[:55]

    def _posed(self, what: str, frame: int) -> np.ndarray:
        if (what, frame) not in self._points:
            points = getattr(self.body, what)(self.poses[frame])[0]
            self._points[what, frame] = points.double().cpu().numpy()
        return self._points[what, frame]
