"""One training on several processes, each with a GPU of its own, started by torchrun or `accelerate launch`.

    torchrun --standalone --nproc-per-node 2 -m avatarpipe.steps.train_animatable ...

Each process renders its share of an iteration's cameras. Losses are weighted by that share and gradients added up where all
processes still have the same, so that all take the step that one process would have taken with all the cameras. The first
process alone reads and writes checkpoints.
"""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from avatarpipe.errors import InputError

_LAUNCHER = "WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"

Found = tuple[int, dict[str, torch.Tensor]] | None
"""A checkpoint: the iterations done, and the state after them."""


@dataclass(frozen=True)
class Team:
    """The processes of one training, and which of them this one is. ALONE, all of this is free."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def share(self, items: Sequence) -> tuple[list, float]:
        """This process' part of `items`, and how much of them it is. Where it would be nothing: the first item, as 0 of all."""
        own = list(items[self.rank :: self.size])
        return (own, len(own) / len(items)) if own else (list(items[:1]), 0.0)

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.size > 1:
            for work in [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]:
                work.wait()

    def shared(self, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """`tensors`, which are the same in all processes, so that their gradients will be the sums over the processes."""
        return tuple(tensors) if self.size == 1 else _Shared.apply(self, *tensors)

    def total(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The sums over the processes of numbers that each has of its own."""
        if self.size == 1:
            return values
        stacked = torch.stack([value.detach() for value in values.values()])
        self.add_up([stacked])
        return dict(zip(values, stacked.unbind(), strict=True))

    def from_the_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor by that of the first process."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), 0)

    def found_by_the_first(self, found: Found, device) -> Found:
        """The checkpoint that the first process has found, in all of them; what others give is not looked at."""
        if self.size == 1:
            return found
        told = [None]
        if self.leads and found is not None:
            shapes = {name: (value.shape, value.dtype) for name, value in found[1].items()}
            told = [(found[0], shapes)]
        distributed.broadcast_object_list(told, 0, device=torch.device(device))
        if told[0] is None:
            return None
        step, shapes = told[0]
        state = found[1] if self.leads else {
            name: torch.empty(shape, dtype=dtype, device=device) for name, (shape, dtype) in shapes.items()
        }  # fmt: skip
        self.from_the_first(state[name] for name in shapes)
        return step, state


class _Shared(torch.autograd.Function):
    """Hands tensors on, and back the sums of their gradients: one message for all of them."""

    @staticmethod
    def forward(ctx, team: Team, *tensors):
        ctx.team = team
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx, *gradients):
        message = torch.cat([gradient.reshape(-1) for gradient in gradients])
        ctx.team.add_up([message])
        parts = message.split([gradient.numel() for gradient in gradients])
        return None, *(part.view_as(own) for part, own in zip(parts, gradients, strict=True))


ALONE = Team()


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Team, torch.device]]:
    """The team that the launcher's environment variables speak of, and this process' own device; alone where they are not set.

    InputError where they are incomplete, or speak of more processes than there are GPUs. Where the block fails, the launcher
    ends the other processes.
    """
    size = _number("WORLD_SIZE", 1)
    if size == 1:
        yield ALONE, device
        return
    if missing := [name for name in _LAUNCHER if not os.environ.get(name)]:
        raise InputError(
            f"WORLD_SIZE is {size} but {', '.join(missing)} not set: torchrun or `accelerate launch` was expected to set them. "
            "Unset WORLD_SIZE to train with one process."
        )
    local = _number("LOCAL_RANK", 0)
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise InputError(
                f"process {local + 1} of this machine has no GPU: torch sees {torch.cuda.device_count()}. Start as many "
                "processes as there are GPUs (`animatable.gpus`)."
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    _end_with_parent()
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    team = Team(distributed.get_rank(), size)
    if not team.leads:  # what all have to say, the first says
        logging.getLogger().setLevel(logging.WARNING)
    yield team, device
    distributed.destroy_process_group()


def _end_with_parent() -> None:
    """Linux ends this process when the launcher is gone: what kill -9 does to that would leave the training behind."""
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "") or str(default)
    if not text.isdigit():
        raise InputError(f"{name}={text}: a number was expected, as torchrun sets it.")
    return int(text)
