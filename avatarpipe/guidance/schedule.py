"""How noisy the images are that the diffusion model judges, and what its judgement weighs."""

from typing import Literal

import numpy as np
import torch

Weighting = Literal["published", "variance", "uniform"]
TimestepSchedule = Literal["uniform", "annealed"]


def timestep_range(
    timesteps: tuple[float, float], schedule: TimestepSchedule, annealed_to: float, progress: float
) -> tuple[float, float]:
    """Lowest and highest timestep, as shares of all, at `progress` in [0, 1] of the training.

    uniform: `timesteps` throughout. annealed: the upper end falls to `annealed_to` as the square root of the progress
    (HiFA, Zhu et al. 2024), so that shape is settled first and detail last.
    """
    lowest, highest = timesteps
    if schedule == "annealed":
        highest -= (highest - max(annealed_to, lowest)) * float(np.sqrt(progress))
    return lowest, highest


def timesteps_of(shares: np.ndarray, low_high: tuple[float, float], total: int) -> np.ndarray:
    """(B,) int64 timesteps of `total`, from numbers in [0, 1)."""
    lowest, highest = low_high
    drawn = np.floor((lowest + (highest - lowest) * shares) * total).astype(np.int64)
    return np.clip(drawn, 0, total - 1)


def gradient_weight(weighting: Weighting, alphas: torch.Tensor) -> torch.Tensor:
    """w(t) of signal levels a_t (any shape).

    published: sqrt(a) (1 - a), as HumanGaussian and LayerGS have it. variance: 1 - a (DreamFusion). uniform: 1.
    """
    if weighting == "published":
        return alphas.sqrt() * (1.0 - alphas)
    return 1.0 - alphas if weighting == "variance" else torch.ones_like(alphas)
