"""The surface that an animatable avatar starts from, in the canonical pose: the subject's body, or a mesh that has its clothes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.skinning import bind, skinned_motion
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh, load_mesh
from avatarpipe.methods.animatable.rig import big_pose

FARTHEST = 0.5  # metres; a vertex farther than that from the body is not of the same pose or unit


def body_template(body: Body, betas: torch.Tensor) -> Mesh:
    """The body itself in the shape `betas` (10,), in its big pose."""
    return Mesh(body.vertices(big_pose(betas))[0].cpu().numpy(), body.faces)


def given_template(path: str | Path, body: Body, betas: torch.Tensor) -> Mesh:
    """A clothed mesh that is in the subject's big pose already. InputError where it is not near the body there."""
    mesh = load_mesh(path)
    surface = body.vertices(big_pose(betas))[0].cpu().numpy().astype(np.float64)
    off = np.abs(
        np.stack([mesh.vertices.min(0) - surface.min(0), mesh.vertices.max(0) - surface.max(0)])
    ).max()
    if off > FARTHEST:
        raise InputError(
            f"{path}: its extent is {off:.2f} m off that of the subject's body in the big pose (arms level, legs 25 degrees "
            "apart each, pelvis at the rest pose's place, metres, +Y up). Pose the mesh so, or use the body as the template."
        )
    return mesh


def layered_template(mesh: Mesh, body: Body, betas: torch.Tensor) -> Mesh:
    """The canonical mesh of the layered method (mean shape, its own pose) in the subject's shape and big pose."""
    vertices = torch.as_tensor(mesh.vertices, dtype=torch.float32, device=body.device)
    motion = skinned_motion(body, bind(vertices, body), big_pose(betas).to(body.device))
    return replace(mesh, vertices=motion.points(vertices).cpu().numpy())
