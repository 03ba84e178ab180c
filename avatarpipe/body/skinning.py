"""Points near the body, carried by it: bound to the closest point of the surface, moved by linear blend skinning."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams, canonical_params
from avatarpipe.mesh.closest import closest_points


@dataclass(frozen=True)
class SurfaceBinding:
    """For N points of the canonical space: the triangle of the body closest to each, and where on it.

    Values of the surface (skinning weights, blendshapes) are interpolated there, so they are continuous over the
    surface and need no renormalising.
    """

    corners: torch.Tensor  # (N, 3) int64 vertex ids of the triangle
    barycentric: torch.Tensor  # (N, 3), rows sum to 1

    def __len__(self) -> int:
        return len(self.corners)

    def at(self, values: torch.Tensor) -> torch.Tensor:
        """(N, ...) surface values interpolated from (V, ...) vertex values."""
        weights = self.barycentric.reshape(*self.barycentric.shape, *[1] * (values.dim() - 1))
        return (values[self.corners] * weights).sum(dim=1)

    def select(self, mask: torch.Tensor) -> "SurfaceBinding":
        """The bindings of the points that a boolean mask or an index tensor picks."""
        return SurfaceBinding(self.corners[mask], self.barycentric[mask])

    @staticmethod
    def concatenate(parts: list["SurfaceBinding"]) -> "SurfaceBinding":
        """The bindings of all parts, in order."""
        return SurfaceBinding(
            torch.cat([part.corners for part in parts]),
            torch.cat([part.barycentric for part in parts]),
        )


def canonical_vertices(body: Body) -> torch.Tensor:
    """(V, 3) the mean body in the canonical pose."""
    return body.vertices(canonical_params())[0]


def bind(points: torch.Tensor, body: Body) -> SurfaceBinding:
    """Bind (N, 3) canonical `points` to the mean body in the canonical pose."""
    surface = canonical_vertices(body).cpu().numpy()
    _, face_ids, barycentric, _ = closest_points(points.detach().cpu().numpy(), surface, body.faces)
    corners = torch.from_numpy(body.faces[face_ids])
    return SurfaceBinding(
        corners.to(points.device), torch.from_numpy(barycentric).float().to(points.device)
    )


@dataclass(frozen=True)
class SkinnedMotion:
    """The affine map that takes N canonical points to one pose: x -> linear x + translation, turned by `quats`."""

    linear: torch.Tensor  # (N, 3, 3)
    translation: torch.Tensor  # (N, 3)
    quats: torch.Tensor  # (N, 4) wxyz, unit

    def points(self, points: torch.Tensor) -> torch.Tensor:
        """(N, 3) posed points."""
        return (self.linear * points[:, None]).sum(dim=-1) + self.translation

    def rotations(self, quats: torch.Tensor) -> torch.Tensor:
        """(N, 4) posed orientations of canonical ones, wxyz."""
        return quaternion_product(self.quats, quats)


def skinned_motion(body: Body, binding: SurfaceBinding, params: BodyParams) -> SkinnedMotion:
    """How `params` (one body) move canonical points: out of the canonical pose, blendshapes, into the pose.

    With M = sum_j w_j A_j the blended bone transforms (SMPL, eq. 7) of the canonical pose c and the target g and D the
    blendshape offset, x -> M_g (M_c^-1 x + D): exact at the vertices. Rotations are blended as quaternions.
    """
    if len(params) != 1:
        raise ValueError(f"one pose at a time, not {len(params)}")
    weights = binding.at(body.lbs_weights)
    canonical, target = body.transforms(canonical_params())[0], body.transforms(params)[0]
    blend = {"canonical": _blend(weights, canonical), "target": _blend(weights, target)}
    total = blend["target"] @ torch.linalg.inv(blend["canonical"])
    offsets = binding.at(body.vertex_offsets(params)[0])
    shift = (blend["target"][:, :3, :3] @ offsets[..., None])[..., 0]
    turns = target[:, :3, :3] @ canonical[:, :3, :3].transpose(1, 2)
    return SkinnedMotion(
        total[:, :3, :3].contiguous(), total[:, :3, 3] + shift, _blend_rotations(weights, turns)
    )


def _blend(weights: torch.Tensor, transforms: torch.Tensor) -> torch.Tensor:
    return (weights @ transforms.reshape(len(transforms), 16)).reshape(-1, 4, 4)


def _blend_rotations(weights: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
    """(N, 4) weighted mean quaternion of the bones, each on the side of the heaviest bone."""
    xyzw = Rotation.from_matrix(rotations.cpu().numpy().astype(np.float64)).as_quat()
    quats = torch.from_numpy(xyzw[:, [3, 0, 1, 2]]).to(weights)
    signs = torch.sign(quats @ quats.T)[weights.argmax(dim=1)]
    return torch.nn.functional.normalize((weights * signs) @ quats, dim=1)


def quaternion_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(..., 4) Hamilton product a b of quaternions wxyz: first turn by b, then by a."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )
