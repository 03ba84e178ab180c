"""What a pixel or a scan vertex belongs to, one numbering for every dataset and segmenter."""

from enum import IntEnum

import numpy as np

from avatarpipe.errors import InputError


class Label(IntEnum):
    """The classes of a label map; 0 is everything that is not the subject."""

    BACKGROUND = 0
    SKIN = 1
    HAIR = 2
    SHOE = 3
    UPPER = 4
    LOWER = 5
    OUTER = 6


# (7, 3) uint8 colours to show a label map with, the ones 4D-Dress paints its labels in.
PALETTE = np.array(
    [
        (0, 0, 0), (128, 128, 128), (255, 128, 0), (128, 0, 255), (180, 50, 50), (50, 180, 50), (0, 128, 255),
    ],
    np.uint8,
)  # fmt: skip

GARMENTS = ("upper", "lower", "both")
_UPPER = frozenset({Label.UPPER, Label.OUTER})
_LOWER = frozenset({Label.LOWER})


def garment_labels(garment: str) -> frozenset[Label]:
    """The labels that the garment class "upper", "lower" or "both" takes off the subject."""
    classes = {"upper": _UPPER, "lower": _LOWER, "both": _UPPER | _LOWER}
    if garment not in classes:
        raise InputError(f"garment {garment!r}: unknown; use one of {', '.join(GARMENTS)}.")
    return classes[garment]


def garment_mask(labels: np.ndarray, garment: str) -> np.ndarray:
    """Where `labels`, of any shape, belong to the garment class; boolean, same shape."""
    return np.isin(labels, [int(label) for label in garment_labels(garment)])
