"""Does the fitted body lie where the images show the subject?

Clothes and hair stand off the body, so a silhouette is larger than its body's: the body may not leave the silhouette,
while the silhouette may reach beyond the body. Hence the Tversky index (Tversky 1977, Features of similarity) in the
place of the intersection over union: |both| / (|both| + |body alone| + |silhouette alone| / 2).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
import pandas as pd

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.alignment_views import Figures, Look, chosen_pairs, read_looks
from avatarpipe.capture.capture import Capture

BODY_JOINTS = 22
_SKIN = 0.015  # metres that a body may stand out of a silhouette before it counts: the error of a good fit
_CLOTHES = 0.15  # metres that a silhouette may stand off the body before it counts
_JOINT = 0.03  # metres that a joint may lie outside of a silhouette
_REACH = 0.04  # metres between outlines that tell nothing more when they grow
_BEYOND = 0.5  # weight of silhouette without body

COLUMNS = [
    "frame", "camera", "agreement", "iou", "outside", "unexplained", "offset_x", "offset_y", "offset_deg",
    "shifted", "scale", "keypoints_front", "keypoints_image", "keypoints_mask",
]  # fmt: skip


@dataclass
class Scene:
    """What is believed about N looks: the bodies by frame and, for each look, w2c (4, 4) and the K (3, 3) of its window."""

    looks: list[Look]
    figures: Figures
    w2c: np.ndarray  # (N, 4, 4)
    K: np.ndarray  # (N, 3, 3)
    shift: int = 0
    """Frames by which the poses were moved: looks near an end of the sequence then have no body."""

    @staticmethod
    def of(looks: list[Look], body: Body, poses: BodyParams) -> "Scene":
        """As the capture says."""
        matrices = (np.stack([getattr(look, name) for look in looks]) for name in ("w2c", "K"))
        return Scene(looks, Figures(body, poses), *matrices)

    def silhouette(self, index: int) -> np.ndarray:
        """(h, w) bool of the body in the look's window."""
        look = self.looks[index]
        return self.figures.silhouette(look.frame, self.w2c[index], self.K[index], look.shape)

    def part(self, indices) -> "Scene":
        """Some of the looks."""
        looks = [self.looks[i] for i in indices]
        return replace(self, looks=looks, w2c=self.w2c[indices], K=self.K[indices])

    def exists(self, index: int) -> bool:
        """Whether the look has a body."""
        return 0 <= self.looks[index].frame + self.shift < len(self.figures.poses)

    def agreements(self) -> np.ndarray:
        """(N,) Tversky index of each look; NaN where neither body nor subject is seen, or there is no body."""
        return np.array([self._score(index, agreement) for index in range(len(self.looks))])

    def misfits(self, pixels_per_metre: np.ndarray) -> np.ndarray:
        """(N,) metres of `misfit` of each look; NaN as for `agreements`."""
        values = [
            self._score(index, partial(misfit, reach=_REACH * scale)) / scale
            for index, scale in enumerate(pixels_per_metre)
        ]
        return np.array(values)

    def _score(self, index: int, score: Callable[[np.ndarray, np.ndarray], float]) -> float:
        return score(self.silhouette(index), self.looks[index].mask) if self.exists(index) else np.nan


def agreement(body: np.ndarray, mask: np.ndarray) -> float:
    """Tversky index of two (h, w) bool silhouettes in [0, 1]; NaN where both are empty."""
    both = np.count_nonzero(body & mask)
    alone = np.count_nonzero(body) - both, np.count_nonzero(mask) - both
    total = both + alone[0] + _BEYOND * alone[1]
    return both / total if total else np.nan


def misfit(body: np.ndarray, mask: np.ndarray, reach: float) -> float:
    """Pixels between two (h, w) bool silhouettes along their outlines; where the body stands out it counts five times.

    The silhouette's distance from the body counts up to `reach` pixels only: clothes and hair stand off a body, and
    bare skin tells whether it fits.
    """
    if not body.any() or not mask.any():
        return np.nan if body.any() == mask.any() else 6 * reach
    edge, own = outline(mask), outline(body)
    gaps = np.minimum(distance_to(body)[edge], reach).sum()
    out = np.minimum(distance_to(mask)[own], reach).sum()
    return (gaps + 5 * out) / np.count_nonzero(edge)


def outline(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pixels of `mask` that border on others or on the image's edge."""
    return mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def measure(
    capture: Capture, body: Body, max_frames: int = 12, max_images: int = 96, workers: int = 4
) -> tuple[pd.DataFrame, Scene]:
    """A row for each chosen image (see COLUMNS; distances in metres at the subject, angles in degrees), and the scene.

    agreement: Tversky index. outside: share of the body more than 1.5 cm out of the silhouette. unexplained: share of
    the silhouette more than 15 cm off the body. offset: what the body must move in the image to agree best, and shifted
    the agreement then. scale: height of the silhouette over the body's. keypoints: shares of the 22 body joints that lie
    in front of the camera, within the image's window, and of those the share within 3 cm of the silhouette.
    """
    pairs = chosen_pairs(len(capture.frames), len(capture.cameras()), max_frames, max_images)
    pairs = [(frame, camera) for frame, camera in pairs if capture.seen(camera, frame)]
    scene = Scene.of(read_looks(capture, pairs, workers=workers), body, capture.poses)
    rows = [look_row(scene, index) for index in range(len(pairs))]
    table = pd.DataFrame(rows, columns=COLUMNS[2:])
    names = capture.cameras().names
    table.insert(0, "frame", [capture.frame_names[frame] for frame, _ in pairs])
    table.insert(1, "camera", [names[camera] for _, camera in pairs])
    return table, scene


def look_row(scene: Scene, index: int) -> dict[str, float]:
    """The measures of one look, by COLUMNS."""
    look, silhouette = scene.looks[index], scene.silhouette(index)
    scale = pixels_per_metre(scene, index)
    mask, count = look.mask, max(np.count_nonzero(look.mask), 1)
    shift, shifted = best_shift(silhouette, mask)
    angle = np.degrees(np.arctan(np.hypot(*shift) / scene.K[index][0, 0]))
    seen = np.count_nonzero(silhouette)
    to_mask, to_body = distance_to(mask), distance_to(silhouette)
    return {
        "agreement": agreement(silhouette, mask),
        "iou": _ratio(np.count_nonzero(silhouette & mask), np.count_nonzero(silhouette | mask)),
        "outside": np.count_nonzero(silhouette & (to_mask > _SKIN * scale)) / seen if seen else float(mask.any()),
        "unexplained": np.count_nonzero(mask & (to_body > _CLOTHES * scale)) / count,
        "offset_x": shift[0] / scale,
        "offset_y": shift[1] / scale,
        "offset_deg": angle,
        "shifted": shifted,
        "scale": _ratio(_height(mask), _height(silhouette)) if look.whole else np.nan,
        **_keypoints(scene, index, to_mask, scale),
    }


def pixels_per_metre(scene: Scene, index: int) -> float:
    """At the depth of the body's pelvis; at one metre where that lies behind the camera."""
    pelvis = scene.figures.joints(scene.looks[index].frame)[0]
    depth = (scene.w2c[index] @ [*pelvis, 1.0])[2]
    return scene.K[index][0, 0] / depth if depth > 1e-6 else scene.K[index][0, 0]


def distance_to(mask: np.ndarray) -> np.ndarray:
    """(h, w) pixels from each pixel to the nearest one set; huge where none is."""
    if not mask.any():
        return np.full(mask.shape, np.float32(1e9))
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def best_shift(silhouette: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float]:
    """(2,) x, y in pixels by which the silhouette agrees best with the mask, and the agreement there.

    With both areas given, the Tversky index grows with the overlap: its maximum is that of the cross-correlation.
    """
    body, subject = np.count_nonzero(silhouette), np.count_nonzero(mask)
    if not body or not subject:
        return np.full(2, np.nan), 0.0
    size = tuple(cv2.getOptimalDFTSize(side * 3 // 2) for side in mask.shape)
    spectra = [np.fft.rfft2(image.astype(np.float32), size) for image in (mask, silhouette)]
    overlap = np.fft.irfft2(spectra[0] * spectra[1].conj(), size)
    peak = overlap.max()
    near = np.argwhere(overlap > peak - max(0.002 * body, 1))  # a loose coat leaves a plateau: its middle
    offsets = np.where(near > np.array(size) / 2, near - np.array(size), near)
    both = min(round(peak), body, subject)
    score = both / (both + (body - both) + _BEYOND * (subject - both))
    return offsets.mean(axis=0)[::-1], score


def _keypoints(scene: Scene, index: int, to_mask: np.ndarray, scale: float) -> dict[str, float]:
    joints = scene.figures.joints(scene.looks[index].frame)[:BODY_JOINTS]
    w2c, K = scene.w2c[index], scene.K[index]
    points = (joints @ w2c[:3, :3].T + w2c[:3, 3]) @ K.T
    front = points[:, 2] > 0
    pixels = np.floor(points[front, :2] / points[front, 2:])
    height, width = to_mask.shape
    within = (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    x, y = pixels[within].astype(int).T
    near = np.count_nonzero(to_mask[y, x] <= _JOINT * scale)
    return {
        "keypoints_front": front.mean(),
        "keypoints_image": within.sum() / BODY_JOINTS,
        "keypoints_mask": _ratio(near, len(x)),
    }


def _height(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask.any(axis=1)))


def _ratio(a: float, b: float) -> float:
    return a / b if b else np.nan
