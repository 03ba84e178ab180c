"""What guidance asks of a diffusion model, whatever network stands behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class Seen:
    """What of B views is certain: renderings of what cameras saw of the subject.

    A model whose `takes_seen` is true lets `condition` be given it as `seen`.
    """

    colors: torch.Tensor
    """(B, S, S, 3) sRGB times certainty, on black."""
    certainty: torch.Tensor
    """(B, S, S, 1) in [0, 1]; 0 in the background."""
    backgrounds: torch.Tensor
    """(B, 3) what the images lie on."""


class DiffusionModel(Protocol):
    """A frozen denoiser of images of people, conditioned on words and on a drawn skeleton.

    Latents are whatever the denoiser works on: a VAE's code, or the pixels themselves. With a_t the product of the
    first t signal levels, x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise.
    """

    image_size: int
    """Side in pixels of the square images that `encode` and `condition` take."""
    alphas_cumprod: torch.Tensor
    """(T,) a_t of every training timestep, float32, on the model's device."""

    def read(self, prompts: Sequence[str]) -> None:
        """Take note of all prompts, negative ones too, that `condition` will name: text encoders run here, then go."""
        ...

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(B, ...) float32 latents of (B, S, S, 3) sRGB images in [0, 1]; differentiable, and nothing else here is."""
        ...

    def condition(self, prompts: Sequence[str], skeletons: torch.Tensor, negative: str) -> Any:
        """What `predict` needs to know of B views.

        prompts: one a view, ending in its view words (`guidance.words`). skeletons: (B, S, S, 3) in [0, 1], on black
        (`guidance.skeleton`). negative: what no view should show; may be empty.
        """
        ...

    def predict(self, noisy: torch.Tensor, t: torch.Tensor, condition: Any) -> torch.Tensor:
        """(B, ...) float32 noise believed in the latents `noisy` at timesteps t (B,) int64, classifier-free guided."""
        ...
