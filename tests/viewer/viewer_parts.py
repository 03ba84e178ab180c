"""Small avatars on the fake body: a blue person in a red coat, and an animatable one."""

import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import bind, canonical_vertices
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.settings import ProjectionSettings
from avatarpipe.motions.motion import Motion
from avatarpipe.skinned_avatar import SkinnedAvatar, SkinnedLayer
from tests.animatable.animatable_parts import TINY, random_pose, roughened, tiny_model, tiny_rig

BLUE, RED = (0.1, 0.2, 0.9), (0.9, 0.1, 0.1)


def _layer(body: Body, points: torch.Tensor, color) -> SkinnedLayer:
    count = len(points)
    quats = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1)
    cloud = GaussianCloud(
        points, quats, torch.full((count, 3), 0.02), torch.full((count,), 0.95),
        torch.tensor(color).repeat(count, 1),
    )  # fmt: skip
    return SkinnedLayer(cloud, bind(points, body))


def coated_avatar(body: Body, subject: str = "ada", height: float = 0.4) -> SkinnedAvatar:
    """Captured with its left arm lowered, `height` metres up."""
    surface = canonical_vertices(body)[::5]
    coat = surface[(surface[:, 0].abs() < 0.2) & (surface[:, 1] > 0.0) & (surface[:, 1] < 0.55)]
    out = coat * torch.tensor([1.15, 1.0, 1.4])
    layers = {"inner": _layer(body, surface, BLUE), "outer": _layer(body, out, RED)}
    captured = BodyParams.zeros()
    captured.transl[0, 1] = height
    captured.body_pose[0, 47] = -0.8
    return SkinnedAvatar(subject, body, captured, layers)


def animatable_avatar(body: Body, **provenance) -> AnimatableAvatar:
    """Of 300 Gaussians, with parameters at random."""
    poses = np.random.default_rng(0).normal(size=(8, 63)) * 0.2
    projection = PoseProjection.fit(poses, ProjectionSettings(components=4))
    model, rig = roughened(tiny_model(body)), tiny_rig(body)
    return AnimatableAvatar(
        "zoe", random_pose(2), model, rig, projection, TINY, provenance=provenance
    )


def waving(frames: int = 10, fps: float = 10.0) -> Motion:
    """The left arm goes up while the body walks along x and bobs up and down."""
    poses = BodyParams.zeros(frames)
    poses.body_pose[:, 47] = torch.linspace(-1.2, 1.2, frames)
    poses.transl[:, 0] = torch.linspace(0.0, 2.0, frames)
    poses.transl[:, 1] = 1.0 + 0.1 * torch.sin(torch.arange(frames).float())
    return Motion(fps, poses)
