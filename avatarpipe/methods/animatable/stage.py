"""The training of an animatable avatar: pose, render, compare, descend."""

import numpy as np
import torch

from avatarpipe.devices import on_device
from avatarpipe.gaussians.rgb import Ellipsoids, Lens, render_rgb, seen_colors
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.descent import Descent, camera_extent
from avatarpipe.methods.animatable.losses import (
    Perceptual,
    comparable,
    scale_penalty,
    smoothness,
    subject_squares,
)
from avatarpipe.methods.animatable.model import AnimatableModel
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.rig import BODY, Rig
from avatarpipe.methods.animatable.scaffold import Scaffold
from avatarpipe.methods.animatable.settings import AnimatableSettings
from avatarpipe.methods.animatable.views import FrameBatch, VideoViews
from avatarpipe.prefixes import prefixed, under
from avatarpipe.training.compilation import compiled

_ALIKE_EVERY = 20  # iterations after which the processes' parameters are made the same
_SCAFFOLD = "scaffold."  # what names of its tensors begin with in a checkpoint
_APART = 1 << 32  # seeds of the views of one iteration


class AnimatableStage:
    """Trains `model` on the views of a video. All randomness comes from the seed and the iteration.

    perceptual: the distance that the perceptual term weighs; None leaves the term out. Of several processes, as `views` knows
    them, each renders its share of an iteration's views, and all take the same step.
    """

    def __init__(
        self,
        model: AnimatableModel,
        rig: Rig,
        views: VideoViews,
        settings: AnimatableSettings,
        seed: int,
        perceptual: Perceptual | None = None,
    ):
        self.model, self.rig, self.views = model, rig, views
        self.settings, self.seed, self.perceptual, self.team = (
            settings,
            seed,
            perceptual,
            views.team,
        )
        self.descent = Descent(
            model.parameters, settings.rates, camera_extent(views.viewmats, settings.rates.extent)
        )
        if self.team.size > 1:
            self.team.from_the_first(model.parameters.values())
            points = model.scaffold.state()
            self.team.from_the_first(points.values())
            self._stand_on(points)
        poses = views.poses()
        self.bones = torch.stack([rig.bones(poses[k]) for k in range(len(poses))]).to(views.device)
        self.thetas = poses.full_pose[:, BODY].to(views.device)
        self._shape = compiled(_shape, views.device, settings.compiled)
        self._colors = compiled(seen_colors, views.device, settings.compiled)
        self._difference = compiled(_difference, views.device, settings.compiled)

    def step(self, step: int) -> dict[str, torch.Tensor | float]:
        """Iteration `step` (from 0): one descent on some cameras of one frame."""
        settings = self.settings
        batch = self.views.batch(step, settings.cameras_per_step, self.seed)
        ellipsoids, penalties = self._gaussians(step, batch)
        background = self._background(np.random.default_rng([self.seed, step]))
        lens = Lens(batch.viewmats, batch.Ks, *batch.size, settings.near)
        rgb = render_rgb(ellipsoids, lens, background)
        boundary = batch.boundary if settings.boundaries else None
        seen = batch.image, batch.alpha, boundary, background
        losses = {"l1": self._difference(rgb, *seen)} | self._perceptual(step, rgb, seen, batch)
        losses = {name: batch.part * loss for name, loss in losses.items()}
        _sum(losses | penalties).backward()
        self.descent.step(step / settings.iterations)
        if step % _ALIKE_EVERY == 0:
            self.team.from_the_first(self.model.parameters.values())
        losses = {
            name: loss.detach() for name, loss in (self.team.total(losses) | penalties).items()
        }
        return {"loss": _sum(losses), **losses}

    def _gaussians(
        self, step: int, batch: FrameBatch
    ) -> tuple[Ellipsoids, dict[str, torch.Tensor]]:
        """What the cameras of a batch see, and what holds against shapes that no image shows to be wrong.

        Of several processes all make the same Gaussians. What their images teach is added up there, where it is a thirtieth
        of the parameters' gradients, and each takes it back through the model by itself. CUDA rounds that differently in each
        process, and nothing would bring them together again: the first's parameters replace the others' every so often.
        """
        settings, theta = self.settings, None
        if step >= settings.bases_from:
            theta = self.thetas[batch.frame]
        shape = (
            _shape if theta is None else self._shape
        )  # not worth compiling for the few iterations before
        harmonics = step >= settings.harmonics_from
        *posed, smooth, scale = shape(
            self.model, theta, self.bones[batch.frame], harmonics, settings
        )
        means, quats, scales, opacities, sh = self.team.shared(posed)
        colors = self._colors(sh, means, batch.viewmats)
        weights = settings.losses
        return Ellipsoids(means, quats, scales, opacities, colors), {
            "smooth": weights.smooth_weight * smooth,
            "scale": weights.scale_weight * scale,
        }

    def _background(self, rng: np.random.Generator) -> torch.Tensor:
        """(3,) sRGB."""
        color = np.full(3, self.settings.background)
        if self.settings.random_background:
            color = rng.random(3)
        return on_device(color, self.views.device, torch.float32)

    def _perceptual(
        self, step: int, rgb: torch.Tensor, seen: tuple, batch: FrameBatch
    ) -> dict[str, torch.Tensor]:
        weights = self.settings.losses
        if (
            self.perceptual is None
            or not weights.perceptual_weight
            or step < weights.perceptual_from
        ):
            return {}
        seeds = None
        if step >= weights.patches_from:  # of both images the same windows
            seeds = [self.seed + step + _APART * place for place in batch.places]
        squares = [
            subject_squares(image, batch.boxes, weights.perceptual_size, seen[-1], seeds)
            for image in comparable(rgb, *seen)
        ]
        return {"perceptual": weights.perceptual_weight * self.perceptual(*squares)}

    def avatar(self, subject: str, done: int, provenance: dict) -> AnimatableAvatar:
        """What `done` iterations have made."""
        settings, poses = self.settings, self.views.poses()
        detached = {name: value.detach() for name, value in self.model.parameters.items()}
        return AnimatableAvatar(
            subject,
            poses[0],
            AnimatableModel(self.model.scaffold, detached, self.model.shift_limit),
            self.rig,
            PoseProjection.fit(poses.full_pose[:, BODY].cpu().numpy(), settings.projection),
            settings.model,
            bases=done > settings.bases_from,
            harmonics=done > settings.harmonics_from,
            provenance=provenance,
        )

    def state(self) -> dict[str, torch.Tensor]:
        """Everything `restore` needs to go on as if never stopped, on this machine or another.

        With the points that the parameters belong to: found again, they may be others where the last bits of a sum differ
        with the processor or its number of threads.
        """
        return self.descent.state() | prefixed(_SCAFFOLD, self.model.scaffold.state())

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over the state of a checkpoint."""
        self.descent.restore(state)
        self._stand_on(under(_SCAFFOLD, state))

    def _stand_on(self, points: dict[str, torch.Tensor]) -> None:
        """Connect the parameters to these points."""
        self.model.scaffold = Scaffold.from_state(points, self.settings.model, self.views.device)


def _shape(
    model: AnimatableModel,
    theta: torch.Tensor | None,
    bones: torch.Tensor,
    harmonics: bool,
    settings: AnimatableSettings,
) -> tuple[torch.Tensor, ...]:
    """The posed Gaussians' tensors, the unevenness of the control points, the excess of scales: compiled, one pass."""
    canonical = model.canonical(theta, harmonics)
    cloud = model.posed(canonical, bones)
    neighbours = min(settings.model.smooth_neighbours, len(canonical.control_offsets))
    smooth = smoothness(canonical.control_offsets, model.scaffold.control_differences, neighbours)
    scale = scale_penalty(canonical.scales, settings.losses.scale_limit)
    return cloud.means, cloud.quats, cloud.scales, cloud.opacities, cloud.sh, smooth, scale


def _difference(rgb: torch.Tensor, *seen) -> torch.Tensor:
    """Mean L1 of rendering and photograph."""
    rendered, target = comparable(rgb, *seen)
    return (rendered - target).abs().mean()


def _sum(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(losses.values())).sum()
