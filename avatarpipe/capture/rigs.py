"""The camera rigs that scans are rendered from: one to train on, one between its views to test on (LayerGS, 1.4)."""

import numpy as np

from avatarpipe.cameras import Cameras, orbit
from avatarpipe.errors import InputError

# Degrees. Each rig has 4 rings of 18 views; the test rig lies half a step lower and further round than the train rig.
ELEVATIONS = {"train": (30.0, 10.0, -10.0, -30.0), "test": (35.0, 15.0, -5.0, -25.0)}
FIRST_AZIMUTH = {"train": 0.0, "test": -10.0}
AZIMUTH_STEP = 20.0
RING = 18


def rig(
    split: str, views: int, size: int, distance: float, fov_deg: float, target=(0.0, 0.0, 0.0)
) -> Cameras:
    """`views` of the 72 cameras of "train" or "test", square images of `size` pixels, aimed at `target`.

    Named {split}_{index in the full rig}, so a name means one place however many views are taken.
    """
    azimuths = FIRST_AZIMUTH[split] + AZIMUTH_STEP * np.arange(RING)
    full = orbit(
        ELEVATIONS[split], azimuths, distance, fov_deg, size, size, target, prefix=f"{split}_"
    )
    return full[evenly(views, len(ELEVATIONS[split]))]


def evenly(views: int, rings: int) -> np.ndarray:
    """Indices of `views` cameras spread evenly over `rings` rings, each ring turned a little against the one above."""
    if not 0 <= views <= rings * RING:
        raise InputError(f"{views} views: the rig has {rings * RING}.")
    chosen = []
    for ring in range(rings):
        count = views // rings + (ring < views % rings)
        places = (np.arange(count) + ring / rings) * RING / max(count, 1)
        chosen.append(ring * RING + np.floor(places).astype(np.int64))
    return np.concatenate(chosen)
