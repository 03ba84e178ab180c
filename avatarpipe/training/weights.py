"""Weights of networks as others publish them, read as data only."""

from pathlib import Path

import torch
from torch import Tensor

from avatarpipe.errors import InputError


def load_state(path: Path, wanted: set[str]) -> dict[str, Tensor]:
    """Tensors of a PyTorch weight file, read without running any of its code."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{path}: not a readable PyTorch weight file ({error}). Fetch it again."
        ) from error
    if not isinstance(state, dict) or (missing := wanted - state.keys()):
        lacking = ", ".join(sorted(missing)[:3]) if isinstance(state, dict) else "a state_dict"
        raise InputError(
            f"{path}: lacks {lacking}. The published weights were expected; fetch it again."
        )
    return state
