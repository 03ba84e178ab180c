"""The training of an animatable avatar: pose, render, compare, descend."""

import numpy as np
import torch

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.rgb import render_rgb
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.descent import Descent, camera_extent
from avatarpipe.methods.animatable.losses import (
    Perceptual,
    comparable,
    scale_penalty,
    smoothness,
    subject_squares,
)
from avatarpipe.methods.animatable.model import AnimatableModel, CanonicalGaussians
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.rig import BODY, Rig
from avatarpipe.methods.animatable.settings import AnimatableSettings
from avatarpipe.methods.animatable.views import FrameBatch, VideoViews
from avatarpipe.training.compilation import compiled


class AnimatableStage:
    """Trains `model` on the views of a video. All randomness comes from the seed and the iteration.

    perceptual: the distance that the perceptual term weighs; None leaves the term out.
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
        self.settings, self.seed, self.perceptual = settings, seed, perceptual
        self.descent = Descent(
            model.parameters, settings.rates, camera_extent(views.viewmats, settings.rates.extent)
        )
        poses = views.poses()
        self.bones = torch.stack([rig.bones(poses[k]) for k in range(len(poses))]).to(views.device)
        self.thetas = poses.full_pose[:, BODY].to(views.device)
        self._shaped_and_posed = compiled(_shaped_and_posed, views.device, settings.compiled)
        self._comparable = compiled(comparable, views.device, settings.compiled)

    def step(self, step: int) -> dict[str, torch.Tensor | float]:
        """Iteration `step` (from 0): one descent on some cameras of one frame."""
        settings = self.settings
        batch = self.views.batch(step, settings.cameras_per_step, self.seed)
        theta = self.thetas[batch.frame] if step >= settings.bases_from else None
        canonical, cloud = self._gaussians(theta, batch.frame, step >= settings.harmonics_from)
        rng = np.random.default_rng([self.seed, step])
        background = self._background(rng)
        rgb, _ = render_rgb(cloud, batch.cameras, background, settings.near)
        boundary = batch.boundary if settings.boundaries else None
        pair = self._comparable(rgb, batch.image, batch.alpha, boundary, background)
        losses = {"l1": (pair[0] - pair[1]).abs().mean()}
        losses |= self._regularisers(canonical) | self._perceptual(step, pair, batch, background)
        loss = torch.stack(list(losses.values())).sum()
        loss.backward()
        self.descent.step(step / settings.iterations)
        return {"loss": loss.detach(), **{name: value.detach() for name, value in losses.items()}}

    def _gaussians(
        self, theta: torch.Tensor | None, frame: int, harmonics: bool
    ) -> tuple[CanonicalGaussians, GaussianCloud]:
        """In the canonical pose and in that of the frame."""
        make = _shaped_and_posed if theta is None else self._shaped_and_posed
        canonical, posed = make(self.model, theta, self.bones[frame], harmonics)
        canonical = CanonicalGaussians(*canonical)
        means, quats, sh = posed
        cloud = GaussianCloud(
            means, quats, canonical.scales, canonical.opacities, sh=sh, kind="ellipsoid"
        )
        return canonical, cloud

    def _background(self, rng: np.random.Generator) -> torch.Tensor:
        """(3,) sRGB."""
        color = np.full(3, self.settings.background)
        if self.settings.random_background:
            color = rng.random(3)
        return torch.from_numpy(color).float().to(self.views.device)

    def _regularisers(self, canonical: CanonicalGaussians) -> dict[str, torch.Tensor]:
        weights = self.settings.losses
        neighbours = min(self.settings.model.smooth_neighbours, len(canonical.control_offsets))
        differences = self.model.scaffold.control_differences
        return {
            "smooth": weights.smooth_weight
            * smoothness(canonical.control_offsets, differences, neighbours),
            "scale": weights.scale_weight * scale_penalty(canonical.scales, weights.scale_limit),
        }

    def _perceptual(
        self, step: int, pair: tuple, batch: FrameBatch, background: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        weights = self.settings.losses
        if (
            self.perceptual is None
            or not weights.perceptual_weight
            or step < weights.perceptual_from
        ):
            return {}
        squares = []
        for image in pair:
            generator = None
            if step >= weights.patches_from:  # of both images the same window
                generator = torch.Generator().manual_seed(self.seed + step)
            squares.append(
                subject_squares(image, batch.boxes, weights.perceptual_size, background, generator)
            )
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
        """Everything `restore` needs to go on as if never stopped."""
        return self.descent.state()

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over the state of a checkpoint."""
        self.descent.restore(state)


def _shaped_and_posed(
    model: AnimatableModel, theta: torch.Tensor | None, bones: torch.Tensor, harmonics: bool
) -> tuple[tuple, tuple]:
    """All tensors of the canonical Gaussians, and means, quats and SH of the posed ones: what is compiled as one."""
    canonical = model.canonical(theta, harmonics)
    cloud = model.posed(canonical, bones)
    parts = canonical.means, canonical.quats, canonical.scales, canonical.opacities
    return (*parts, canonical.sh, canonical.control_offsets), (cloud.means, cloud.quats, cloud.sh)
