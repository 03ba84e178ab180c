"""The poses in which a diffusion model sees the subject: unlike the captured one, they hide nothing under the arms."""

import numpy as np

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.body.params import BodyParams, canonical_params

CANONICAL, ARMS_LOWERED = POSES = ("canonical", "arms lowered")
LOWERED_DEG = 25.0  # that each collar turns about z


def guidance_poses(captured: BodyParams) -> dict[str, BodyParams]:
    """The canonical pose (arms horizontal) and one with the arms lowered, by name, in the shape of one captured body."""
    canonical = canonical_params().to(captured.betas.device)
    canonical = canonical.replaced(betas=captured.betas, expression=captured.expression)
    body_pose = canonical.body_pose.clone()
    for side, sign in (("left", -1.0), ("right", 1.0)):
        collar = JOINT_NAMES.index(f"{side}_collar") - 1  # body_pose leaves out the pelvis
        body_pose[0, 3 * collar + 2] = sign * np.radians(LOWERED_DEG)
    return {CANONICAL: canonical, ARMS_LOWERED: canonical.replaced(body_pose=body_pose)}


def drawn_pose(rng: np.random.Generator, arms_lowered_probability: float) -> str:
    """The pose of one iteration."""
    return ARMS_LOWERED if rng.random() < arms_lowered_probability else CANONICAL
