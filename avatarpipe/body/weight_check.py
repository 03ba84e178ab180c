"""How well a volume of skinning weights stands for the weights of the body's own vertices."""

from dataclasses import dataclass

import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.weight_volume import WeightVolume
from avatarpipe.mesh.mesh import Mesh


@dataclass(frozen=True)
class WeightErrors:
    """Sums over joints of |volume - vertex|, and what they do to vertices that are posed by the volume's weights."""

    vertex_l1: float  # mean over the vertices, most of which are in hands and face
    surface_l1: float  # mean over the surface, each vertex counted by the area around it
    lowest: float  # of all weights in the volume
    sum_error: float  # the most that weights sampled at the vertices are off summing to 1
    skinning: float  # metres, mean over vertices and poses
    skinning_worst: float  # metres, mean over the vertices, in the pose where it is largest


def weight_errors(
    volume: WeightVolume, body: Body, canonical: BodyParams, poses: BodyParams
) -> WeightErrors:
    """The errors of a `volume` on the CPU around `body` as posed by `canonical` (one body), skinned to each of `poses`."""
    vertices = body.vertices(canonical)[0].cpu()
    own, sampled = body.lbs_weights.cpu(), volume.sample(vertices)
    off = (sampled - own).abs().sum(dim=1).double()
    moved = [
        _distances(own - sampled, bones, vertices).mean()
        for bones in _bones(body, canonical, poses)
    ]
    return WeightErrors(
        vertex_l1=float(off.mean()),
        surface_l1=float(np.average(off, weights=_areas(vertices.numpy(), body.faces))),
        lowest=min(float(part.grid.min()) for part in (volume, *volume.blocks)),
        sum_error=float((sampled.sum(dim=1) - 1.0).abs().max()),
        skinning=float(torch.stack(moved).mean()),
        skinning_worst=float(torch.stack(moved).max()),
    )


def _bones(body: Body, canonical: BodyParams, poses: BodyParams):
    """(55, 4, 4) from the canonical pose to each of `poses`, in the canonical's shape."""
    back = torch.linalg.inv(body.transforms(canonical)[0])
    for pose in range(len(poses)):
        target = poses[pose].replaced(betas=canonical.betas, expression=canonical.expression)
        yield (body.transforms(target)[0] @ back).cpu()


def _distances(weights: torch.Tensor, bones: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """(V,) how far apart two skinnings move the vertices, whose weights differ by `weights` (V, 55)."""
    blended = (weights @ bones.flatten(1)).view(-1, 4, 4)
    return ((blended[:, :3, :3] @ vertices[..., None])[..., 0] + blended[:, :3, 3]).norm(dim=1)


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) a third of the area of the faces around each vertex."""
    areas = np.linalg.norm(Mesh(vertices, faces).area_vectors(), axis=1)
    return np.bincount(faces.ravel(), np.repeat(areas / 3, 3), len(vertices))
