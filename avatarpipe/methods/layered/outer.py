"""The outer stage: the garment, over the frozen body."""

import torch

from avatarpipe.body.skinning import SurfaceBinding
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import Rendering
from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.methods.layered.clearance import clearance_loss, surface_frames
from avatarpipe.methods.layered.lifting import lifted_roles
from avatarpipe.methods.layered.roles import BODY, GARMENT
from avatarpipe.methods.layered.surfel_stage import SurfelStage
from avatarpipe.skinned_avatar import SkinnedLayer
from avatarpipe.training.views import ViewBatch

SEEN = 0.05  # pixels' worth of weight below which a surfel's whereabouts say nothing


class OuterStage(SurfelStage):
    """Trains the garment near its coarse mesh (canonical space); the composite must show the images."""

    def __init__(self, *args, garment_mesh: Mesh, **options):
        self.garment_mesh = garment_mesh
        super().__init__(*args, **options)

    def losses(
        self, step: int, cloud: GaussianCloud, rendering: Rendering, batch: ViewBatch
    ) -> dict[str, torch.Tensor]:
        terms = super().losses(step, cloud, rendering, batch)
        clearance = clearance_loss(self.frames, cloud.means, self.settings.clearance)
        terms["clearance"] = self.settings.clearance_weight * clearance
        return terms | {"layer": self.layer_loss(rendering, batch)}

    def shown_beside(self) -> SkinnedLayer:
        """Guidance judges the garment as it is worn."""
        return self.frozen_layer

    def finish(self) -> None:
        """Drop the surfels that show on the body rather than on the garment: bits of neck caught in a collar."""
        with torch.no_grad():
            composite = self.composite(self.surfels.cloud())
        weights = lifted_roles(composite, self.views, (BODY, GARMENT))[-len(self.surfels) :]
        astray = (weights[:, 0] > weights[:, 1]) & (weights.sum(dim=1) > SEEN)
        nothing = {name: value[:0].detach() for name, value in self.surfels.raw.items()}
        self.surfels.rearrange(torch.nonzero(~astray)[:, 0], nothing)
        self.rebind()

    def _bound(self, binding: SurfaceBinding) -> None:
        """Beside the motion: the body surface under each surfel."""
        super()._bound(binding)
        self.frames = surface_frames(binding, self.body)

    def droppable(self, done: int) -> torch.Tensor:
        """Surfels farther from the coarse garment mesh than the settings allow."""
        points = self.surfels.means.detach().cpu().numpy()
        mesh = self.garment_mesh
        distances = closest_points(points, mesh.vertices, mesh.faces)[3]
        far = distances > self.settings.garment_distance
        return torch.from_numpy(far).to(self.surfels.means.device)
