"""What a piece of cloth does by itself: along which lines it folds, how far it slides, how stiff its edges are."""

from dataclasses import dataclass, fields

import numpy as np

from avatarpipe.synthetic.figure import JOINT, Figure
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.noise import noise, ridges, smoothstep

FEATURES = ("left_elbow", "right_elbow", "left_knee", "right_knee", "left_raise", "right_raise")
DIRECTIONS = 4  # along the limb or trunk, around it, and the two diagonals


@dataclass
class Material:
    """Of V vertices and F' faces of an outer sheet; empty arrays for what is no cloth.

    A direction d of a face is a combination of its two edges (b - a, c - a): pose changes edges, so the length of the
    combination is the stretch along d.
    """

    combination: np.ndarray  # (F', DIRECTIONS, 2)
    patterns: (
        np.ndarray
    )  # (V, DIRECTIONS) folds whose crests run across each direction, about 0, in [-1, 1]
    fold: np.ndarray  # (V,) metres of the folds in the dressing pose
    freedom: np.ndarray  # (V,) 0 at stiff edges, 1 in the open
    axis: (
        np.ndarray
    )  # (V, 3) unit, at rest: toward the shoulder or hip on limbs, upward on the trunk
    slides: np.ndarray  # (V, len(FEATURES)) metres along `axis` for a feature of 1

    def arrays(self) -> dict[str, np.ndarray]:
        """Fields by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def material_of(figure: Figure, layer: Layer, vertices, faces, turns: np.ndarray) -> Material:
    """turns: (V, 3, 3) from rest to the dressing pose."""
    if layer.name not in ("upper", "lower"):
        return Material(*(np.zeros(0) for _ in fields(Material)))
    a = {name: value[: len(vertices)] for name, value in layer.attributes.items()}
    on_limb = _on_limb(layer, a)
    axis = _axes(figure, layer, a, on_limb)
    return Material(
        _combinations(vertices, faces, np.einsum("nij,nj->ni", turns, axis)),
        _patterns(figure, layer, a, on_limb), a["fold"], smoothstep(a["keep"], -0.005, 0.06),
        axis, _slides(layer, a, on_limb),
    )  # fmt: skip


def _on_limb(layer: Layer, a: dict) -> np.ndarray:
    if layer.name == "upper":
        return smoothstep(a["arm"], 0.3, 0.7)
    return np.zeros(len(a["limb"])) if layer.kind == "skirt" else smoothstep(a["limb"], -0.05, 0.2)


def _axes(figure: Figure, layer: Layer, a: dict, on_limb: np.ndarray) -> np.ndarray:
    """(V, 3) unit vectors."""
    first, last = ("shoulder", "wrist") if layer.name == "upper" else ("hip", "ankle")
    bones = []
    for side in ("left", "right"):
        bone = figure.rest_joints[JOINT[f"{side}_{first}"]] - figure.rest_joints[JOINT[f"{side}_{last}"]]  # fmt: skip
        bones.append(bone / np.linalg.norm(bone))
    limb = np.where(a["rest"][:, :1] >= 0, bones[0], bones[1])
    axis = on_limb[:, None] * limb + (1.0 - on_limb[:, None]) * [0.0, 1.0, 0.0]
    return axis / np.linalg.norm(axis, axis=1, keepdims=True)


def _combinations(vertices: np.ndarray, faces: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The four directions of each face in terms of its edges; axis: (V, 3) where the cloth is now."""
    edges = vertices[faces[:, 1:]] - vertices[faces[:, :1]]  # (F, 2, 3)
    normal = np.cross(edges[:, 0], edges[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-15)
    along = axis[faces].mean(axis=1)
    along -= normal * np.einsum("fi,fi->f", along, normal)[:, None]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    around = np.cross(normal, along)
    diagonals = (along + around) / np.sqrt(2), (along - around) / np.sqrt(2)
    directions = np.stack([along, around, *diagonals], axis=1)  # (F, 4, 3)
    gram = np.einsum("fai,fbi->fab", edges, edges)
    gram[:, [0, 1], [0, 1]] += 1e-12
    right = np.einsum("fdi,fai->fda", directions, edges)
    return np.einsum("fda,fab->fdb", right, np.linalg.inv(gram))


def _patterns(figure: Figure, layer: Layer, a: dict, on_limb: np.ndarray) -> np.ndarray:
    middle = figure.rest_joints[JOINT["spine2"], 2]
    x, y, z = a["rest"].T
    trunk_angle = np.arctan2(x, z - middle)
    if layer.kind == "skirt":
        trunk_angle, y = np.arctan2(a["hung"][:, 0], a["hung"][:, 2]), a["hung"][:, 1]
    seed = 977 if layer.name == "upper" else 1409
    trunk = _folds_about(trunk_angle, y, 0.145, 0.058, seed)
    length = _limb_length(figure, "shoulder" if layer.name == "upper" else "hip")
    radius, width = (0.055, 0.036) if layer.name == "upper" else (0.085, 0.048)
    limb = _folds_about(a["around"], a["limb"] * length, radius, width, seed + 7)
    return (1.0 - on_limb[:, None]) * trunk + on_limb[:, None] * limb


def _limb_length(figure: Figure, first: str) -> float:
    second = "elbow" if first == "shoulder" else "knee"
    joints = figure.rest_joints
    return float(np.linalg.norm(joints[JOINT[f"left_{second}"]] - joints[JOINT[f"left_{first}"]]))


def _folds_about(angle, along, radius: float, width: float, seed: int) -> np.ndarray:
    """(V, 4) folds `width` metres apart on a cylinder: rings, flutes, and both helices, all without a seam."""
    rings = np.column_stack([along / width, 0.9 * np.cos(angle), 0.9 * np.sin(angle)])
    turns = radius / width
    flutes = np.column_stack([turns * np.cos(angle), turns * np.sin(angle), along / (4.5 * width)])
    kinds = [ridges(rings, seed, 2) - 0.5, noise(flutes, seed + 1, 2) * 1.3]
    for sign in (1.0, -1.0):
        twisted = angle + sign * along / radius
        helix = np.column_stack(
            [turns * np.cos(twisted), turns * np.sin(twisted), along / (3.0 * width)]
        )
        kinds.append(ridges(helix, seed + 2 + int(sign), 2) - 0.5)
    return np.stack(kinds, axis=1)


def _slides(layer: Layer, a: dict, on_limb: np.ndarray) -> np.ndarray:
    """Raised arms lift the shirt, bent elbows and knees draw cuffs back."""
    out = np.zeros((len(on_limb), len(FEATURES)))
    left = smoothstep(a["rest"][:, 0], -0.12, 0.12)
    for k, share in ((0, left), (1, 1.0 - left)):
        if layer.name == "upper":
            below = 1.0 - on_limb
            out[:, 4 + k] = 0.045 * share * below
            out[:, k] = 0.026 * share * on_limb * smoothstep(a["limb"], 0.6, 1.8)
        elif layer.kind == "trousers":
            out[:, 2 + k] = 0.032 * share * on_limb * smoothstep(a["limb"], 0.7, 1.9)
    return out
