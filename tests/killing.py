"""Trainings as processes of their own, killed where nobody expects it."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def train_and_kill(module: str, options: list[str], checkpoints: Path, every: int, iterations: int, rng: random.Random) -> None:
    """Start a training step and kill -9 it up to one and a half checkpoints after one of them, well before its end.

    every: iterations from one checkpoint to the next.
    """
    process = subprocess.Popen([sys.executable, "-m", module, *options], stderr=subprocess.PIPE)
    count = rng.randint(3, max(iterations // every - 4, 3))
    began = wait_for(checkpoints / f"{every:08d}", process)
    pace = (wait_for(checkpoints / f"{every * count:08d}", process) - began) / (count - 1)
    time.sleep(rng.uniform(0.0, 1.5) * pace)
    process.kill()
    said = process.communicate()[1].decode()
    assert process.returncode == -9, said


def train_and_stop(command: list[str], checkpoints: Path, first: int, rng: random.Random, after: float) -> int:
    """Start a training, tell it to end up to `after` seconds after its first checkpoint; the iteration that it saved.

    first: the iteration of its first checkpoint.
    """
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(checkpoints / f"{first:08d}", process)
    time.sleep(rng.uniform(0.0, after))
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode in (143, 1), said  # torchrun says 1
    (line,) = [line for line in said.splitlines() if "ended by SIGTERM after iteration " in line]
    saved = max(int(path.name) for path in checkpoints.glob("[0-9]*"))
    assert f"after iteration {saved}, which is saved" in line
    return saved


def wait_for(folder: Path, process: subprocess.Popen, seconds: float = 120) -> float:
    """The time at which `folder` is there; that at which waiting makes no more sense where the process has ended."""
    deadline = time.monotonic() + seconds
    while not folder.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    return time.monotonic()
