"""Random numbers as pure functions of seed, iteration and purpose, so that a resumed run draws what it would have drawn."""

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What numbers are drawn for: no two purposes share a stream."""

    POSE = 0
    VIEWS = 1
    TIMESTEPS = 2
    NOISE = 3
    BACKGROUND = 4


def numbers(seed: int, step: int, purpose: Purpose) -> np.random.Generator:
    """A generator on the CPU."""
    return np.random.default_rng([seed, step, purpose])


def device_numbers(seed: int, step: int, purpose: Purpose, device) -> torch.Generator:
    """A generator on `device`, so that what it draws need not be carried there."""
    words = np.random.SeedSequence([seed, step, purpose]).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def stratified(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) numbers in [0, 1), one in each of `count` equal shares, in random order."""
    return (rng.permutation(count) + rng.random(count)) / count
