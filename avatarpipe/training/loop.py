"""The training loop: iterate, log, checkpoint; killed at any moment, it goes on from the last checkpoint."""

import contextlib
import math
import signal
import time
from collections.abc import Callable
from typing import Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from avatarpipe.errors import InputError
from avatarpipe.terminal import bar_console
from avatarpipe.training.checkpoint import Checkpoints
from avatarpipe.training.curves import Curves
from avatarpipe.training.distributed import ALONE, Team
from avatarpipe.training.stopping import stop_noted

_PRINT_EVERY_S = 15.0


class Stage(Protocol):
    """One training: `step` advances it, `state` and `restore` carry it over a restart without loss."""

    def step(self, step: int) -> dict[str, torch.Tensor | float]: ...
    def state(self) -> dict[str, torch.Tensor]: ...
    def restore(self, state: dict[str, torch.Tensor]) -> None: ...


def train(
    stage: Stage,
    iterations: int,
    checkpoints: Checkpoints,
    label: str,
    device,
    checkpoint_every: int = 500,
    log_every: int = 20,
    after_checkpoint: Callable[[int], None] | None = None,
    team: Team = ALONE,
) -> Curves:
    """Run `stage` to `iterations`, from the newest checkpoint where there is one; returns the curves.

    step(i) is called for i = 0 .. iterations - 1. Checkpoints stay on disk: clear them once the result is written.
    after_checkpoint: called with the number of iterations done whenever one is on disk. team: the processes that train
    together; the first alone reads and writes checkpoints. SystemExit where a signal asked for the end: the iteration that
    was under way is then the newest checkpoint. InputError where a loss or the state is no number any more, which no
    checkpoint ever holds.
    """
    curves_file = checkpoints.folder / "curves.parquet"
    start, curves = 0, Curves()
    found = team.found_by_the_first(checkpoints.newest(device) if team.leads else None, device)
    if found is not None:
        start, state = found
        stage.restore(state)
        curves = Curves.resumed(curves_file, start)
    with _Display(label, iterations, start, team.leads) as display, stop_noted(team.leads) as stop:
        for step in range(start, iterations):
            values = stage.step(step)
            done = step + 1
            if done % log_every == 0 or done == iterations:
                curves.add(done, values)
            told_to_end = stop.signal is not None
            if team.leads and (told_to_end or done % checkpoint_every == 0 or done == iterations):
                state = stage.state()
                _refuse_runaway(state, values, label, done)
                if told_to_end or done < iterations:
                    curves.save(curves_file)
                    checkpoints.save(done, state)
                if told_to_end:
                    display.stopped(done, stop.signal)
                    raise SystemExit(stop.status)
                if after_checkpoint is not None and done < iterations:
                    after_checkpoint(done)
            display.advance(done, values)
    return curves


def _refuse_runaway(state: dict[str, torch.Tensor], values: dict, label: str, done: int) -> None:
    """InputError where what `done` iterations have led to is no number."""
    values = {name: float(torch.as_tensor(value).detach()) for name, value in values.items()}
    losses = [name for name, value in values.items() if not math.isfinite(value)]
    if losses or any(tensor.isnan().any() for tensor in state.values()):
        told = f"the losses {', '.join(losses)} are" if losses else "some parameters are"
        raise InputError(
            f"{label}: after {done} iterations {told} no numbers any more: the training has run away. Run it again: it goes on "
            "from its last checkpoint. Where it ends here again, lower the method's step sizes (`rates` in its settings)."
        )


class _Display:
    """A progress bar on the terminal, a line every few seconds in a log; nothing where it is not shown."""

    def __init__(self, label: str, total: int, start: int, shown: bool):
        self.console = Console(stderr=True, quiet=not shown)
        self.label, self.total, self.start = label, total, start
        self.began = self.printed = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        terminal = bar_console() if shown else None
        self.bar = Progress(*columns, console=terminal, disable=terminal is None, transient=True)

    def __enter__(self) -> "_Display":
        if self.start:
            self._say(f"resumed after iteration {self.start}")
        self.bar.start()
        self.task = self.bar.add_task(self.label, total=self.total, completed=self.start)
        return self

    def __exit__(self, *_) -> None:
        self.bar.stop()

    def stopped(self, done: int, number: int) -> None:
        name = signal.Signals(number).name
        self._say(
            f"ended by {name} after iteration {done}, which is saved; run again to go on from there"
        )

    def advance(self, done: int, values: dict) -> None:
        self.bar.update(self.task, completed=done)
        now = time.monotonic()
        if not self.console.is_terminal and (
            now - self.printed > _PRINT_EVERY_S or done == self.total
        ):
            self.printed = now
            rate = (done - self.start) / max(now - self.began, 1e-9)
            loss = float(values["loss"])
            self._say(f"{done}/{self.total} iterations, {rate:.1f} it/s, loss {loss:.4f}")

    def _say(self, text: str) -> None:
        """A line, if anybody still reads it: what nobody reads, or has no room on the disk, ends no training."""
        with contextlib.suppress(OSError, SystemExit):  # rich makes SystemExit of a broken pipe
            self.console.print(f"{self.label}: {text}", highlight=False, soft_wrap=True)
