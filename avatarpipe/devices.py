"""Which device a step runs on, and with how many threads beside it."""

import os

import numpy as np
import torch

from avatarpipe.errors import InputError
from avatarpipe.record import note_device


def chosen_device(name: str) -> torch.device:
    """The device called "auto" (CUDA where there is one), "cpu" or "cuda"; InputError where CUDA is asked for and absent."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("device cuda: torch sees no CUDA device here. Use --device cpu, or install a CUDA build of torch.")
    note_device(name)
    return torch.device(name)


def on_device(array: np.ndarray, device, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A small array on a device without waiting for what the device is still at."""
    tensor = torch.from_numpy(array).to(dtype)
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def usable_cores() -> int:
    """Threads that a job may keep busy: what Snakemake granted it (OMP_NUM_THREADS), else the cores it may run on."""
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return int(granted) if granted.isdigit() and int(granted) else len(os.sched_getaffinity(0))
