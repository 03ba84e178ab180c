"""Guidance: a loss on what no camera saw. Score distillation from a diffusion model belongs here."""

from typing import Protocol

import torch

from avatarpipe.gaussians.cloud import GaussianCloud


class Guidance(Protocol):
    """One more term of a stage's loss, already weighted."""

    def loss(self, layer: GaussianCloud, frozen: GaussianCloud | None, step: int) -> torch.Tensor:
        """Scalar loss of the trained `layer` (canonical, differentiable) at iteration `step`; `frozen` is posed."""
        ...
