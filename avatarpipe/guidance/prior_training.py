"""Training a prior of our own: one step of denoising, a running mean of the weights, and what a restart needs."""

import math
from dataclasses import dataclass

import torch
from diffusers import UNet2DModel
from torch.nn.functional import mse_loss

from avatarpipe.guidance.prior_data import PriorImages
from avatarpipe.guidance.prior_model import (
    BACKGROUND,
    SEEN,
    TIMESTEPS,
    TONE,
    PriorCondition,
    denoise,
    make_unet,
    planes,
    schedule,
    to_latents,
)


@dataclass(frozen=True)
class PriorSettings:
    """What a prior is trained with."""

    size: int = 64
    """Side of the images in pixels."""
    channels: tuple[int, ...] = (64, 128, 192, 256)
    """Of the network, a number a level; each level halves the resolution."""
    iterations: int = 3000
    batch: int = 128
    learning_rate: float = 5e-4
    warmup: int = 200
    """Iterations until the learning rate is reached; from there it falls as a cosine to a hundredth."""
    average: float = 0.999
    """Share of the running mean of the weights that an iteration keeps."""
    drop_everything: float = 0.1
    """Share of images that are denoised without any condition: classifier-free guidance needs it."""
    drop_seen: float = 0.4
    """Share of images of whose colours nothing is said but the skin's tone."""
    drop_tone: float = 0.2
    """Share of images whose skin's tone is not told, and of those whose background is not."""
    checkpoint_every: int = 500


class PriorStage:
    """Trains the network on images; a Stage of training.loop.

    Everything random of iteration i is drawn from seed + i, so a restart draws the same.
    """

    def __init__(
        self, images: PriorImages, settings: PriorSettings, seed: int, device: torch.device
    ):
        self.images, self.settings, self.seed, self.device = images, settings, seed, device
        torch.manual_seed(seed)
        self.unet = make_unet(settings.size, settings.channels).to(device)
        if device.type == "cuda":
            self.unet = self.unet.to(memory_format=torch.channels_last)
        self.average = [p.detach().clone() for p in self.unet.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.unet.parameters(),
            settings.learning_rate,
            weight_decay=0.01,
            fused=device.type == "cuda",
        )
        self.levels = schedule().alphas_cumprod.float().to(device)

    def step(self, step: int) -> dict[str, torch.Tensor | float]:
        """Iteration `step`: the squared error of the velocity on a batch, one descent."""
        generator = torch.Generator(self.device).manual_seed(self.seed * 1_000_003 + step)
        self.unet.train()
        rate = self._rate(step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = self._loss(generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimiser.step()
        keep = min(self.settings.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.unet.parameters()], 1.0 - keep)
        return {"loss": loss.detach(), "learning_rate": rate}

    def _rate(self, step: int) -> float:
        settings = self.settings
        rising = min(1.0, (step + 1) / max(settings.warmup, 1))
        falling = 0.5 * (1.0 + math.cos(math.pi * step / settings.iterations))
        return settings.learning_rate * rising * (0.01 + 0.99 * falling)

    def _loss(self, generator: torch.Generator) -> torch.Tensor:
        count = self.settings.batch
        batch = self.images.batch(count, generator)
        condition = PriorCondition(batch.classes, planes(batch.skeletons, batch.seen, batch.tones))
        condition = self._with_drops(condition, generator)
        image = to_latents(batch.images)
        t = torch.randint(0, TIMESTEPS, (count,), generator=generator, device=self.device)
        noise = torch.randn(image.shape, generator=generator, device=self.device)
        signal, spread = (
            x.sqrt().view(-1, 1, 1, 1) for x in (self.levels[t], 1.0 - self.levels[t])
        )
        noisy, wanted = signal * image + spread * noise, signal * noise - spread * image
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            answer = denoise(self.unet, noisy, t, condition)
        return mse_loss(answer.float(), wanted)

    def _with_drops(self, condition: PriorCondition, generator: torch.Generator) -> PriorCondition:
        settings, count = self.settings, len(condition.classes)
        draws = torch.rand(4, count, generator=generator, device=self.device)
        condition = condition.without(draws[0] < settings.drop_seen, SEEN)
        condition = condition.without(draws[1] < settings.drop_tone, TONE)
        condition = condition.without(draws[2] < settings.drop_tone, BACKGROUND)
        return condition.nothing(draws[3] < settings.drop_everything)

    def state(self) -> dict[str, torch.Tensor]:
        """Weights, their running mean and Adam's moments."""
        state = {}
        for k, (parameter, average) in enumerate(
            zip(self.unet.parameters(), self.average, strict=True)
        ):
            state |= {f"{k}.weight": parameter, f"{k}.average": average}
            state |= {
                f"{k}.adam.{name}": value for name, value in self.optimiser.state[parameter].items()
            }
        return state

    @torch.no_grad()
    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over the state of a checkpoint."""
        for k, (parameter, average) in enumerate(
            zip(self.unet.parameters(), self.average, strict=True)
        ):
            parameter.copy_(state[f"{k}.weight"])
            average.copy_(state[f"{k}.average"])
            moments = {n: state[f"{k}.adam.{n}"].clone() for n in ("step", "exp_avg", "exp_avg_sq")}
            if parameter.is_contiguous(memory_format=torch.channels_last):
                moments = {n: _like(v, parameter) for n, v in moments.items()}
            self.optimiser.state[parameter] = moments

    @torch.no_grad()
    def result(self) -> UNet2DModel:
        """A copy of the network with the running mean of the weights."""
        unet = make_unet(self.settings.size, self.settings.channels).to(self.device)
        for parameter, average in zip(unet.parameters(), self.average, strict=True):
            parameter.copy_(average)
        return unet


def _like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """`value` in the memory layout of `parameter`, where it has as many dimensions."""
    return (
        value.to(memory_format=torch.channels_last)
        if value.dim() == parameter.dim() == 4
        else value
    )
