"""Wall time on a device that works on its own, and what to call the machine it was measured on."""

import platform
import time
from contextlib import contextmanager

import torch


class Clock:
    """Wall seconds of each measurement by name, begun and ended when the device has finished its work."""

    def __init__(self, device: torch.device):
        self.device, self.seconds = device, {}

    @contextmanager
    def measure(self, name: str):
        self._wait()
        start = time.perf_counter()
        yield
        self._wait()
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)

    def _wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def machine(device: torch.device) -> str:
    """The model of the device, the version of torch, and its threads."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "CPU"
    return f"{name}, torch {torch.__version__}, {torch.get_num_threads()} CPU threads"
