"""What each pixel asks of the layers: nothing, body, garment, or either because it lies on a boundary."""

import cv2
import numpy as np

from avatarpipe.capture.labels import Label, garment_mask

BACKGROUND, BODY, GARMENT, SEAM, EDGE = range(5)


def pixel_roles(labels: np.ndarray, masks: np.ndarray, garment: str) -> np.ndarray:
    """(V, H, W) uint8 roles of label maps (V, H, W) with coverage masks (V, H, W) in [0, 1].

    SEAM marks the ring where body and garment meet, EDGE the half-covered pixels of the silhouette: a label is not sure
    there, and neither layer may be pushed away (a published defect: the ring counted as background and opened a gap).
    """
    return np.stack(
        [_one_view(label, mask, garment) for label, mask in zip(labels, masks, strict=True)]
    )


def _one_view(labels: np.ndarray, mask: np.ndarray, garment: str) -> np.ndarray:
    on_garment = garment_mask(labels, garment)
    on_body = (labels != Label.BACKGROUND) & ~on_garment
    roles = np.where(on_garment, GARMENT, np.where(on_body, BODY, BACKGROUND)).astype(np.uint8)
    half = max(1, round(labels.shape[0] / 256))  # pixels on either side of a seam
    kernel = np.ones((2 * half + 1, 2 * half + 1), np.uint8)
    seam = cv2.dilate(on_garment.astype(np.uint8), kernel) & cv2.dilate(on_body.astype(np.uint8), kernel)
    roles[(mask > 0.02) & (mask < 0.98)] = EDGE
    roles[(seam > 0) & (labels != Label.BACKGROUND)] = SEAM
    return roles
