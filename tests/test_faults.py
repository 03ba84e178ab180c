"""Faults of the machine: a full disk leaves nothing that looks whole, and each fault says what it is and what to do."""

import errno
import gc
import os
import resource
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from avatarpipe.faults import explained
from avatarpipe.files import write_json
from avatarpipe.images import write_image, write_labels
from avatarpipe.tables import write_table
from avatarpipe.training.checkpoint import Checkpoints

ROOT = Path(__file__).parents[1]
NOISE = np.random.default_rng(0).random((64, 64, 3))

WRITERS = {
    "image": lambda path: write_image(path / "a.png", NOISE),
    "small image": lambda path: write_labels(path / "a.png", np.zeros((20, 20), np.uint8)),
    "table": lambda path: write_table(pd.DataFrame({"x": NOISE.ravel()}), path / "a.parquet"),
    "json": lambda path: write_json(path / "a.json", {"x": NOISE.ravel().tolist()}),
    "checkpoint": lambda path: Checkpoints(path, {}).save(1, {"x": torch.from_numpy(NOISE)}),
}


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory):
    """A file system with no free block."""
    folder = tmp_path_factory.mktemp("full")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        with (folder / "filling").open("wb", buffering=0) as stream, pytest.raises(OSError):
            while True:
                stream.write(bytes(4096))
        yield folder
    finally:
        gc.collect()  # closes the lock that a checkpoint holds
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_fails_every_writer_and_leaves_nothing(full_disk, kind):
    with pytest.raises(Exception) as caught:
        WRITERS[kind](full_disk)
    assert "the disk is full" in explained(caught.value)
    left = {path.name for path in full_disk.rglob("*") if path.is_file()} - {"filling", ".lock"}
    assert left == set()


@pytest.mark.parametrize("kind", WRITERS)
def test_a_quota_fails_every_writer_and_leaves_nothing(tmp_path, kind):
    """The same without the right to mount: no file may grow beyond a few bytes."""
    child = os.fork()
    if child == 0:
        _exit_with(lambda: WRITERS[kind](tmp_path))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {".lock"}


def _exit_with(work) -> None:
    """End this process: 0 where `work` fails for want of room."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (48, 48))
    try:
        work()
    except Exception as error:
        os._exit(0 if "the disk is full" in (explained(error) or "") else 3)
    os._exit(4)


def test_no_writer_is_used_that_hides_a_full_disk():
    """numpy's tofile and cv2.imwrite raise nothing where the last block finds no room."""
    files = (ROOT / "avatarpipe").rglob("*.py")
    assert [
        str(file)
        for file in files
        if any(call in file.read_text() for call in (".tofile(", "cv2.imwrite("))
    ] == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError("Unable to allocate 8 GiB"), "no memory left (Unable to allocate 8 GiB)"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "no GPU memory left"),
        (BrokenProcessPool("terminated abruptly"), "a worker process was killed"),
        (OSError(errno.ENOSPC, "No space left on device", "x.png"), "'x.png'). Nothing half-written"),
        (OSError(errno.ESTALE, "Stale file handle"), "the disk or file system failed"),
        (PermissionError(errno.EACCES, "Permission denied", "x.png"), "no right to read or write here"),
        (OSError(errno.EMFILE, "Too many open files", "x.png"), "too many files are open"),
        (RuntimeError("I/O error: Input/output error (os error 5)"), "the disk or file system failed"),
        (torch.AcceleratorError("CUDA error: unspecified launch failure\nCompile"), "the GPU failed or is gone"),
        (RuntimeError("CUDA error: device-side assert triggered"), None),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
        (FileNotFoundError(errno.ENOENT, "No such file"), None),
        (KeyError("a bug"), None),
    ],
)  # fmt: skip
def test_a_fault_is_told_from_a_bug(error, says):
    message = explained(error)
    assert (message is None) if says is None else (says in message)


def test_torch_out_of_memory_is_explained():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert "no memory left" in explained(caught.value)


STEP = """
import sys
from dataclasses import dataclass
from pathlib import Path
from avatarpipe.steps.command import run_step
@dataclass
class Greedy:
    out: Path
def run(options: Greedy) -> None:
    bytearray(int(4e9))
run_step(run)
"""


def test_a_step_without_memory_ends_with_one_message(tmp_path):
    (tmp_path / "greedy.py").write_text(STEP)
    command = f"ulimit -v 3000000; exec {sys.executable} {tmp_path / 'greedy.py'} --out {tmp_path / 'x.json'}"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 75, done.stderr
    assert (
        done.stderr.splitlines()[-1].startswith("error: no memory left")
        and "Traceback" not in done.stderr
    )
