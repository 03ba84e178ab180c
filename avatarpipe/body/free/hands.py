"""A PCA of plausible finger poses, and a relaxed mean, from seeded synthetic curls and spreads.

Axis-angle in the T-pose's frame: the left fingers point along +X with the palm down, so a finger bends by
turning about -Z and spreads by turning about Y. The right hand is the left one's mirror image.
"""

import numpy as np

from avatarpipe.body.free.joints import FINGERS

_POSES = 4000
_MIRROR = np.tile([1.0, -1.0, -1.0], 15)
_THUMB_BEND = np.array([0.42, 0.85, -0.30])
_THUMB_OPPOSE = np.array([0.90, 0.25, 0.0])
# degrees of the three joints of a relaxed finger
_RELAXED = {
    "index": (10, 18, 10),
    "middle": (14, 24, 13),
    "ring": (17, 27, 15),
    "pinky": (18, 26, 15),
}
_FAN = {"index": 1.0, "middle": 0.25, "ring": -0.45, "pinky": -1.0}


def relaxed_pose() -> np.ndarray:
    """(45,) left-hand pose of a hand at rest."""
    pose = {finger: [(0, 0, -np.radians(a)) for a in bends] for finger, bends in _RELAXED.items()}
    pose["thumb"] = [
        np.radians(12) * _THUMB_OPPOSE,
        np.radians(6) * _THUMB_BEND,
        np.radians(10) * _THUMB_BEND,
    ]
    return np.concatenate([np.ravel(pose[finger]) for finger in FINGERS])


def hand_space(seed: int = 11) -> dict[str, np.ndarray]:
    """hands_meanl/r (45,) and hands_componentsl/r (45, 45), orthonormal rows.

    Largest variance first; a positive coefficient closes the hand more than it opens it.
    """
    mean = relaxed_pose()
    offsets = _sample_offsets(np.random.default_rng(seed))
    values, vectors = np.linalg.eigh(offsets.T @ offsets)
    components = vectors[:, np.argsort(values)[::-1]].T
    bending = -components[:, 2::3].sum(1)
    components *= np.where(bending < 0, -1.0, 1.0)[:, None]
    return {
        "hands_meanl": mean,
        "hands_meanr": mean * _MIRROR,
        "hands_componentsl": components,
        "hands_componentsr": components * _MIRROR,
    }


def _sample_offsets(rng: np.random.Generator) -> np.ndarray:
    """(P, 45) offsets from the relaxed pose: a common curl, each finger's own, a fan, the thumb's turns."""
    grip = rng.normal(0, 0.45, _POSES)
    fan = rng.normal(0, 0.10, _POSES)
    neighbour = rng.normal(0, 0.22, _POSES)
    offsets = {}
    for finger in ("index", "middle", "ring", "pinky"):
        own = grip + neighbour * _FAN[finger] + rng.normal(0, 0.20, _POSES)
        knuckle = 0.85 * own + rng.normal(0, 0.15, _POSES)
        offsets[finger] = np.zeros((_POSES, 3, 3))
        offsets[finger][:, :, 2] = -np.stack([knuckle, own, 0.65 * own], axis=1)
        offsets[finger][:, 0, 1] = -fan * _FAN[finger] + rng.normal(0, 0.03, _POSES)
    bend = 0.4 * grip + rng.normal(0, 0.22, _POSES)
    oppose = 0.35 * grip + rng.normal(0, 0.25, _POSES)
    thumb = np.stack([0.4 * bend, 0.7 * bend, bend], axis=1)[..., None] * _THUMB_BEND
    thumb[:, 0] += oppose[:, None] * _THUMB_OPPOSE
    offsets["thumb"] = thumb
    poses = np.concatenate([offsets[finger].reshape(_POSES, 9) for finger in FINGERS], axis=1)
    return poses + rng.normal(0, 0.004, poses.shape)
