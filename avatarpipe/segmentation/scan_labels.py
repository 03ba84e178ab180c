"""Label maps straight from the scan's own labels: exact, where a dataset has them."""

from collections.abc import Iterator

import numpy as np

from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError


def label_maps(capture: Capture) -> Iterator[tuple[str, str, np.ndarray]]:
    """(frame, camera, (H, W) uint8 of `Label`) of every image. InputError where the scan had no labels."""
    if not capture.has("truth_labels"):
        raise InputError(
            f"{capture.path}: its scan has no labels. Segment with provider sapiens, or put the dataset's "
            "label files in place and convert again."
        )
    for frame, camera in capture.views().itertuples(index=False, name=None):
        yield frame, camera, capture.ground_truth_labels(camera, frame)
