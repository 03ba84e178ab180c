"""Score distillation (DreamFusion, Poole et al. 2023): what a diffusion model would change about how an avatar looks.

Each iteration poses the layer, renders it from cameras around it over random colours, adds noise to the model's code of
the images, and takes the model's opinion of what the noise was, less what it was, as gradient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import skinned_motion
from avatarpipe.devices import on_device
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import Rendering, render
from avatarpipe.guidance import GuidanceTerm
from avatarpipe.guidance.cameras import GuidanceViews, Zooms, part_centres, sample_views
from avatarpipe.guidance.model import DiffusionModel, Seen
from avatarpipe.guidance.poses import drawn_pose, guidance_poses
from avatarpipe.guidance.randomness import Purpose, device_numbers, numbers, stratified
from avatarpipe.guidance.schedule import gradient_weight, timestep_range, timesteps_of
from avatarpipe.guidance.settings import GuidanceSettings
from avatarpipe.guidance.skeleton import Figure, draw_skeletons, figure
from avatarpipe.guidance.words import VIEWS, with_views
from avatarpipe.skinned_avatar import SkinnedLayer


@dataclass(frozen=True)
class StageGuidance:
    """What one stage asks of guidance."""

    weight: float
    """Of the gradient in the latents, summed over a view's latents and averaged over views."""
    iterations: int
    """Of the whole stage; annealed schedules end there."""
    prompt: str
    negative: str = ""
    start: int = 0
    """First iteration."""
    every: int = 1
    """Of so many iterations the last, counted from the first of all: so that curves, kept every 20, show it."""
    views: int = 8
    """Images a time."""
    zooms: Zooms = field(default_factory=Zooms)


class ScoreDistillation:
    """A Guidance by one diffusion model, for one stage of one subject.

    captured: the subject (a batch of one), whose shape all poses keep.
    """

    def __init__(
        self, model: DiffusionModel, settings: GuidanceSettings, stage: StageGuidance,
        body: Body, captured: BodyParams, seed: int,
    ):  # fmt: skip
        self.model, self.settings, self.stage = model, settings, stage
        self.body, self.seed, self.device = body, seed, body.device
        self.poses = guidance_poses(captured)
        self.figures: dict[str, Figure] = {name: figure(body, pose) for name, pose in self.poses.items()}
        self.centres: dict[str, Mapping[str, np.ndarray]] = {
            name: part_centres(body.joints(pose)[0].cpu().numpy()) for name, pose in self.poses.items()
        }
        self.takes_seen = getattr(model, "takes_seen", False)
        self.posing = _Posing(body, self.poses, keep_features=self.takes_seen)
        self.model.read([*with_views(stage.prompt, VIEWS), stage.negative])

    def loss(self, layer: SkinnedLayer, frozen: SkinnedLayer | None, step: int) -> GuidanceTerm | None:
        """See Guidance.loss. The value is half the mean over views of the squared gradient in the latents."""
        if step < self.stage.start or (step + 1) % self.stage.every:
            return None
        pose = drawn_pose(numbers(self.seed, step, Purpose.POSE), self.settings.arms_lowered_probability)
        views = self._views(pose, step)
        shown = self.posing.trained(layer, pose)
        if frozen is not None:
            shown = GaussianCloud.concatenate([self.posing.frozen(frozen, pose), shown])
        backgrounds = self._backgrounds(step)
        size = self.model.image_size * self.settings.supersample
        viewmats, Ks = (on_device(x, self.device, torch.float32) for x in (views.cameras.w2c, views.cameras.K))
        rendering = render(shown, (viewmats, Ks, size, size), backgrounds)
        images = _resized(rendering.rgb, self.model.image_size)
        skeletons = self._skeletons(pose, viewmats, Ks)
        seen = seen_parts(rendering, backgrounds, self.model.image_size) if self.takes_seen else None
        condition = self._condition(views.words, skeletons, seen)
        gradient, value = self._judged(images.detach(), condition, step)
        if seen is not None:  # what cameras saw is not the model's to change
            gradient = gradient * (1.0 - seen.certainty)
        weight = self.stage.weight / len(images)
        return GuidanceTerm(_Injected.apply(images, weight * gradient, weight * value), rendering)

    def _views(self, pose: str, step: int) -> GuidanceViews:
        size = self.model.image_size * self.settings.supersample
        rng = numbers(self.seed, step, Purpose.VIEWS)
        return sample_views(
            self.settings.cameras, self.stage.zooms, self.centres[pose], step, self.stage.views, size, rng
        )

    def _backgrounds(self, step: int) -> Tensor:
        """(B, 3) one colour a view."""
        generator = device_numbers(self.seed, step, Purpose.BACKGROUND, self.device)
        return torch.rand(self.stage.views, 3, generator=generator, device=self.device)

    def _judged(self, images: Tensor, condition, step: int) -> tuple[Tensor, Tensor]:
        """Gradient (B, S, S, 3) in the images, and half its sum of squares in the latents."""
        t, alphas = self._timesteps(step)
        images.requires_grad_()
        with torch.enable_grad():
            latents = self.model.encode(images)
        with torch.no_grad():
            noise = self._noise(latents, step)
            signal = alphas.reshape(-1, *[1] * (latents.dim() - 1))
            noisy = signal.sqrt() * latents + (1.0 - signal).sqrt() * noise
            error = self.model.predict(noisy, t, condition) - noise
            wanted = gradient_weight(self.settings.weighting, signal) * torch.nan_to_num(error)
        (gradient,) = torch.autograd.grad(latents, images, wanted)
        return gradient, 0.5 * wanted.square().sum()

    @torch.no_grad()
    def _skeletons(self, pose: str, viewmats: Tensor, Ks: Tensor) -> Tensor:
        """(B, S, S, 3) of the size that the model takes; Ks are those of the rendering."""
        smaller = Ks.clone()
        smaller[:, :2] /= self.settings.supersample
        return draw_skeletons(self.figures[pose], viewmats, smaller, self.model.image_size)

    def _condition(self, words: Sequence[str], skeletons: Tensor, seen: Seen | None):
        also = {} if seen is None else {"seen": seen}
        prompts = with_views(self.stage.prompt, words)
        return self.model.condition(prompts, skeletons, self.stage.negative, **also)

    def _timesteps(self, step: int) -> tuple[Tensor, Tensor]:
        """t (B,) and a_t (B,)."""
        settings, alphas = self.settings, self.model.alphas_cumprod
        limits = timestep_range(
            settings.timesteps, settings.timestep_schedule, settings.annealed_to,
            min(step / self.stage.iterations, 1.0),
        )  # fmt: skip
        shares = stratified(self.stage.views, numbers(self.seed, step, Purpose.TIMESTEPS))
        t = on_device(timesteps_of(shares, limits, len(alphas)), alphas.device)
        return t, alphas[t]

    def _noise(self, latents: Tensor, step: int) -> Tensor:
        generator = device_numbers(self.seed, step, Purpose.NOISE, latents.device)
        return torch.randn(latents.shape, generator=generator, device=latents.device)


def seen_parts(rendering: Rendering, backgrounds: Tensor, size: int) -> Seen:
    """What of a rendering (first feature: certainty, none: nothing is certain) is certain, as images of `size` pixels."""
    alpha = rendering.alpha.detach()
    colors = rendering.rgb.detach() - (1.0 - alpha) * backgrounds[:, None, None]
    certain = torch.zeros_like(alpha) if rendering.features is None else rendering.features[..., :1].detach()
    colors, certain, alpha = (_resized(x, size) for x in (colors, certain, alpha))
    return Seen(colors * (certain / alpha.clamp_min(1e-3)), certain, backgrounds)


class _Posing:
    """Layers in the guidance poses; what does not change between iterations is kept."""

    def __init__(self, body: Body, poses: Mapping[str, BodyParams], keep_features: bool):
        self.body, self.poses, self.keep_features = body, poses, keep_features
        self._binding, self._motions = None, {}
        self._frozen, self._stills = None, {}

    def trained(self, layer: SkinnedLayer, pose: str) -> GaussianCloud:
        """A layer whose Gaussians change; how they move is looked up when they are bound anew."""
        if layer.binding is not self._binding:
            self._binding, self._motions = layer.binding, {}
        if pose not in self._motions:
            self._motions[pose] = skinned_motion(self.body, layer.binding, self.poses[pose])
        motion, cloud = self._motions[pose], layer.cloud
        features = cloud.features if self.keep_features else None
        return replace(
            cloud, means=motion.points(cloud.means), quats=motion.rotations(cloud.quats), features=features
        )

    def frozen(self, layer: SkinnedLayer, pose: str) -> GaussianCloud:
        """A layer that stays as it is."""
        if layer is not self._frozen:
            self._frozen, self._stills = layer, {}
        if pose not in self._stills:
            motion = skinned_motion(self.body, layer.binding, self.poses[pose])
            cloud = layer.cloud.detach()
            posed = {"means": motion.points(cloud.means), "quats": motion.rotations(cloud.quats)}
            self._stills[pose] = replace(cloud, **posed, features=None)
        return self._stills[pose]


class _Injected(torch.autograd.Function):
    """A scalar of a given value whose gradient in the images is a given one.

    So the gradient in half precision never meets the loss weight, under which it would vanish.
    """

    @staticmethod
    def forward(ctx, images: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx, upstream: Tensor):
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None, None


def _resized(images: Tensor, size: int) -> Tensor:
    """(B, size, size, 3) averages of (B, S, S, 3), S a multiple of size."""
    if images.shape[1] == size:
        return images
    return interpolate(images.permute(0, 3, 1, 2), (size, size), mode="area").permute(0, 2, 3, 1)
