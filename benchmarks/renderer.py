"""How fast the renderer is, and whether two machines render the same.

    python -m benchmarks.renderer --out folder                  # CUDA if there is one, else CPU
    python -m benchmarks.renderer --write-reference out.npz     # on a machine with Numba
    python -m benchmarks.renderer --check-reference out.npz     # on another, CUDA if it has it

The scene is a person-sized closed surface covered with Gaussians, about 12 % of the image.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from avatarpipe.cameras import orbit
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import render

SIZES = ((5_000, 128, 1), (20_000, 256, 1), (20_000, 256, 4), (50_000, 512, 1), (100_000, 512, 1))
IMAGES = ("rgb", "alpha", "depth", "median_depth", "normals", "distortion", "features")
HALF_AXES = (0.28, 0.9, 0.18)  # metres: as wide, tall and deep as a person


def person_fields(count: int, seed: int = 0, sh: bool = False) -> dict[str, torch.Tensor]:
    """Fields of a cloud of `count` Gaussians that cover an ellipsoid and lie flat on it."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.tensor(HALF_AXES)
    direction = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    normal = torch.nn.functional.normalize(direction / axes, dim=1)
    front = torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)
    turn = [1 + normal[:, 2:], torch.linalg.cross(front, normal)]
    spacing = (2.5 / count) ** 0.5  # 2.5 m^2 of surface
    colors = torch.rand(count, 9, 3, generator=generator) - 0.5
    return {
        "means": direction * axes,
        "quats": torch.cat(turn, dim=1),
        "scales": spacing * (0.6 + 0.6 * torch.rand(count, 3, generator=generator)),
        "opacities": 0.5 + 0.49 * torch.rand(count, generator=generator),
        ("sh" if sh else "colors"): colors if sh else colors[:, 0] + 0.5,
        "features": torch.rand(count, 2, generator=generator),
    }


def leaves_on(fields: dict[str, torch.Tensor], device: str) -> dict[str, torch.Tensor]:
    """Copies that collect gradients."""
    return {name: value.to(device).detach().requires_grad_() for name, value in fields.items()}


def weighted_sum(images: dict[str, torch.Tensor]) -> torch.Tensor:
    """A scalar in which every value of every output has its own weight."""
    generator = torch.Generator().manual_seed(1)
    total = 0
    for name in IMAGES:
        weight = torch.rand(images[name].shape, generator=generator) - 0.3
        total = total + (weight.to(images[name].device) * images[name]).mean()
    return total


def seconds(function, device: str, repeats: int) -> dict[str, float]:
    """Least and median wall seconds, and least processor seconds, of one call."""
    walls, cpus = [], []
    for _ in range(repeats + 2):
        start, spent = time.perf_counter(), time.process_time()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - spent)
    walls, cpus = walls[2:], cpus[2:]  # the first calls compile
    return {"wall": min(walls), "median": statistics.median(walls), "processor": min(cpus)}


def measure(kind: str, count: int, size: int, views: int, device: str, repeats: int) -> dict:
    """One row: times of a forward pass without gradients and of a training iteration."""
    leaves = leaves_on(person_fields(count), device)
    cameras = orbit([5], [20 + 40 * i for i in range(views)], 2.5, 55, size, size)

    def forward():
        with torch.no_grad():
            return render(GaussianCloud(**leaves, kind=kind), cameras)

    def train():
        for leaf in leaves.values():
            leaf.grad = None
        images = vars(render(GaussianCloud(**leaves, kind=kind), cameras))
        sum(images[name].square().mean() for name in IMAGES).backward()

    covered = (forward().alpha > 0.5).float().mean().item()
    row = {"device": device, "kind": kind, "gaussians": count, "pixels": size, "views": views}
    times = {"forward": seconds(forward, device, repeats), "train": seconds(train, device, repeats)}
    return row | {"covered": round(covered, 3)} | times


def table(rows: list[dict]) -> str:
    """The rows as Markdown, times in milliseconds."""
    lines = [
        "| device | kind | Gaussians | image | views | forward ms | forward + backward ms | iterations/s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        forward, train = row["forward"]["wall"] * 1e3, row["train"]["wall"] * 1e3
        lines.append(
            f"| {row['device']} | {row['kind']} | {row['gaussians']} | {row['pixels']}² | {row['views']} "
            f"| {forward:.1f} | {train:.1f} | {1e3 / train:.1f} |"
        )
    return "\n".join(lines)


def outcome(fields: dict, kind: str, device: str) -> dict[str, np.ndarray]:
    """Images and gradients of a reference scene, by name."""
    leaves = leaves_on(fields, device)
    cameras = orbit([5, 30], [0, 120], 2.2, 50, 120, 104)
    rendering = render(
        GaussianCloud(**leaves, kind=kind), cameras, (0.2, 0.5, 0.9), near=1.6, far=2.6
    )
    weighted_sum(vars(rendering)).backward()
    images = {name: getattr(rendering, name).detach() for name in IMAGES}
    gradients = {f"gradient of {name}": leaf.grad for name, leaf in leaves.items()}
    if kind == "ellipsoid":  # for surfels gsplat's kernel writes it with a race
        gradients["gradient of screen_points"] = rendering.screen_points.grad
    return {name: value.cpu().numpy() for name, value in (images | gradients).items()}


def reference_scenes():
    """(name, kind, fields) of the scenes that machines are compared on."""
    for kind in ("surfel", "ellipsoid"):
        for sh in (False, True):
            yield f"{kind}, {'harmonics' if sh else 'colours'}", kind, person_fields(3000, 5, sh)


def write_reference(path: Path, device: str) -> None:
    """Save the outcome of every reference scene."""
    results = {
        f"{scene}/{name}": value
        for scene, kind, fields in reference_scenes()
        for name, value in outcome(fields, kind, device).items()
    }
    np.savez_compressed(path, **results)


def check_reference(path: Path, device: str) -> bool:
    """Print how far this machine is from the reference; True if images and gradients agree.

    An image agrees if 99.9 % of its values are within 1e-3 (where a splat's alpha is 1/255, rounding
    decides whether it counts), a gradient if its relative error is under 1 %.
    """
    expected, good = np.load(path), True
    for scene, kind, fields in reference_scenes():
        for name, value in outcome(fields, kind, device).items():
            other = expected[f"{scene}/{name}"]
            gradient = name.startswith("gradient")
            norm = np.linalg.norm(other) if gradient else 1.0
            error = (
                np.linalg.norm(value - other) / norm if gradient else np.abs(value - other).max()
            )
            many = np.quantile(np.abs(value - other), 0.999)
            agrees = error < 1e-2 if gradient else many < 1e-3
            good &= bool(agrees)
            print(f"{'ok ' if agrees else 'BAD'} {scene}: {name}: {error:.2e} (99.9 %: {many:.2e})")
    return good


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cuda = torch.cuda.is_available()
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), nargs="+", help="default: all there are"
    )
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="folder for renderer.json and renderer.md")
    parser.add_argument("--write-reference", type=Path)
    parser.add_argument("--check-reference", type=Path)
    arguments = parser.parse_args()
    arguments.best = "cuda" if cuda else "cpu"
    arguments.device = arguments.device or (["cuda"] if cuda else ["cpu"])
    return arguments


def main() -> None:
    """Measure, or write or check a reference."""
    arguments = parse()
    if arguments.write_reference:
        return write_reference(arguments.write_reference, "cpu")
    if arguments.check_reference:
        raise SystemExit(0 if check_reference(arguments.check_reference, arguments.best) else 1)
    rows = [
        measure(kind, *size, device, arguments.repeats)
        for device in arguments.device
        for kind in ("surfel", "ellipsoid")
        for size in SIZES
    ]
    print(table(rows))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "renderer.json").write_text(json.dumps(rows, indent=1))
        (arguments.out / "renderer.md").write_text(table(rows) + "\n")


if __name__ == "__main__":
    main()
