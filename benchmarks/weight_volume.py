"""How long a volume of skinning weights takes, how much memory, and how well it stands for the body's own weights.

$ python -m benchmarks.weight_volume --body results/body/SMPLX_NEUTRAL.npz                  # CUDA if there is one, else CPU
$ python -m benchmarks.weight_volume --body results/body/SMPLX_NEUTRAL.npz --device cpu --resolutions 64 128

The body of mean shape in its big pose, checked under 20 random poses. The first volume of a run compiles and warms up and is not
counted. Prints wall and processor seconds of making a volume, the most memory that the process (and the device) ever held,
milliseconds of 200 000 lookups, and whether each number is within what was asked of 128 nodes a side.
"""

import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.weight_check import WeightErrors, weight_errors
from avatarpipe.body.weight_solve import LEVELS, Solved, weight_volume
from avatarpipe.body.weight_volume import WeightVolume
from avatarpipe.devices import chosen_device
from avatarpipe.methods.animatable.rig import big_pose
from avatarpipe.synthetic.pose import sample_pose

POSES = 20
POINTS = 200_000
LOOKUPS = 5
ASKED_OF = 128  # nodes a side


@dataclass
class Options:
    """What to measure."""

    body: Path
    """An SMPLX_*.npz, free or licensed."""
    resolutions: tuple[int, ...] = (64, 128)
    """Nodes a side."""
    device: str = "auto"
    """auto, cpu or cuda."""
    levels: int = LEVELS
    """Of finer blocks; 0: the grid alone."""


def main(options: Options) -> None:
    """Measure and print."""
    body, device = Body(options.body), chosen_device(options.device)
    canonical, poses = big_pose(torch.zeros(10)), plausible_poses(body)
    vertices = body.vertices(canonical)[0].numpy()
    table = Table(title=f"{len(vertices)} vertices, {device}")
    for column in ("nodes", "s", "processor s", "memory, MB", "cycles", "blocks", "L1 surface", "L1 vertices",
                   "without blocks", "skinning, mm", "worst pose", "lookups, ms"):  # fmt: skip
        table.add_column(column, justify="right")
    surface = vertices, body.faces, body.lbs_weights.numpy()
    weight_volume(*surface, 32, device=device, levels=options.levels)
    verdicts = []
    for resolution in options.resolutions:
        start, spent = time.perf_counter(), time.process_time()
        solved = weight_volume(*surface, resolution, device=device, levels=options.levels)
        if device.type == "cuda":
            torch.cuda.synchronize()
        took = time.perf_counter() - start, time.process_time() - spent
        lookups, memory = lookup_seconds(solved.volume, vertices), peak_memory(device)
        volume = solved.volume.to("cpu")
        errors, without = (
            weight_errors(one, body, canonical, poses)
            for one in (volume, replace(volume, blocks=()))
        )
        table.add_row(
            f"{resolution}^3", *row(took, memory, solved, errors, without.vertex_l1, lookups)
        )
        if resolution == ASKED_OF:
            verdicts = acceptance(errors, took[0], device)
    console = Console(width=140)
    console.print(table)
    console.print(*verdicts, sep="\n")


def acceptance(errors: WeightErrors, seconds: float, device: torch.device) -> list[str]:
    """What is asked of a volume on the body of the benchmark, and what came."""
    cuda = device.type == "cuda"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    asked = [
        ("lowest weight", errors.lowest, 0.0, errors.lowest >= 0.0),
        ("sums off 1", errors.sum_error, 1e-4, errors.sum_error <= 1e-4),
        ("mean L1 at the vertices", errors.vertex_l1, 0.03, errors.vertex_l1 < 0.03),
        ("skinning off, mm", 1e3 * errors.skinning, 3.0, errors.skinning < 0.003),
        ("seconds", seconds, 5.0 if cuda else 240.0, seconds < (5.0 if cuda else 240.0)),
    ]
    asked += [] if cuda else [("memory, GB", memory, 6.0, memory < 6.0)]
    return [
        f"{name}: {value:.4g}, asked {limit:g}: {'met' if met else 'NOT MET'}"
        for name, value, limit, met in asked
    ]


def row(
    took, memory: str, solved: Solved, errors: WeightErrors, without: float, lookups: float
) -> list[str]:
    """The cells of one volume."""
    blocks = solved.volume.blocks
    size = sum(block.grid.nbytes for block in blocks) / 2**20
    return [
        *(f"{seconds:.2f}" for seconds in took), memory, str(solved.cycles), f"{len(blocks)}, {size:.0f} MB",
        f"{errors.surface_l1:.4f}", f"{errors.vertex_l1:.4f}", f"{without:.4f}",
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
