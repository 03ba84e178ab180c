"""What the three stages share: pose the canonical surfels, render, descend, rebind, densify."""

from dataclasses import replace

import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import SurfaceBinding, bind, skinned_motion
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import Rendering, depth_normals, render
from avatarpipe.guidance import Guidance
from avatarpipe.methods.layered.roles import BODY, EDGE, GARMENT, SEAM
from avatarpipe.methods.layered.settings import StageSettings
from avatarpipe.prefixes import prefixed, under
from avatarpipe.skinned_avatar import SkinnedLayer
from avatarpipe.training.densify import ScreenGradients, densify
from avatarpipe.training.losses import normal_consistency, photometric, weighted_l1
from avatarpipe.training.surfels import TrainableSurfels
from avatarpipe.training.views import TrainingViews, ViewBatch

_GUIDED = "guided."  # before names of what guidance pulls at, in a checkpoint
LAYERS = 2  # channels of the layer image: inner, outer


class SurfelStage:
    """Trains one layer of surfels in canonical space on the views of one frame; other layers may stand frozen by.

    layer: index of the trained layer's channel. frozen: posed surfels of the other layer with their channels, or None.
    guidance: one more loss on the canonical surfels, where a diffusion model is to complete what no camera saw. Its pull
    on the screen counts for density as that of the images does.
    """

    def __init__(
        self,
        surfels: TrainableSurfels,
        body: Body,
        params: BodyParams,
        views: TrainingViews,
        settings: StageSettings,
        seed: int,
        layer: int = 0,
        frozen: GaussianCloud | None = None,
        guidance: Guidance | None = None,
    ):
        self.surfels, self.body, self.params = surfels, body, params
        self.views, self.settings, self.seed = views, settings, seed
        self.layer, self.frozen, self.guidance = layer, frozen, guidance
        self.gradients = ScreenGradients(len(surfels), surfels.means.device)
        self.guided = ScreenGradients(len(surfels), surfels.means.device)
        self.rebind()

    def step(self, step: int) -> dict[str, torch.Tensor | float]:
        """Iteration `step` (from 0): one descent on a batch of views, then what is due of the upkeep."""
        batch = self.views.batch(step, self.settings.views_per_step, self.seed)
        cloud = self.surfels.cloud()
        rendering = render(self.composite(cloud), batch.cameras)
        losses = self.losses(step, cloud, rendering, batch)
        guided = None
        if self.guidance is not None:
            guided = self.guidance.loss(self.guided_layer(cloud), self.shown_beside(), step)
        if guided is not None:
            losses["guidance"] = guided.loss
        loss = torch.stack(list(losses.values())).sum()
        loss.backward()
        self._count(self.gradients, rendering, len(cloud), self.views.width, self.views.height)
        if guided is not None:
            height, width = guided.rendering.rgb.shape[1:3]
            self._count(self.guided, guided.rendering, len(cloud), width, height)
        self.surfels.step(step / self.settings.iterations)
        self.surfels.limit_scales(self.settings.max_scale)
        self.surfels.limit_colors()
        self._upkeep(step + 1)
        return {"loss": loss.detach(), "surfels": float(len(self.surfels)), **losses}

    @staticmethod
    def _count(
        gradients: ScreenGradients, rendering: Rendering, count: int, width: int, height: int
    ) -> None:
        """Add the screen gradients of the trained surfels, which are the last `count` of those rendered."""
        grad, radii = rendering.screen_points.grad, rendering.radii
        gradients.add(grad[:, -count:], radii[:, -count:], width, height)

    def guided_layer(self, cloud: GaussianCloud) -> SkinnedLayer:
        """`cloud` (canonical) as guidance takes it."""
        return SkinnedLayer(cloud, self.binding)

    def shown_beside(self) -> SkinnedLayer | None:
        """The layer that guidance sees beside the trained one: none, unless a stage says otherwise."""
        return None

    def composite(self, cloud: GaussianCloud) -> GaussianCloud:
        """The frozen layer, if any, followed by `cloud` (canonical) in the captured pose."""
        posed = self.posed(cloud)
        return posed if self.frozen is None else GaussianCloud.concatenate([self.frozen, posed])

    def posed(self, cloud: GaussianCloud) -> GaussianCloud:
        """`cloud` (canonical) in the captured pose, with layer channels where there is another layer to tell it from."""
        alone = self.frozen is None
        return replace(
            cloud,
            means=self.motion.points(cloud.means),
            quats=self.motion.rotations(cloud.quats),
            features=None if alone else layer_channels(len(cloud), self.layer, cloud.device),
        )

    def losses(
        self, step: int, cloud: GaussianCloud, rendering: Rendering, batch: ViewBatch
    ) -> dict[str, torch.Tensor]:
        """Weighted terms of the loss by name; a stage adds its own."""
        settings = self.settings
        terms = {
            "photometric": photometric(
                rendering.rgb, batch.image, self.trusted(batch), settings.ssim_share
            ),
            "alpha": settings.alpha_weight * weighted_l1(rendering.alpha, batch.alpha),
        }
        if step >= settings.normal_from:
            normals = depth_normals(rendering.depth, rendering.alpha, batch.Ks, batch.viewmats)
            solid = (rendering.alpha.detach() > 0.5) * batch.alpha
            terms["normal"] = settings.normal_weight * normal_consistency(rendering.normals, normals, solid)
        if step >= settings.distortion_from:
            terms["distortion"] = settings.distortion_weight * (rendering.distortion * batch.alpha).mean()
        return terms

    def trusted(self, batch: ViewBatch) -> torch.Tensor | None:
        """(C, H, W, 1) the pixels whose colour this stage is to show; None for all."""
        return None

    def layer_loss(self, rendering: Rendering, batch: ViewBatch) -> torch.Tensor:
        """Mean L1 between layer channels and roles; seams and half-covered pixels are left alone."""
        wanted = torch.stack([batch.roles == BODY, batch.roles == GARMENT], dim=-1).float()
        known = (batch.roles != SEAM) & (batch.roles != EDGE)
        return self.settings.layer_weight * weighted_l1(rendering.features, wanted, known[..., None])

    def droppable(self, done: int) -> torch.Tensor | None:
        """(N,) surfels to drop at a density change besides the faint ones; None for no others."""
        return None

    def finish(self) -> None:
        """What is left to do after the last iteration; nothing, unless a stage says otherwise."""

    def rebind(self) -> None:
        """Look up where the surfels are bound to the body, and how the captured pose moves them."""
        self._bound(bind(self.surfels.means, self.body))

    def _bound(self, binding: SurfaceBinding) -> None:
        self.binding = binding
        self.motion = skinned_motion(self.body, binding, self.params)

    def _upkeep(self, done: int) -> None:
        settings = self.settings
        changed = settings.densify.due(done) and done < settings.iterations
        if changed:
            generator = torch.Generator().manual_seed(self.seed + done)
            pull = self.gradients if self.guidance is None else self.gradients.beside(self.guided)
            densify(self.surfels, pull, settings.densify, generator, self.droppable(done))
            self.gradients, self.guided = (
                ScreenGradients(len(self.surfels), self.surfels.means.device) for _ in range(2)
            )
        if done in settings.opacity_resets:
            self.surfels.limit_opacities(settings.opacity_reset_to)
        if changed or done % settings.rebind_every == 0:
            self.rebind()

    def state(self) -> dict[str, torch.Tensor]:
        """Everything `restore` needs to go on as if never stopped."""
        binding = {"bound.corners": self.binding.corners, "bound.barycentric": self.binding.barycentric}
        guided = prefixed(_GUIDED, self.guided.state())
        return self.surfels.state() | self.gradients.state() | guided | binding

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over the state of a checkpoint."""
        self.surfels = TrainableSurfels.from_state(state, self.settings.rates)
        self.gradients = ScreenGradients.from_state(state)
        self.guided = ScreenGradients.from_state(under(_GUIDED, state))
        self._bound(SurfaceBinding(state["bound.corners"], state["bound.barycentric"]))


def layer_channels(count: int, layer: int, device) -> torch.Tensor:
    """(N, LAYERS) one-hot channels."""
    channels = torch.zeros(count, LAYERS, device=device)
    channels[:, layer] = 1.0
    return channels
