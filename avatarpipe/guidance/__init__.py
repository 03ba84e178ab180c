"""Guidance: a loss on what no camera saw, by score distillation from a diffusion model."""

from dataclasses import dataclass
from typing import Protocol

import torch

from avatarpipe.gaussians.render import Rendering
from avatarpipe.skinned_avatar import SkinnedLayer


@dataclass(frozen=True)
class GuidanceTerm:
    """One more term of a stage's loss, already weighted, and the rendering that its gradient went through.

    The trained Gaussians are the last of the rendering's, for the statistics of density control.
    """

    loss: torch.Tensor
    rendering: Rendering


class Guidance(Protocol):
    """Judges a trained layer by how it looks."""

    def loss(self, layer: SkinnedLayer, frozen: SkinnedLayer | None, step: int) -> GuidanceTerm | None:
        """The term at iteration `step`, None where none is due.

        layer: the trained one, canonical and differentiable. frozen: the one shown with it, if any. Everything drawn at
        random is a function of the seed and `step`.
        """
        ...
