"""Are the hands' poses right? Silhouettes of fingers, at the images' own resolution, where they stand clear of the body."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.capture.alignment import Scene
from avatarpipe.capture.alignment_changes import Change, hand_changes
from avatarpipe.capture.alignment_views import Figures, Look, cut
from avatarpipe.capture.capture import Capture

FINGERS = {"left": range(25, 40), "right": range(40, 55)}
_ARM = {"left": (20, 18), "right": (21, 19)}  # palm and forearm may touch the fingers
_CLEAR = 0.04  # metres that fingers must keep off the rest of the body: clothes stand off it
_LONG = 0.08  # metres, a finger
_MIN_PIXELS = 8  # of a finger's length, for its pose to show
_AROUND = 0.02  # metres around the fingers that are compared


@dataclass
class HandLook:
    """One hand in one image: the look at its window, and which side."""

    look: Look
    side: str


def compare_hands(
    capture: Capture, scene: Scene, pairs: Sequence[tuple[int, int]]
) -> tuple[list[Change], np.ndarray]:
    """The changes of the hand mean, and (1 + changes, H) mismatch of H resolved, unoccluded hands as they are and changed.

    Mismatch: pixels around the fingers where body and subject differ, over the pixels of the fingers.
    """
    changes = list(hand_changes(scene))
    variants = [scene.figures, *(change.scene.figures for change in changes)]
    columns = []
    for pair in pairs:
        mask = None
        for side in FINGERS:
            window = _window(capture, variants, pair, side)
            if window is None:
                continue
            mask = capture.mask(pair[1], pair[0]) if mask is None else mask
            hand = HandLook(cut(capture, pair, mask, window), side)
            columns += _mismatch(hand, variants, parts(scene.figures.body))
    return changes, np.array(columns).reshape(-1, len(variants)).T


def parts(body: Body) -> np.ndarray:
    """(F,) of each face the joint that moves its first corner most."""
    return body.lbs_weights.cpu().numpy().argmax(axis=1)[body.faces[:, 0]]


def _window(capture: Capture, variants: list[Figures], pair, side: str) -> tuple[slice, slice] | None:
    """Rows and columns around the fingers in every variant; None where they leave the image or are too small."""
    frame, camera = pair
    cameras = capture.cameras()
    owner = variants[0].body.lbs_weights.cpu().numpy().argmax(axis=1)
    fingers = np.isin(owner, FINGERS[side])
    points = np.concatenate([figures.vertices(frame)[fingers] for figures in variants])
    points = points @ cameras.w2c[camera, :3, :3].T + cameras.w2c[camera, :3, 3]
    scale = cameras.K[camera, 0, 0] / max(points[:, 2].min(), 1e-6)
    if points[:, 2].min() <= 0 or scale * _LONG < _MIN_PIXELS:
        return None
    pixels = (points @ cameras.K[camera].T)[:, :2] / points[:, 2:]
    low = np.floor(pixels.min(axis=0) - 2 * _CLEAR * scale).astype(int)
    high = np.ceil(pixels.max(axis=0) + 2 * _CLEAR * scale).astype(int)
    if (low < 0).any() or (high > [cameras.width, cameras.height]).any():
        return None
    return slice(low[1], high[1]), slice(low[0], high[0])


def _mismatch(hand: HandLook, variants: list[Figures], part: np.ndarray) -> list[list[float]]:
    """One row of mismatches, or none where the fingers are hidden or before the rest of the body in some variant."""
    look = hand.look
    scale = look.K[0, 0] / (look.w2c @ [*variants[0].joints(look.frame)[FINGERS[hand.side][0]], 1.0])[2]
    seen = [figures.faces_seen(look.frame, look.w2c, look.K, look.shape) for figures in variants]
    owner = [np.where(faces >= 0, part[faces], -1) for faces in seen]
    fingers = [np.isin(joints, FINGERS[hand.side]) for joints in owner]
    arm = (-1, *FINGERS[hand.side], *_ARM[hand.side])
    rest = np.any([~np.isin(joints, arm) for joints in owner], axis=0)
    near = grown(np.any(fingers, axis=0), _AROUND * scale)
    clear = near & ~grown(rest, _CLEAR * scale)
    if not near.any() or clear.sum() < 0.8 * near.sum():
        return []
    size = max(np.mean([np.count_nonzero(image) for image in fingers]), 1.0)
    return [[np.count_nonzero(((faces >= 0) != look.mask) & clear) / size for faces in seen]]


def grown(mask: np.ndarray, radius: float) -> np.ndarray:
    """(h, w) bool: within `radius` pixels of the mask."""
    if not mask.any():
        return mask
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= radius
