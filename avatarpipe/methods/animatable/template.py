"""The surface that an animatable avatar starts from, in the canonical pose: the subject's body, or a mesh that has its clothes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.skinning import bind, skinned_motion
from avatarpipe.errors import InputError
from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import Mesh, load_mesh
from avatarpipe.methods.animatable.rig import big_pose

LEGS_APART_DEG = 25.0
FARTHEST = 0.5  # metres; a vertex farther than that from the body is not of the same pose or unit
FARTHEST_END = (
    0.15  # metres; hands, feet and head, which hardly any cloth is far from, tell poses apart
)
_ENDS = {
    "left hand": (20, *range(25, 40)), "right hand": (21, *range(40, 55)), "left foot": (7, 10), "right foot": (8, 11),
    "head": (15, 22, 23, 24),
}  # fmt: skip


def body_template(body: Body, betas: torch.Tensor, legs_apart_deg: float = LEGS_APART_DEG) -> Mesh:
    """The body itself in the shape `betas` (10,), in its big pose.

    Exact: what is drawn from a surface is altogether another where one of its vertices differs in its last bit.
    """
    vertices = body.exact_vertices(big_pose(betas, legs_apart_deg))[0]
    return Mesh(vertices.float().cpu().numpy(), body.faces)


def given_template(
    path: str | Path, body: Body, betas: torch.Tensor, legs_apart_deg: float = LEGS_APART_DEG
) -> Mesh:
    """A clothed mesh that is in the subject's big pose already. InputError where it is not near the body there."""
    mesh = load_mesh(path)
    surface = body_template(body, betas, legs_apart_deg).vertices.astype(np.float64)
    off = np.abs(
        np.stack([mesh.vertices.min(0) - surface.min(0), mesh.vertices.max(0) - surface.max(0)])
    ).max()
    wanted = (
        f"the subject's body in the big pose (arms level, legs {legs_apart_deg:g} degrees apart each, pelvis at the rest "
        "pose's place, metres, +Y up). Pose the mesh so, or use the body as the template."
    )
    if not off <= FARTHEST:
        raise InputError(f"{path}: its extent is {off:.2f} m off that of {wanted}")
    end, off = _farthest_end(mesh, surface, body)
    if off > FARTHEST_END:
        raise InputError(f"{path}: nothing of it is within {off:.2f} m of the {end} of {wanted}")
    return mesh


def _farthest_end(mesh: Mesh, surface: np.ndarray, body: Body) -> tuple[str, float]:
    """Hand, foot or head of the body that is farthest from the mesh, and by how much, metres: the median of its vertices."""
    joint = body.lbs_weights.argmax(dim=1).cpu().numpy()
    distances = {}
    for name, joints in _ENDS.items():
        points = surface[np.isin(joint, joints)]
        if len(points):
            distances[name] = float(np.median(closest_points(points, mesh.vertices, mesh.faces)[3]))
    return max(distances.items(), key=lambda item: item[1])


def layered_template(
    mesh: Mesh, body: Body, betas: torch.Tensor, legs_apart_deg: float = LEGS_APART_DEG
) -> Mesh:
    """The canonical mesh of the layered method (mean shape, its own pose) in the subject's shape and big pose."""
    vertices = torch.as_tensor(mesh.vertices, dtype=torch.float32, device=body.device)
    posed = big_pose(betas, legs_apart_deg).to(body.device)
    motion = skinned_motion(body, bind(vertices, body), posed)
    return replace(mesh, vertices=motion.points(vertices).cpu().numpy())
