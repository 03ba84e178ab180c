"""A stage that is quick, and whose state depends on every step taken: for tests of the loop and its checkpoints."""

import torch


class Walk:
    """A random walk that forgets where it was long ago."""

    def __init__(self):
        self.value = torch.zeros(3)

    def step(self, step: int) -> dict:
        generator = torch.Generator().manual_seed(step)
        self.value = 0.9 * self.value + torch.randn(3, generator=generator)
        return {"loss": self.value.sum()}

    def state(self) -> dict:
        return {"value": self.value}

    def restore(self, state: dict) -> None:
        self.value = state["value"]
