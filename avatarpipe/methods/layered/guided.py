"""Guidance of a layered stage: the diffusion model that the settings name, asked about what the stage trains."""

import numpy as np
import torch

from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import Label
from avatarpipe.guidance.distillation import ScoreDistillation, StageGuidance
from avatarpipe.guidance.load import load_model
from avatarpipe.guidance.words import prompt_for
from avatarpipe.methods.layered.settings import StageSettings
from avatarpipe.methods.layered.stages import StageInputs


def is_guided(settings: StageSettings) -> bool:
    """Whether a diffusion model is named and its word counts."""
    return bool(settings.guidance.model) and settings.guidance_weight > 0


def stage_guidance(stage: str, inputs: StageInputs) -> ScoreDistillation | None:
    """The guidance of "single", "inner" or "outer"; None where the settings want none.

    single is judged by everything, inner by the body alone, outer by body and garment. InputError where weights are missing.
    """
    settings, how = inputs.settings, inputs.settings.guidance
    if not is_guided(settings):
        return None
    model = load_model(
        how.model, how.controlnet, how.vae, how.dtype, inputs.device, scale=how.guidance_scale,
        controlnet_scale=how.controlnet_scale, guess_mode=how.guess_mode, compiled=how.compiled,
    )  # fmt: skip
    if hasattr(model, "tone"):
        model.tone = skin_tone(inputs.capture).to(inputs.device)
    asked = StageGuidance(
        settings.guidance_weight, settings.iterations,
        prompt_for(stage, inputs.garment, inputs.capture.gender, settings.guidance_prompt),
        settings.guidance_negative, settings.guidance_from, settings.guidance_every,
        settings.guidance_views, settings.guidance_zooms,
    )  # fmt: skip
    captured = inputs.capture.poses[0].to(inputs.device)
    return ScoreDistillation(model, how, asked, inputs.body, captured, inputs.seed)


def skin_tone(capture: Capture) -> torch.Tensor:
    """(3,) mean sRGB of what the training views show of skin; mid-grey where they show none."""
    skin = capture.stack("train", "labels") == Label.SKIN
    if not skin.any():
        return torch.full((3,), 0.5)
    return torch.from_numpy(capture.stack("train", "images")[skin].mean(axis=0, dtype=np.float64)).float()
