"""Stable Diffusion with a ControlNet, by diffusers, as a frozen judge of rendered people.

The weights never train: UNet and ControlNet run without gradients, only the encoder passes them on to the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avatarpipe.errors import InputError
from avatarpipe.guidance.weights import class_name, load_network, load_part
from avatarpipe.weight_files import weights_folder

PREDICTIONS = ("epsilon", "v_prediction")


@dataclass(frozen=True)
class Condition:
    """Of B views: text (2B, L, D), the negative half first; skeletons (B, 3, S, S)."""

    text: Tensor
    skeletons: Tensor


class StableDiffusion:
    """A DiffusionModel of any SD-1.5-class UNet, ControlNet and (tiny) VAE of diffusers.

    guess_mode: the skeleton speaks to the conditional branch only, so that the ControlNet runs on half the batch.
    read_prompts: (P, L, D) embeddings of P prompts, dropped with its text encoder once all prompts are read.
    """

    def __init__(
        self, unet, controlnet, vae, scheduler, read_prompts=None, *,
        scale: float = 12.0, controlnet_scale: float = 1.0, guess_mode: bool = True, compiled: bool = False,
    ):  # fmt: skip
        for network in (unet, controlnet, vae):
            network.requires_grad_(False).eval().to(memory_format=torch.channels_last)
        self.unet, self.controlnet, self.vae = unet, controlnet, vae
        self.scale, self.controlnet_scale, self.guess_mode = scale, controlnet_scale, guess_mode
        self.dtype, self.device = unet.dtype, unet.device
        self.factor = 2 ** (len(_encoder_widths(vae)) - 1)
        self.image_size = int(unet.config.sample_size) * self.factor
        self.alphas_cumprod = scheduler.alphas_cumprod.float().to(self.device)
        self.predicts_v = _prediction(scheduler) == "v_prediction"
        self.read_prompts, self.embeddings = read_prompts, {}
        if compiled:
            self.unet, self.controlnet = torch.compile(unet), torch.compile(controlnet)
            self.vae.encoder = torch.compile(vae.encoder)

    @torch.no_grad()
    def read(self, prompts: Sequence[str]) -> None:
        """Embed all prompts that `condition` will name, then drop the text encoder."""
        if self.read_prompts is not None:
            wanted = sorted(set(prompts))
            texts = self.read_prompts(wanted).to(self.device, self.dtype)
            self.embeddings = dict(zip(wanted, texts, strict=True))
            self.read_prompts = None

    def encode(self, images: Tensor) -> Tensor:
        """(B, 4, s, s) float32 latents of (B, S, S, 3) images; of a VAE's posterior, the mode."""
        inputs = (images.permute(0, 3, 1, 2) * 2.0 - 1.0).to(self.dtype, memory_format=torch.channels_last)
        code = self.vae.encode(inputs)
        latents = code.latents if hasattr(code, "latents") else code.latent_dist.mode()
        shift = getattr(self.vae.config, "shift_factor", None) or 0.0
        return (latents.float() - shift) * self.vae.config.scaling_factor

    @torch.no_grad()
    def condition(self, prompts: Sequence[str], skeletons: Tensor, negative: str) -> Condition:
        """The embeddings of prompts that were read, and the skeletons as the ControlNet takes them."""
        text = torch.stack([self.embeddings[p] for p in [negative] * len(prompts) + list(prompts)])
        drawn = skeletons.permute(0, 3, 1, 2).to(self.dtype, memory_format=torch.channels_last)
        return Condition(text, drawn)

    @torch.no_grad()
    def predict(self, noisy: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Guided noise e = e_negative + scale (e_prompt - e_negative) (Ho and Salimans 2022, as used by SD)."""
        latents = noisy.to(self.dtype, memory_format=torch.channels_last)
        down, middle = self._residuals(latents, t, condition)
        twice = {"sample": latents.repeat(2, 1, 1, 1), "timestep": t.repeat(2)}
        output = self.unet(
            **twice, encoder_hidden_states=condition.text, down_block_additional_residuals=down,
            mid_block_additional_residual=middle, return_dict=False,
        )[0]  # fmt: skip
        without, with_prompt = output.float().chunk(2)
        guided = without + self.scale * (with_prompt - without)
        return self._as_noise(guided, noisy, t) if self.predicts_v else guided

    def _residuals(self, latents: Tensor, t: Tensor, condition: Condition) -> tuple[tuple, Tensor]:
        """What the ControlNet adds to both halves of the UNet's batch; it sees the noisy latents that the UNet sees."""
        text, skeletons = condition.text, condition.skeletons
        if self.guess_mode:
            text = text[len(latents) :]
        else:
            latents, t, skeletons = latents.repeat(2, 1, 1, 1), t.repeat(2), skeletons.repeat(2, 1, 1, 1)
        down, middle = self.controlnet(
            latents, t, text, skeletons, self.controlnet_scale, guess_mode=self.guess_mode, return_dict=False
        )
        if self.guess_mode:
            down, middle = [_after_zeros(x) for x in down], _after_zeros(middle)
        return tuple(down), middle

    def _as_noise(self, velocity: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """Noise from v = sqrt(a) noise - sqrt(1 - a) x_0 (Salimans and Ho 2022, appendix D)."""
        signal = self.alphas_cumprod[t].reshape(-1, 1, 1, 1)
        return signal.sqrt() * velocity + (1.0 - signal).sqrt() * noisy


def _after_zeros(residual: Tensor) -> Tensor:
    """Nothing for the negative half, `residual` for the other."""
    return torch.cat([torch.zeros_like(residual), residual])


def _encoder_widths(vae) -> tuple:
    """One entry a resolution of the encoder, of AutoencoderKL or AutoencoderTiny."""
    config = vae.config
    return config.get("encoder_block_out_channels") or config["block_out_channels"]


def _prediction(scheduler) -> str:
    kind = scheduler.config.prediction_type
    if kind not in PREDICTIONS:
        raise InputError(f"the diffusion model predicts {kind!r}; guidance knows {', '.join(PREDICTIONS)}.")
    return kind


def load_stable_diffusion(
    model: str, controlnet: str, vae: str, dtype: torch.dtype, device, **options
) -> StableDiffusion:
    """The networks at a folder or hub id `model`, with a ControlNet, and a VAE of their own where `vae` is given.

    options: those of StableDiffusion. InputError names what is missing, or what does not fit together.
    """
    from diffusers import (
        AutoencoderKL,
        AutoencoderTiny,
        ControlNetModel,
        DDPMScheduler,
        UNet2DConditionModel,
    )

    for role, where in {"model": model, "controlnet": controlnet}.items():
        weights_folder(where, role)  # both, before gigabytes of one are read
    how = {"torch_dtype": dtype, "low_cpu_mem_usage": False}
    unet = load_network(UNet2DConditionModel, model, "model", "unet", **how)
    control = load_network(ControlNetModel, controlnet, "controlnet", **how)
    if vae:
        kind = AutoencoderTiny if class_name(vae, "vae") == "AutoencoderTiny" else AutoencoderKL
        autoencoder = load_network(kind, vae, "vae", **how)
    else:
        autoencoder = load_network(AutoencoderKL, model, "model", "vae", **how)
    if unet.config.cross_attention_dim != control.config.cross_attention_dim:
        raise InputError(f"{controlnet}: made for another model than {model}: their text embeddings differ in size.")
    scheduler = load_part(DDPMScheduler, model, "model", "scheduler")
    networks = (network.to(device) for network in (unet, control, autoencoder))
    return StableDiffusion(*networks, scheduler, _prompt_reader(model), **options)


def _prompt_reader(model: str):
    """A function from P prompts to their (P, L, D) embeddings by the model's CLIP, on the CPU in float32."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = load_part(CLIPTokenizer, model, "model", "tokenizer")
    encoder = load_network(CLIPTextModel, model, "model", "text_encoder").float().eval()

    def read(prompts: Sequence[str]) -> Tensor:
        tokens = tokenizer(
            list(prompts), padding="max_length", truncation=True,
            max_length=tokenizer.model_max_length, return_tensors="pt",
        )  # fmt: skip
        return encoder(tokens.input_ids)[0]

    return read
