"""Keeping garment and skin apart: a garment lies outside of the body, by a clearance, even where both are a pixel thin.

Without it a tight garment and the skin completed under it claim the same depth, and which one shows is chance.
"""

from dataclasses import dataclass, replace

import torch

from avatarpipe.body.model import Body
from avatarpipe.body.skinning import SurfaceBinding, bind, canonical_vertices
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.mesh.mesh import Mesh


@dataclass(frozen=True)
class SurfaceFrames:
    """For N bound points: the canonical body surface under each, points (N, 3) and outward unit normals (N, 3)."""

    points: torch.Tensor
    normals: torch.Tensor

    def height(self, means: torch.Tensor) -> torch.Tensor:
        """(N,) metres of (N, 3) `means` above the surface's tangent planes; negative inside the body."""
        return ((means - self.points) * self.normals).sum(dim=1)


def surface_frames(binding: SurfaceBinding, body: Body) -> SurfaceFrames:
    """Where the canonical body lies under bound points."""
    vertices = canonical_vertices(body)
    normals = Mesh(vertices.cpu().numpy(), body.faces).vertex_normals()
    at = binding.at(torch.as_tensor(normals, dtype=torch.float32, device=vertices.device))
    return SurfaceFrames(binding.at(vertices), torch.nn.functional.normalize(at, dim=1))


def lifted_off(cloud: GaussianCloud, body: Body, clearance: float) -> GaussianCloud:
    """The canonical `cloud`, its Gaussians moved out along the body's normals to at least `clearance` metres."""
    frames = surface_frames(bind(cloud.means, body), body)
    missing = (clearance - frames.height(cloud.means)).clamp_min(0.0)
    return replace(cloud, means=cloud.means + missing[:, None] * frames.normals)


def clearance_loss(frames: SurfaceFrames, means: torch.Tensor, clearance: float) -> torch.Tensor:
    """Mean centimetres that (N, 3) `means` fall short of `clearance`."""
    return ((clearance - frames.height(means)).clamp_min(0.0) / 0.01).mean()
