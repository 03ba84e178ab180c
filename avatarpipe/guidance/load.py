"""A diffusion model from where its weights lie: a folder of diffusers, a folder of our own prior, or the hub's cache."""

from pathlib import Path

import torch

from avatarpipe.errors import InputError
from avatarpipe.guidance.model import DiffusionModel
from avatarpipe.weight_files import PRIOR_MANIFEST

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def load_model(
    model: str,
    controlnet: str,
    vae: str,
    dtype: str,
    device: torch.device,
    *,
    scale: float = 12.0,
    controlnet_scale: float = 1.0,
    guess_mode: bool = True,
    compiled: bool = False,
) -> DiffusionModel:
    """The model at `model`, a folder or a hub id; nothing is ever downloaded.

    A folder with prior.json holds a prior of our own, which needs neither controlnet nor vae; anything else is a Stable
    Diffusion in the layout of diffusers. dtype: bf16, fp16 or fp32. scale: of classifier-free guidance. InputError
    names what is missing and how to get it.
    """
    if dtype not in DTYPES:
        raise InputError(f"guidance dtype {dtype!r}: expected one of {', '.join(DTYPES)}.")
    if (Path(model) / PRIOR_MANIFEST).is_file():
        from avatarpipe.guidance.prior_model import load_prior

        return load_prior(Path(model), DTYPES[dtype], device, scale=scale, compiled=compiled)
    from avatarpipe.guidance.stable_diffusion import load_stable_diffusion

    return load_stable_diffusion(
        model, controlnet, vae, DTYPES[dtype], device,
        scale=scale, controlnet_scale=controlnet_scale, guess_mode=guess_mode, compiled=compiled,
    )  # fmt: skip
