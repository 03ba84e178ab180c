"""The model that training starts from: grey ellipsoids on the template, as large as the gaps between them."""

import numpy as np
import torch

from avatarpipe.methods.animatable.mixing import nearest
from avatarpipe.methods.animatable.model import (
    HARMONICS,
    LOOKS,
    OPACITY,
    ROTATION,
    SCALE,
    AnimatableModel,
)
from avatarpipe.methods.animatable.networks import initial_networks
from avatarpipe.methods.animatable.scaffold import Scaffold, TemplatePoints
from avatarpipe.methods.animatable.settings import ModelSettings


def initial_model(
    sampled: TemplatePoints, weights: torch.Tensor, settings: ModelSettings, seed: int, device="cpu"
) -> AnimatableModel:
    """A model of N = len(sampled.points) Gaussians, the same for the same `seed` on every device.

    weights: (N, 55) skinning weights at the points. ValueError where they do not fit.
    """
    scaffold = Scaffold.build(
        sampled.points, sampled.controls, sampled.anchors, weights, settings, device
    )
    generator = torch.Generator().manual_seed(seed)
    parameters = (
        _neutral(sampled, settings)
        | _bases(sampled, settings, generator)
        | initial_networks(
            len(sampled.anchors),
            settings.widths,
            settings.bases + settings.control_bases,
            generator,
        )
    )
    parameters = {name: value.to(device) for name, value in parameters.items()}
    return AnimatableModel(scaffold, parameters, settings.shift_limit)


def _neutral(sampled: TemplatePoints, settings: ModelSettings) -> dict[str, torch.Tensor]:
    count = len(sampled.points)
    looks = torch.zeros(count, LOOKS)
    looks[:, SCALE] = torch.from_numpy(np.log(gaps(sampled.points))).float()[:, None]
    looks[:, ROTATION] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    looks[:, OPACITY] = torch.tensor(settings.opacity).logit()
    return {
        "looks": looks,
        "harmonics": torch.zeros(count, HARMONICS),
        "shifts": torch.zeros(count, 3),
        "controls": torch.zeros(len(sampled.controls), 3),
    }


def _bases(
    sampled: TemplatePoints, settings: ModelSettings, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Small random offsets, drawn once and the same everywhere, so that the start is smooth over the body."""

    def same_everywhere(count: int, bases: int, width: int) -> torch.Tensor:
        drawn = (2.0 * torch.rand(bases, width, generator=generator) - 1.0) * settings.basis_range
        return drawn.repeat(count, 1, 1)

    count, controls = len(sampled.points), len(sampled.controls)
    return {
        "look_bases": same_everywhere(count, settings.bases, LOOKS),
        "harmonic_bases": torch.zeros(count, settings.bases, HARMONICS),
        "control_bases": same_everywhere(controls, settings.control_bases, 3),
    }


def gaps(points: np.ndarray) -> np.ndarray:
    """(N,) root mean square distance to the three nearest other points, metres, at least a tenth of a millimetre."""
    distances, _ = nearest(points, points, 4)
    others = distances[:, 1:]
    rms = np.sqrt((others**2).mean(axis=1)) if others.size else np.full(len(points), 0.01)
    return np.maximum(rms, 1e-4)
