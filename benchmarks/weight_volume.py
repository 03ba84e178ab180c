"""How long a volume of skinning weights takes, how much memory, and how well it stands for the body's own weights.

$ python -m benchmarks.weight_volume --body results/body/SMPLX_NEUTRAL.npz                  # CUDA if there is one, else CPU
$ python -m benchmarks.weight_volume --body results/body/SMPLX_NEUTRAL.npz --device cpu --resolutions 64 128

The body of mean shape in its big pose, checked under 20 random poses. The first volume of a run compiles and warms up and is not
counted. Prints wall and processor seconds of making a volume, the most memory that the process (and the device) ever held, and
milliseconds of 200 000 lookups.
"""

import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.weight_check import WeightErrors, weight_errors
from avatarpipe.body.weight_volume import Solved, WeightVolume, weight_volume
from avatarpipe.devices import chosen_device
from avatarpipe.methods.animatable.rig import big_pose
from avatarpipe.synthetic.pose import sample_pose

POSES = 20
POINTS = 200_000
LOOKUPS = 5


@dataclass
class Options:
    """What to measure."""

    body: Path
    """An SMPLX_*.npz, free or licensed."""
    resolutions: tuple[int, ...] = (64, 128)
    """Nodes a side."""
    device: str = "auto"
    """auto, cpu or cuda."""


def main(options: Options) -> None:
    """Measure and print."""
    body, device = Body(options.body), chosen_device(options.device)
    canonical, poses = big_pose(torch.zeros(10)), plausible_poses(body)
    vertices = body.vertices(canonical)[0].numpy()
    table = Table(title=f"{len(vertices)} vertices, {device}")
    for column in ("nodes", "s", "processor s", "memory, MB", "cycles", "sum off", "L1 surface", "L1 vertices",
                   "skinning, mm", "worst pose", "lookups, ms"):  # fmt: skip
        table.add_column(column, justify="right")
    weight_volume(vertices, body.faces, body.lbs_weights.numpy(), 16, device=device)
    for resolution in options.resolutions:
        start, spent = time.perf_counter(), time.process_time()
        solved = weight_volume(vertices, body.faces, body.lbs_weights.numpy(), resolution, device=device)
        if device.type == "cuda":
            torch.cuda.synchronize()
        took = time.perf_counter() - start, time.process_time() - spent
        lookups, memory = lookup_seconds(solved.volume, vertices), peak_memory(device)
        errors = weight_errors(solved.volume.to("cpu"), body, canonical, poses)
        table.add_row(f"{resolution}^3", *row(took, memory, solved, errors, lookups))
    Console(width=140).print(table)


def row(took, memory: str, solved: Solved, errors: WeightErrors, lookups: float) -> list[str]:
    """The cells of one volume."""
    return [
        *(f"{seconds:.2f}" for seconds in took), memory, str(solved.cycles), f"{solved.sum_error:.1e}",
        f"{errors.surface_l1:.4f}", f"{errors.vertex_l1:.4f}",
        f"{1e3 * errors.skinning:.2f}", f"{1e3 * errors.skinning_worst:.2f}", f"{1e3 * lookups:.1f}",
    ]  # fmt: skip


def plausible_poses(body: Body) -> BodyParams:
    """Poses as synthetic subjects take them, hands included."""
    rng = np.random.default_rng(0)
    drawn = [sample_pose(body, np.zeros(10, np.float32), rng)[0] for _ in range(POSES)]
    names = [name for name, _ in drawn[0].items()]
    return BodyParams(**{name: torch.cat([getattr(one, name) for one in drawn]) for name in names})


def lookup_seconds(volume: WeightVolume, vertices: np.ndarray) -> float:
    """The least time of looking up points within a few centimetres of the body."""
    rng = np.random.default_rng(1)
    near = vertices[rng.integers(len(vertices), size=POINTS)] + rng.normal(0.0, 0.02, (POINTS, 3))
    points, best = torch.from_numpy(near).float().to(volume.grid.device), np.inf
    for _ in range(LOOKUPS):
        start = time.perf_counter()
        volume.sample(points)
        if points.is_cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def peak_memory(device: torch.device) -> str:
    """Of the process so far, and where there is one of the device."""
    resident = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"
    if device.type != "cuda":
        return resident
    return f"{resident} + {torch.cuda.max_memory_allocated() / 2**20:.0f}"


if __name__ == "__main__":
    main(tyro.cli(Options))
