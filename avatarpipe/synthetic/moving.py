"""A dressed person in any pose: skin by the body's own function, the rest follows it, folds, sags, slides, stays outside.

Cloth is a function of the pose alone (bone transforms, gravity, nothing of the frames before), as the methods that learn
from such recordings assume.
"""

from dataclasses import dataclass
from functools import cached_property

import igl
import numpy as np
import scipy.sparse as sparse

from avatarpipe.synthetic.figure import JOINT
from avatarpipe.synthetic.materials import FEATURES
from avatarpipe.synthetic.noise import smoothstep
from avatarpipe.synthetic.rig import THICKNESS, Rig, blended
from avatarpipe.synthetic.sheets import boundary_edges, smoothing
from avatarpipe.synthetic.touch import Surface

DOWN = np.array([0.0, -1.0, 0.0])
_SAG = 0.9  # share of the looseness by which cloth follows a change of gravity
_FOLD_LIMIT = 0.015  # metres
_STRAIN_STEPS = 6  # over which strain is smoothed along the cloth
_SPREAD_STEPS = 5  # over which a push out of the body spreads
_WIDTH = 0.05  # metres between folds, in the height of a fold for a given compression


@dataclass
class Posed:
    """The body in one frame."""

    skin: np.ndarray  # (B, 3) vertices of the body file
    transforms: np.ndarray  # (55, 4, 4) rest to posed
    correctives: np.ndarray  # (B, 3) pose correctives less those of the dressing pose, at rest


@dataclass
class MovingPerson:
    """rigs: shoes, lower, upper, hair. The skin is one Loop subdivision finer than the body file, of B vertices."""

    rigs: dict[str, Rig]
    body_faces: np.ndarray  # (F, 3)
    body_rest: np.ndarray  # (B, 3)
    body_limbs: np.ndarray  # (B, len(LIMBS)) shares of the weights
    rest_joints: np.ndarray  # (55, 3)

    def layers(self, posed: Posed, free: bool = False) -> dict[str, np.ndarray]:
        """Vertices of every layer by name, in the frame of `posed`: cloth with its inner sheet.

        free: only skinned, without anything that makes cloth of it.
        """
        skin, skin_faces = igl.loop(np.asarray(posed.skin, np.float64), self.body_faces, 1)
        coarse = Surface.of(posed.skin, self.body_faces, self.body_rest, self.body_limbs)
        out, covered = {"body": skin}, [Surface.of(skin, skin_faces, *self._fine)]
        features = self.features(posed.transforms)
        for name in ("shoes", "lower", "upper", "hair"):
            cloth = self._cloth[name]
            vertices, turns = cloth.skinned(posed, np.zeros(len(FEATURES)) if free else features)
            if not free and name != "shoes":
                vertices = cloth.folded(vertices, turns)
                for surface in covered:
                    vertices = cloth.pushed(vertices, surface, coarse)
            if name in ("shoes", "lower", "upper"):
                worn = Surface.of(
                    vertices, cloth.faces, cloth.rig.x_rest, cloth.rig.limbs, cloth.rim
                )
                covered = [covered[0], worn]
            out[name] = cloth.with_inner(vertices)
        return out

    @cached_property
    def _fine(self) -> tuple[np.ndarray, np.ndarray]:
        """Rest positions and limbs of the finer skin."""
        columns = np.column_stack([self.body_rest, self.body_limbs])
        fine, _ = igl.loop(columns, self.body_faces, 1)
        return np.ascontiguousarray(fine[:, :3]), np.ascontiguousarray(fine[:, 3:])

    @cached_property
    def _cloth(self) -> dict[str, "_Cloth"]:
        return {name: _Cloth(rig) for name, rig in self.rigs.items()}

    def features(self, transforms: np.ndarray) -> np.ndarray:
        """(len(FEATURES),) how far joints are bent (1 at a right angle) and arms are raised (1 overhead)."""
        turns = transforms[:, :3, :3]
        bent = []
        for joint in ("elbow", "knee"):
            parent = "shoulder" if joint == "elbow" else "hip"
            for side in ("left", "right"):
                relative = turns[JOINT[f"{side}_{parent}"]].T @ turns[JOINT[f"{side}_{joint}"]]
                bent.append((3.0 - np.trace(relative)) / 2.0)
        for side in ("left", "right"):
            shoulder, elbow = JOINT[f"{side}_shoulder"], JOINT[f"{side}_elbow"]
            bone = self.rest_joints[elbow] - self.rest_joints[shoulder]
            up = turns[JOINT["spine3"]].T @ turns[shoulder] @ (bone / np.linalg.norm(bone))
            bent.append(float(smoothstep(up[1], -0.75, 0.9)))
        return np.array(bent)


class _Cloth:
    """A rig with the matrices that its faces give."""

    def __init__(self, rig: Rig):
        self.rig, self.faces = rig, rig.outer
        count = len(rig.x_rest)
        self.smooth = smoothing(self.faces, count)
        self.rim = np.zeros(count)
        self.rim[boundary_edges(self.faces).ravel()] = 1.0
        corners = sparse.csr_matrix(
            (np.ones(self.faces.size), (self.faces.ravel(), np.repeat(np.arange(len(self.faces)), 3))),
            (count, len(self.faces)),
        )  # fmt: skip
        degree = np.maximum(np.asarray(corners.sum(axis=1)).ravel(), 1.0)
        self.to_vertices = sparse.diags(1.0 / degree) @ corners

    def skinned(self, posed: Posed, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(V, 3) vertices carried by the bones, and (V, 3, 3) how each was turned since it was dressed."""
        rig = self.rig
        rest = rig.x_rest
        if rig.is_cloth:
            rest = rest + rig.material.axis * (rig.material.slides @ features)[:, None]
            rest = rest + np.einsum("nk,nkc->nc", rig.barycentric, posed.correctives[rig.corners])
        matrices = blended(posed.transforms, rig.bones, rig.weights)
        turned = np.einsum("nij,nj->ni", matrices[:, :3, :3], rest)
        return turned + matrices[:, :3, 3], matrices[:, :3, :3] @ rig.unturn

    def folded(self, vertices: np.ndarray, turns: np.ndarray) -> np.ndarray:
        """Sagged to where gravity now is and, if cloth, folded where it is compressed and drawn flat where stretched."""
        if self.rig.is_cloth:
            amount = self._fold_heights(vertices)
            normals = np.nan_to_num(igl.per_vertex_normals(vertices, self.faces))
            vertices = vertices + normals * amount[:, None]
        sag = DOWN - turns @ DOWN
        return vertices + _SAG * self.rig.loose[:, None] * sag

    def strain(self, vertices: np.ndarray) -> np.ndarray:
        """(V, DIRECTIONS) relative change of length since the dressing pose, smoothed."""
        corners = vertices[self.faces]
        edges = corners[:, 1:] - corners[:, :1]
        lengths = np.linalg.norm(self.rig.material.combination @ edges, axis=2)
        strain = self.to_vertices @ (np.clip(lengths, 0.0, 2.5) - 1.0)
        for _ in range(_STRAIN_STEPS):
            strain = self.smooth @ strain
        return strain

    def _fold_heights(self, vertices: np.ndarray) -> np.ndarray:
        """(V,) metres along the normal, beyond the folds that the cloth was dressed with.

        Cloth keeps its length: compression c along a direction makes folds across it, of height ~ sqrt(c); tension t
        draws folds that run along it. Both set in smoothly.
        """
        material = self.rig.material
        strain = self.strain(vertices)
        shorter, longer = np.maximum(-strain, 0.0), np.maximum(strain, 0.0)
        across = longer[:, [1, 0, 3, 2]]
        height = 0.55 * shorter / np.sqrt(shorter + 0.04) + 0.22 * across / np.sqrt(across + 0.1)
        fresh = (_WIDTH * height * material.patterns).sum(axis=1)
        more, less = shorter[:, :2].sum(axis=1), longer[:, :2].sum(axis=1)
        gain = 0.9 * (1.0 - np.exp(-4.0 * more)) - 0.85 * (1.0 - np.exp(-6.0 * less))
        heights = material.fold * gain + fresh
        return _FOLD_LIMIT * np.tanh(heights / _FOLD_LIMIT) * (0.25 + 0.75 * material.freedom)

    def pushed(self, vertices: np.ndarray, surface: Surface, skin: Surface) -> np.ndarray:
        """Out of a surface to CLEARANCE above it, the neighbourhood following.

        Where the closest part of the surface belongs to another limb, as in the crook of an arm, cloth only keeps off the
        skin (the body file's) that it is bound to: which of the two is nearer would change from frame to frame.
        """
        rig = self.rig
        push, same = surface.push(vertices, rig.x_rest, rig.limbs, rig.is_split)
        if (same < 1.0).any():
            own = skin.push_from(vertices, rig.corners, rig.barycentric)
            push = same[:, None] * push + (1.0 - same)[:, None] * own
        spread = push
        for _ in range(_SPREAD_STEPS):
            spread = self.smooth @ spread
        length = np.linalg.norm(push, axis=1)
        direction = push / np.maximum(length, 1e-12)[:, None]
        gained = np.einsum("ni,ni->n", spread, direction)
        return vertices + spread + np.maximum(length - gained, 0.0)[:, None] * direction

    def with_inner(self, vertices: np.ndarray) -> np.ndarray:
        """Cloth with the inner sheet below."""
        if not self.rig.is_cloth:
            return vertices
        normals = np.nan_to_num(igl.per_vertex_normals(vertices, self.faces))
        return np.concatenate([vertices, vertices - THICKNESS * normals])
