"""The surface of an avatar as a mesh: its canonical Gaussians seen from all around, their depths fused."""

from dataclasses import dataclass

import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import bind, skinned_motion
from avatarpipe.cameras import Cameras, orbit
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import render
from avatarpipe.mesh.cleanup import keep_large_components
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.tsdf import fuse_depth

SMALLEST_PIECE = 50  # faces; what is smaller is a floating crumb


@dataclass
class SurfaceViews:
    """What fusing needs of C views: depths (C, H, W) metres, rgbs (C, H, W, 3), alphas (C, H, W), layers (C, H, W, L)."""

    cameras: Cameras
    depths: np.ndarray
    rgbs: np.ndarray
    alphas: np.ndarray
    layers: np.ndarray


def surrounding_cameras(size: int) -> Cameras:
    """82 cameras around the canonical avatar, from nearly below to nearly above, 2 m away."""
    rings = [orbit((e,), range(0, 360, 20), 2.0, 60.0, size, size, prefix=f"ring{e}_") for e in (-45, -15, 15, 45)]
    poles = orbit((-80, 80), range(0, 360, 72), 2.0, 60.0, size, size, prefix="pole_")
    return Cameras.concatenate([*rings, poles])


@torch.no_grad()
def surface_views(cloud: GaussianCloud, size: int, batch: int = 4) -> SurfaceViews:
    """`cloud` (canonical, with layer channels) from the surrounding cameras; alpha decides what is surface."""
    cameras = surrounding_cameras(size)
    parts = []
    for start in range(0, len(cameras), batch):
        view = render(cloud, cameras[start : start + batch])
        parts.append((view.median_depth[..., 0], view.rgb, view.alpha[..., 0], view.features))
    arrays = [torch.cat(images).cpu().numpy() for images in zip(*parts, strict=True)]
    return SurfaceViews(cameras, *arrays)


def fused_surface(views: SurfaceViews, voxel: float) -> Mesh:
    """One closed, coloured mesh in canonical space; crumbs dropped."""
    mesh = fuse_depth(views.depths, views.rgbs, views.alphas, views.cameras, voxel, 4 * voxel)
    return keep_large_components(mesh, min_faces=SMALLEST_PIECE)


def posed_mesh(mesh: Mesh, body: Body, params: BodyParams) -> Mesh:
    """A canonical mesh in the pose of `params`, each vertex carried by the body's skinning."""
    vertices = torch.as_tensor(mesh.vertices, dtype=torch.float32, device=body.device)
    motion = skinned_motion(body, bind(vertices, body), params.to(body.device))
    moved = Mesh(**vars(mesh))
    moved.vertices = motion.points(vertices).cpu().numpy().astype(np.float64)
    return moved
