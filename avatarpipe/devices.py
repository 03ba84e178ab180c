"""Which device a step runs on."""

import torch

from avatarpipe.errors import InputError


def chosen_device(name: str) -> torch.device:
    """The device called "auto" (CUDA where there is one), "cpu" or "cuda"; InputError where CUDA is asked for and absent."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("device cuda: torch sees no CUDA device here. Use --device cpu, or install a CUDA build of torch.")
    return torch.device(name)
