"""A small diffusion prior in pixel space, used like a Stable Diffusion: `load_prior` gives a DiffusionModel.

The network is a UNet2DModel of diffusers. Beside the noisy image it sees, as further channels, the drawn skeleton, what is
known of the picture with how well it is known, and the tone of the subject's visible skin; the words are a class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DModel

from avatarpipe.errors import InputError
from avatarpipe.files import read_json, write_json
from avatarpipe.guidance.model import Seen
from avatarpipe.guidance.prior_words import CLASSES, NOTHING, prompt_classes

MANIFEST = "prior.json"
FORMAT_VERSION = 1
TIMESTEPS = 1000
SKELETON, SEEN, TONE, BACKGROUND = slice(0, 3), slice(3, 7), slice(7, 10), slice(10, 13)
PLANES = 13
_HINT = "Train it with `snakemake --cores all results/prior/prior.json`, or name another model in guidance.model."


@dataclass
class PriorCondition:
    """What is known of B images besides themselves."""

    classes: torch.Tensor
    """(B,) int64, see prior_words."""
    planes: torch.Tensor
    """(B, PLANES, S, S): skeleton; seen colours times certainty, certainty; skin tone; background, black where untold."""

    def to(self, *args) -> "PriorCondition":
        """The planes in another type or on another device; the classes follow to the device."""
        planes = self.planes.to(*args)
        return PriorCondition(self.classes.to(planes.device), planes)

    def without(self, which: torch.Tensor, part: slice) -> "PriorCondition":
        """Without the channels `part` of the planes where `which` (B,) is true."""
        planes = self.planes.clone()
        planes[:, part] *= ~which[:, None, None, None]  # an index would make the host wait for a GPU
        return PriorCondition(self.classes, planes)

    def nothing(self, which: torch.Tensor) -> "PriorCondition":
        """Without anything where `which` (B,) is true."""
        classes = torch.where(which, NOTHING, self.classes)
        return PriorCondition(classes, torch.where(which[:, None, None, None], 0.0, self.planes))


def schedule() -> DDIMScheduler:
    """The noise of each timestep (cosine, Nichol and Dhariwal 2021); the network predicts the velocity."""
    return DDIMScheduler(
        TIMESTEPS, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction",
        clip_sample=True, set_alpha_to_one=True, timestep_spacing="trailing",
    )  # fmt: skip


def make_unet(size: int, channels: Sequence[int]) -> UNet2DModel:
    """An untrained network for images of `size` pixels; one level a number of `channels`, attention on the last."""
    levels = len(channels)
    if size % 2 ** (levels - 1):
        raise InputError(
            f"prior.size {size}: {levels} levels need a multiple of {2 ** (levels - 1)}."
        )
    return UNet2DModel(
        sample_size=size, in_channels=3 + PLANES, out_channels=3, layers_per_block=2,
        block_out_channels=tuple(channels), num_class_embeds=CLASSES + 1,
        down_block_types=("DownBlock2D",) * (levels - 1) + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
        norm_num_groups=min(32, min(channels) // 2), attention_head_dim=min(32, channels[-1]),
    )  # fmt: skip


class Prior:
    """A frozen prior as guidance uses it: the protocol of guidance.model.DiffusionModel.

    scale: of classifier-free guidance; 1 runs the network once. tone: (3,) mean colour of the subject's visible skin,
    None while nobody has said.
    """

    takes_seen = True
    """`condition` can be told what the cameras saw, see guidance.model.Seen."""

    def __init__(self, unet: UNet2DModel, scale: float = 1.0):
        self.unet = unet.eval().requires_grad_(False)
        self.image_size, self.dtype = int(unet.config.sample_size), unet.dtype
        self.scale = scale
        self.alphas_cumprod = schedule().alphas_cumprod.float().to(unet.device)
        self.tone: torch.Tensor | None = None

    @property
    def device(self) -> torch.device:
        return self.alphas_cumprod.device

    def read(self, prompts: Sequence[str]) -> None:
        """Nothing: classes need no text encoder."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) in [-1, 1] of (B, S, S, 3) images in [0, 1]."""
        return to_latents(images)

    def condition(
        self,
        prompts: Sequence[str],
        skeletons: torch.Tensor,
        negative: str,
        seen: Seen | None = None,
    ) -> PriorCondition:
        """prompts, skeletons: as the protocol has them; negative is not understood. seen: what is certain already."""
        classes = prompt_classes(prompts, self.device)
        return PriorCondition(classes, planes(skeletons.to(self.device), seen, self.tone)).to(
            self.dtype
        )

    @torch.no_grad()
    def predict(
        self, noisy: torch.Tensor, t: torch.Tensor, condition: PriorCondition
    ) -> torch.Tensor:
        """(B, 3, S, S) float32 noise in `noisy` (B, 3, S, S) at timesteps t (B,)."""
        level = self.alphas_cumprod[t].view(-1, 1, 1, 1)
        return (
            level.sqrt() * self.velocity(noisy, t, condition) + (1.0 - level).sqrt() * noisy.float()
        )

    @torch.no_grad()
    def velocity(
        self, noisy: torch.Tensor, t: torch.Tensor, condition: PriorCondition
    ) -> torch.Tensor:
        """(B, 3, S, S) float32 sqrt(a) noise - sqrt(1 - a) image, guided (Salimans and Ho 2022)."""
        if self.scale == 1.0:
            return denoise(self.unet, noisy.to(self.dtype), t, condition).float()
        every = torch.ones(len(t), dtype=torch.bool, device=t.device)
        nothing = condition.nothing(every)
        both = PriorCondition(
            *(torch.cat(pair) for pair in zip(_parts(condition), _parts(nothing), strict=True))
        )
        answer = denoise(
            self.unet, noisy.to(self.dtype).repeat(2, 1, 1, 1), t.repeat(2), both
        ).float()
        with_it, without = answer.chunk(2)
        return without + self.scale * (with_it - without)


def _parts(condition: PriorCondition) -> tuple[torch.Tensor, torch.Tensor]:
    return condition.classes, condition.planes


def denoise(
    unet: UNet2DModel, noisy: torch.Tensor, t: torch.Tensor, condition: PriorCondition
) -> torch.Tensor:
    """(B, 3, S, S) the network's answer."""
    return unet(
        torch.cat([noisy, condition.planes.to(noisy)], dim=1), t, class_labels=condition.classes
    ).sample


def to_latents(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, S, S) in [-1, 1] of (B, S, S, 3) in [0, 1]."""
    return 2.0 * images.permute(0, 3, 1, 2) - 1.0


def to_images(latents: torch.Tensor) -> torch.Tensor:
    """(B, S, S, 3) in [0, 1] of (B, 3, S, S) in [-1, 1]."""
    return (0.5 * latents.float() + 0.5).clamp(0.0, 1.0).permute(0, 2, 3, 1)


def planes(skeletons: torch.Tensor, seen: Seen | None, tones: torch.Tensor | None) -> torch.Tensor:
    """(B, PLANES, S, S) of skeletons (B, S, S, 3), what was seen, and tones (3,) or (B, 3); None where unknown."""
    count, size = skeletons.shape[:2]
    filled = skeletons.new_zeros(count, PLANES, size, size, dtype=torch.float32)
    filled[:, SKELETON] = skeletons.permute(0, 3, 1, 2)
    if seen is not None:
        filled[:, SEEN] = torch.cat([seen.colors, seen.certainty], dim=-1).permute(0, 3, 1, 2)
        filled[:, BACKGROUND] = seen.backgrounds[:, :, None, None]
    if tones is not None:
        filled[:, TONE] = tones.to(filled).expand(count, 3)[:, :, None, None]
    return filled


@torch.no_grad()
def sample(
    prior: Prior, condition: PriorCondition, steps: int, generator: torch.Generator
) -> torch.Tensor:
    """(B, S, S, 3) images drawn from the prior by DDIM (Song et al. 2021) in `steps` steps; generator on the CPU."""
    scheduler, count = schedule(), len(condition.classes)
    scheduler.set_timesteps(steps, prior.device)
    size = prior.image_size
    x = torch.randn(count, 3, size, size, generator=generator).to(prior.device)
    for t in scheduler.timesteps:
        x = scheduler.step(prior.velocity(x, t.expand(count), condition), t, x).prev_sample
    return to_images(x)


def save_prior(folder: Path, unet: UNet2DModel, made_by: dict) -> None:
    """Write the network in the format of diffusers to `folder`/unet, then prior.json."""
    unet.save_pretrained(folder / "unet", safe_serialization=True)
    manifest = {
        "format_version": FORMAT_VERSION, "image_size": int(unet.config.sample_size), "unet": "unet",
        "prediction": "v", "timesteps": TIMESTEPS, "noise": "squaredcos_cap_v2",
    }  # fmt: skip
    write_json(folder / MANIFEST, manifest | made_by)


def load_prior(folder: Path, dtype, device, *, scale: float = 1.0, compiled: bool = False) -> Prior:
    """The prior in `folder`. InputError where its parts are missing, broken or of another version."""
    manifest = read_json(folder / MANIFEST)
    if manifest.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{folder / MANIFEST}: format version {manifest.get('format_version')}, not {FORMAT_VERSION}. {_HINT}"
        )
    try:
        unet = UNet2DModel.from_pretrained(
            folder / manifest["unet"], torch_dtype=dtype, use_safetensors=True, local_files_only=True,
            low_cpu_mem_usage=False,
        )  # fmt: skip
    except Exception as error:  # diffusers, safetensors and the system each have their own
        raise InputError(f"{folder / 'unet'}: not a prior's network ({error}). {_HINT}") from error
    if unet.config.in_channels != 3 + PLANES or unet.config.num_class_embeds != CLASSES + 1:
        raise InputError(
            f"{folder / 'unet'}: a network with other inputs than a prior has. {_HINT}"
        )
    prior = Prior(unet.to(device), scale)
    if compiled:
        prior.unet = torch.compile(prior.unet)
    return prior
