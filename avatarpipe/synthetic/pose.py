"""A natural standing or walking pose, arms clear of the body, found from bone directions so that any rest pose serves."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import JOINT_NAMES, Body, BodyParams

HAND_COMPONENTS = 12
_JOINT = {name: k for k, name in enumerate(JOINT_NAMES)}


@dataclass
class HandCoefficients:
    """(12,) PCA coefficients of each hand, without the hand mean (flat_hand_mean=False)."""

    left: np.ndarray
    right: np.ndarray


def sample_pose(
    body: Body, betas: np.ndarray, rng: np.random.Generator
) -> tuple[BodyParams, HandCoefficients]:
    """Parameters of one posed body with global_orient and transl zero, and its hands as PCA coefficients."""
    params = BodyParams.zeros().replaced(betas=torch.as_tensor(betas[None], dtype=torch.float32))
    rest = body.joints(params)[0, :55].numpy()
    local = _spine_rotations(rng)
    aim_limbs(local, rest, _limb_directions(rng), body.parents)
    local |= _head_rotations(rng)
    pose = np.zeros((22, 3))
    for name, rotation in local.items():
        pose[_JOINT[name]] = rotation.as_rotvec()
    hands = HandCoefficients(_hand(body, "left", rng), _hand(body, "right", rng))
    full = {
        f"{side}_hand_pose": _float(body.decode_hand(getattr(hands, side)[None], side))
        for side in ("left", "right")
    }
    return params.replaced(body_pose=_float(pose[1:].reshape(1, 63)), **full), hands


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array), dtype=torch.float32)


def _hand(body: Body, side: str, rng: np.random.Generator) -> np.ndarray:
    """Coefficients that stray from the mean hand by at most about 25 degrees in any finger joint."""
    coefficients = rng.normal(0.0, 0.4, HAND_COMPONENTS)
    components, _ = body.hand_pca(side)
    angles = np.linalg.norm((coefficients @ components[:HAND_COMPONENTS]).reshape(15, 3), axis=1)
    return (coefficients * min(1.0, 0.45 / max(angles.max(), 1e-9))).astype(np.float32)


def _spine_rotations(rng: np.random.Generator) -> dict[str, Rotation]:
    twist, lean, side = np.radians(rng.normal([0, 1, 0], [2.0, 1.0, 1.2]))
    bend = Rotation.from_euler("yxz", [twist, lean, side])
    return {f"spine{k}": bend for k in (1, 2, 3)}


def _head_rotations(rng: np.random.Generator) -> dict[str, Rotation]:
    turn, nod, tilt = np.radians(rng.normal([0, -1, 0], [6.0, 2.5, 2.0]))
    return {
        name: Rotation.from_euler("yxz", [turn / 2, nod, tilt / 2]) for name in ("neck", "head")
    }


def _limb_directions(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Where each long bone should point, as (left, up, front): swing is the phase of a slow step, 0 when standing."""
    swing = rng.uniform(0.4, 1.0) * rng.choice([-1.0, 1.0]) if rng.random() < 0.6 else 0.0
    directions = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        step = swing * sign
        out = rng.uniform(32, 40)
        upper = _direction(sign * out, -step * rng.uniform(8, 14) - 2)
        lower = _direction(sign * (out - rng.uniform(8, 14)), -step * 12 + rng.uniform(12, 24))
        thigh = _direction(sign * rng.uniform(6.5, 8.5), step * 13 + 3)
        shin = _direction(
            sign * rng.uniform(3.5, 5.0), step * 13 - rng.uniform(2, 4) - 12 * max(-step, 0)
        )
        directions |= {f"{side}_shoulder": upper, f"{side}_elbow": lower}
        directions |= {f"{side}_hip": thigh, f"{side}_knee": shin}
    return directions


def _direction(outward_deg: float, forward_deg: float) -> np.ndarray:
    """A unit vector that hangs down, turned toward +x and +z by the angles."""
    out, forward = np.radians([outward_deg, forward_deg])
    vector = np.array([np.tan(out), -1.0, np.tan(forward)])
    return vector / np.linalg.norm(vector)


def aim_limbs(local: dict, rest: np.ndarray, directions: dict, parents: np.ndarray) -> None:
    """Turn each limb joint by the smallest rotation that points its bone where it should (parents first)."""
    for name in JOINT_NAMES[:22]:
        if name not in directions:
            continue
        joint = _JOINT[name]
        child = next(k for k in range(22) if parents[k] == joint)
        above = _global_rotation(local, parents[joint], parents)
        bone = rest[child] - rest[joint]
        wanted = above.inv().apply(directions[name])
        local[name] = _between(bone / np.linalg.norm(bone), wanted)
    for side in ("left", "right"):  # soles stay level
        above = _global_rotation(local, _JOINT[f"{side}_knee"], parents)
        heading = above.apply([0.0, 0.0, 1.0])
        level = Rotation.from_euler("y", np.arctan2(heading[0], heading[2]))
        local[f"{side}_ankle"] = above.inv() * level


def _global_rotation(local: dict, joint: int, parents: np.ndarray) -> Rotation:
    rotation = Rotation.identity()
    while joint >= 0:
        rotation = local.get(JOINT_NAMES[joint], Rotation.identity()) * rotation
        joint = parents[joint]
    return rotation


def _between(source: np.ndarray, target: np.ndarray) -> Rotation:
    """The smallest rotation that takes one unit vector to another (not its opposite)."""
    axis = np.cross(source, target)
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return Rotation.identity()
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, source @ target))
