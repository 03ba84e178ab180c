"""The inner stage: the body without the garment. Seen parts follow the images, hidden parts the skin prior."""

from dataclasses import replace

import torch

from avatarpipe.body.skinning import SurfaceBinding
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import Rendering
from avatarpipe.gaussians.rotations import quats_to_matrices
from avatarpipe.methods.layered.clearance import surface_frames
from avatarpipe.methods.layered.initial import spacing
from avatarpipe.methods.layered.roles import GARMENT, SEAM
from avatarpipe.methods.layered.skin_prior import SkinPrior
from avatarpipe.methods.layered.surfel_stage import SurfelStage
from avatarpipe.skinned_avatar import SkinnedLayer
from avatarpipe.training.views import ViewBatch

OVERLAP = 0.75  # of the spacing that a hidden surfel must at least have as standard deviation, to leave no gap
MAX_SPACING = 0.010  # metres: a surfel far from all others need not fill the room between, nor stand out of an arm
SURELY_HIDDEN = 0.4  # share of a vertex's pixels on the garment from which the prior sets in


class InnerStage(SurfelStage):
    """Trains the body under the frozen garment. Garment pixels say nothing about its colour, only that it is covered."""

    def __init__(self, *args, prior: SkinPrior, **options):
        self.prior = prior
        super().__init__(*args, **options)

    def losses(
        self, step: int, cloud: GaussianCloud, rendering: Rendering, batch: ViewBatch
    ) -> dict[str, torch.Tensor]:
        terms = super().losses(step, cloud, rendering, batch)
        terms["layer"] = self.layer_loss(rendering, batch)
        return terms | {"skin": self.settings.skin_weight * self._skin_loss(cloud)}

    def posed(self, cloud: GaussianCloud) -> GaussianCloud:
        """What is hidden takes its shape from the prior alone: where it pokes through a garment a pixel thin, the layer
        images would wear a hole into the skin, although it is the garment that has to give way.
        """
        hidden = self.hidden
        return super().posed(
            replace(
                cloud,
                means=_held(cloud.means, hidden[:, None]),
                scales=_held(cloud.scales, hidden[:, None]),
                opacities=_held(cloud.opacities, hidden),
            )
        )

    def trusted(self, batch: ViewBatch) -> torch.Tensor:
        return ((batch.roles != GARMENT) & (batch.roles != SEAM))[..., None].float()

    def guided_layer(self, cloud: GaussianCloud) -> SkinnedLayer:
        """With how certain each surfel is as feature: what the cameras saw of it, guidance need not invent."""
        return SkinnedLayer(replace(cloud, features=(1.0 - self.hidden)[:, None]), self.binding)

    def _skin_loss(self, cloud: GaussianCloud) -> torch.Tensor:
        """Mean over hidden surfels of: colour off the prior, leaving the skin, facing aside, transparency, gaps."""
        away = self.frames.height(cloud.means).abs()
        facing = (quats_to_matrices(cloud.quats)[:, :, 2] * self.frames.normals).sum(dim=1).abs()
        per_surfel = (
            (cloud.colors - self.skin_color).abs().sum(dim=1)
            + (away - self.settings.skin_offset).clamp_min(0.0) / 0.01
            + (1.0 - facing)
            + (1.0 - cloud.opacities)
            + (OVERLAP * self.spacing[:, None] - cloud.scales[:, :2]).clamp_min(0.0).sum(dim=1) / 0.01
        )
        return (self.hidden * per_surfel).sum() / (self.hidden.sum() + 1.0)

    def state(self) -> dict[str, torch.Tensor]:
        return super().state() | {"bound.spacing": self.spacing}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        super().restore(state)
        self.spacing = state["bound.spacing"]  # of when the surfels were bound, not of now

    def _bound(self, binding: SurfaceBinding) -> None:
        """Beside the motion: the body surface under each surfel, and how hidden it is."""
        super()._bound(binding)
        self.frames = surface_frames(binding, self.body)
        hidden = (binding.at(self.prior.hidden) - SURELY_HIDDEN) / (1.0 - SURELY_HIDDEN)
        self.hidden = hidden.clamp(0.0, 1.0)
        self.skin_color = binding.at(self.prior.colors)
        means = self.surfels.means.detach()
        self.spacing = torch.from_numpy(spacing(means.cpu().numpy())).to(means).clamp_max(MAX_SPACING)


def _held(values: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """`values` as they are, their gradient less by `share` in [0, 1]."""
    return values * (1.0 - share) + values.detach() * share
