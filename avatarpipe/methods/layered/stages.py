"""The three stages from their inputs to an avatar: what each starts from, what stands frozen, what it leaves."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.spatial import cKDTree

from avatarpipe.body.model import Body
from avatarpipe.body.skinning import bind, canonical_vertices
from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.guidance import Guidance
from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.methods.layered.clearance import lifted_off
from avatarpipe.methods.layered.initial import surface_surfels
from avatarpipe.methods.layered.inner import InnerStage
from avatarpipe.methods.layered.lifting import lifted_colors, lifted_roles
from avatarpipe.methods.layered.outer import OuterStage
from avatarpipe.methods.layered.roles import BODY, GARMENT, pixel_roles
from avatarpipe.methods.layered.settings import StageSettings
from avatarpipe.methods.layered.skin_prior import skin_prior
from avatarpipe.methods.layered.surfel_stage import SurfelStage, layer_channels
from avatarpipe.skinned_avatar import SkinnedAvatar, SkinnedLayer
from avatarpipe.training.surfels import TrainableSurfels
from avatarpipe.training.views import TrainingViews

NEAR_GARMENT = 0.015  # metres from the coarse garment mesh within which an unseen surfel is garment
MARGIN_SHARE = 0.05  # of the image height, kept around the subject in the training windows


@dataclass
class StageInputs:
    """What every stage is given. garment: "upper", "lower" or "both"; guidance: see SurfelStage."""

    capture: Capture
    body: Body
    garment: str
    settings: StageSettings
    seed: int
    device: torch.device
    guidance: Guidance | None = None

    @cached_property
    def views(self) -> TrainingViews:
        """The training views with the role of each pixel."""
        height = self.capture.cameras("train").height
        views = TrainingViews(self.capture, "train", self.device, round(MARGIN_SHARE * height))
        labels = self.capture.stack("train", "labels")
        roles = pixel_roles(labels, views.masks.cpu().numpy() / np.float32(255.0), self.garment)
        if not (roles == GARMENT).any():
            raise InputError(
                f"{self.capture.path}: no training view shows a garment of class {self.garment!r}. "
                "Choose another garment class in config, or check the label maps."
            )
        views.roles = torch.from_numpy(roles).to(self.device)
        return views

    def common(self, start: GaussianCloud) -> tuple:
        """The first arguments of every stage, its surfels starting from `start` (canonical)."""
        params = self.capture.poses[0].to(self.device)
        surfels = TrainableSurfels.from_cloud(start.to(self.device), self.settings.rates)
        return surfels, self.body, params, self.views, self.settings, self.seed


def single_stage(inputs: StageInputs) -> SurfelStage:
    """Everything as one layer, from surfels on the body coloured by what the views show there."""
    vertices = canonical_vertices(inputs.body).cpu().numpy()
    grey = torch.full((3,), 0.5)
    start = surface_surfels(vertices, inputs.body.faces, inputs.settings.points, grey, inputs.seed)
    stage = SurfelStage(*inputs.common(start), guidance=inputs.guidance)
    start = stage.surfels.cloud().detach()
    start.colors = lifted_colors(stage.posed(start), stage.views)
    stage.surfels = TrainableSurfels.from_cloud(start, inputs.settings.rates)
    return stage


def inner_stage(inputs: StageInputs, single: SkinnedAvatar, garment_mesh: Mesh) -> InnerStage:
    """The body: the single layer without its garment surfels, and new ones on the skin that the garment hides."""
    params = inputs.capture.poses[0].to(inputs.device)
    views = inputs.views
    on_garment = _on_garment(single, views, params, garment_mesh)
    prior = skin_prior(inputs.body, inputs.capture, inputs.garment)
    vertices = canonical_vertices(inputs.body).cpu().numpy()
    hidden = prior.hidden.cpu().numpy()[inputs.body.faces].mean(axis=1)
    covered = surface_surfels(
        vertices, inputs.body.faces, inputs.settings.points, _mean_color(views), inputs.seed,
        face_weights=np.where(hidden > 0.3, 1.0, 1e-9), overlap=0.8,
    ).to(inputs.device)  # fmt: skip
    everything = single.layers["body"].cloud
    coarse = lifted_off(everything.select(on_garment), inputs.body, inputs.settings.clearance)
    outer = SkinnedLayer(coarse, bind(coarse.means, inputs.body))
    frozen = replace(single, layers={"outer": outer}).pose(params)
    frozen.features = layer_channels(len(frozen), 1, frozen.device)
    stage = InnerStage(
        *inputs.common(GaussianCloud.concatenate([everything.select(~on_garment), covered])),
        layer=0, frozen=frozen, guidance=inputs.guidance, prior=prior,
    )  # fmt: skip
    stage.frozen_layer = outer
    return stage


def _on_garment(single: SkinnedAvatar, views: TrainingViews, params, garment_mesh: Mesh) -> torch.Tensor:
    """(N,) which surfels are garment: by the pixels they show in, the unseen ones by distance to the coarse mesh."""
    posed = single.pose(params)
    weights = lifted_roles(posed, views, (BODY, GARMENT))
    points = single.layers["body"].cloud.means.cpu().numpy()
    distances = closest_points(points, garment_mesh.vertices, garment_mesh.faces)[3]
    near = torch.from_numpy(distances < NEAR_GARMENT).to(weights.device)
    return torch.where(weights.sum(dim=1) > 0.1, weights[:, 1] > weights[:, 0], near)


def _mean_color(views: TrainingViews) -> torch.Tensor:
    """(3,) mean sRGB of the subject: what a surfel nobody has seen starts from."""
    alpha = views.masks[..., None].float() / 255.0
    return ((views.images.float() / 255.0).sum(dim=(0, 1, 2)) / alpha.sum()).cpu()


def outer_stage(inputs: StageInputs, inner: SkinnedAvatar, garment_mesh: Mesh) -> OuterStage:
    """The garment: the coarse garment surfels, and new ones on the parts of the garment mesh that have none."""
    params = inputs.capture.poses[0].to(inputs.device)
    coarse = inner.layers["outer"].cloud
    start = GaussianCloud.concatenate([coarse, _filling(coarse, garment_mesh, inputs)])
    stage = OuterStage(
        *inputs.common(start), layer=1, frozen=inner.pose(params, ["inner"]),
        guidance=inputs.guidance, garment_mesh=garment_mesh,
    )  # fmt: skip
    stage.frozen_layer = inner.layers["inner"]
    return stage


def _filling(coarse: GaussianCloud, mesh: Mesh, inputs: StageInputs) -> GaussianCloud:
    """Surfels on the garment mesh farther from every coarse surfel than three times their own size."""
    fresh = surface_surfels(mesh.vertices, mesh.faces, inputs.settings.points, torch.zeros(3), inputs.seed)
    distances, nearest = cKDTree(coarse.means.cpu().numpy()).query(fresh.means.numpy())
    fresh = fresh.to(coarse.device)
    fresh.colors = coarse.colors[torch.from_numpy(nearest).to(coarse.device)].clone()
    gap = torch.from_numpy(distances).to(coarse.device) > 3.0 * fresh.scales[:, 0]
    return fresh.select(gap)


def stage_avatar(stage: SurfelStage, name: str, subject: str, provenance: dict) -> SkinnedAvatar:
    """The avatar that a stage leaves: its own layer, and the one that stood frozen by."""
    cloud = stage.surfels.cloud().detach()
    trained = SkinnedLayer(cloud, bind(cloud.means, stage.body))
    if name == "single":
        layers = {"body": trained}
    elif name == "inner":
        layers = {"inner": trained, "outer": stage.frozen_layer}
    else:
        layers = {"inner": stage.frozen_layer, "outer": trained}
    return SkinnedAvatar(subject, stage.body, stage.params, layers, provenance)
