"""What cloth lies on, and how far it must move to lie outside."""

from dataclasses import dataclass

import igl
import numpy as np

from avatarpipe.mesh.closest import closest_points
from avatarpipe.synthetic.cloth import CLEARANCE
from avatarpipe.synthetic.figure import JOINT
from avatarpipe.synthetic.noise import smoothstep

LIMBS = ("left_arm", "right_arm", "left_leg", "right_leg")
_JOINTS = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle", "foot"))
_REACH = 0.06  # metres: what lies deeper is not recognised as inside
_BESIDE = 0.03  # metres beside the point that cloth is bound to, within which it must keep off the skin there


def limb_shares(bones: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, len(LIMBS)) parts of the skinning weights (N, K) of (N, K) joints."""
    shares = []
    for names in _JOINTS:
        for side in ("left", "right"):
            of_limb = np.isin(bones, [JOINT[f"{side}_{name}"] for name in names])
            shares.append((weights * of_limb).sum(axis=1))
    return np.stack(shares, axis=1)


@dataclass
class Surface:
    """Posed, V vertices."""

    vertices: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    normals: np.ndarray  # (V, 3) unit
    rest: np.ndarray  # (V, 3)
    limbs: np.ndarray  # (V, len(LIMBS))
    rim: np.ndarray  # (V,) 1 at open edges

    @staticmethod
    def of(vertices, faces, rest, limbs, rim: np.ndarray | None = None) -> "Surface":
        """With its normals; a surface without a rim is closed."""
        vertices = np.asarray(vertices, np.float64)
        normals = np.nan_to_num(igl.per_vertex_normals(vertices, faces))
        rim = np.zeros(len(vertices)) if rim is None else rim
        return Surface(vertices, faces, normals, rest, limbs, rim)

    def push(
        self, points: np.ndarray, rest: np.ndarray, limbs: np.ndarray, split: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """What takes (N, 3) `points` out by the shortest way (N, 3), and (N,) how far the surface is their own limb there.

        split: whether left and right leg wear it apart.
        """
        found, ids, weights, distances = closest_points(points, self.vertices, self.faces)
        corners = self.faces[ids]
        normal = self._normal(corners, weights)
        lift = np.einsum("ni,ni->n", points - found, normal)
        beside = (weights * self.rim[corners]).sum(axis=1) > 0.4  # over an open edge
        near = (distances < _REACH) & ((np.abs(lift) > 0.7 * distances) | (distances < CLEARANCE))
        missing = np.where(near & ~beside, np.maximum(CLEARANCE - lift, 0.0), 0.0)
        apart = np.abs(limbs - np.einsum("nk,nkl->nl", weights, self.limbs[corners]))
        same = smoothstep(apart[:, :2].sum(axis=1), 0.95, 0.55)
        if split:
            same = same * smoothstep(apart[:, 2:].sum(axis=1), 1.7, 1.2)
        far = np.linalg.norm(rest - np.einsum("nk,nkc->nc", weights, self.rest[corners]), axis=1)
        along = smoothstep(far, 0.15, 0.08)  # the same arm, but beyond the elbow
        same = same * (1.0 - limbs[:, :2].sum(axis=1) * (1.0 - along))
        return missing[:, None] * normal, np.clip(same, 0.0, 1.0)

    def push_from(self, points: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N, 3) what takes each point above the plane through one given point of the surface, if it lies over it."""
        normal = self._normal(corners, weights)
        offset = points - np.einsum("nk,nkc->nc", weights, self.vertices[corners])
        lift = np.einsum("ni,ni->n", offset, normal)
        across = np.linalg.norm(offset - lift[:, None] * normal, axis=1)
        over = smoothstep(across, _BESIDE, 0.5 * _BESIDE)
        return (over * np.maximum(CLEARANCE - lift, 0.0))[:, None] * normal

    def _normal(self, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
        normal = np.einsum("nk,nkc->nc", weights, self.normals[corners])
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
