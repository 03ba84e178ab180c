"""How fast the stages of the layered method train here, and what quality they reach in that time.

$ python -m benchmarks.stages --capture results/ada/segment/capture.json --body results/body/SMPLX_FEMALE.npz --preset full

Trains the three stages with a preset's numbers, extracts the meshes, and scores the composite on the held-out cameras after
each stage. Prints a table and writes it as JSON and Markdown. Seconds are wall time of one process, in which kernels are
already compiled; peak memory is of the GPU, where there is one.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
import yaml

from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.devices import chosen_device
from avatarpipe.evaluation.metrics import foreground_crop, psnr, ssim
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.export.surface import fused_surface, posed_mesh, surface_views
from avatarpipe.files import write_json
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.methods.layered.garment_mesh import garment_part, garment_scores_from_labels
from avatarpipe.methods.layered.settings import STAGES, stage_settings
from avatarpipe.methods.layered.stages import (
    StageInputs,
    inner_stage,
    outer_stage,
    single_stage,
    stage_avatar,
)
from avatarpipe.methods.layered.surfel_stage import SurfelStage
from avatarpipe.skinned_avatar import SkinnedAvatar
from benchmarks.clock import Clock, machine

PRESETS = Path(__file__).parents[1] / "config" / "presets"
log = logging.getLogger(__name__)


@dataclass
class Options:
    """What to measure."""

    capture: Path
    """A segmented capture.json."""
    body: Path
    """The SMPLX_*.npz it was fitted with."""
    preset: str = "demo"
    """Whose numbers: a file in config/presets."""
    until: Literal["single", "inner", "outer"] = "outer"
    """The last stage to run."""
    garment: str = "upper"
    every: int = 0
    """Score the single stage every so many iterations too (the time that takes is left out); 0 for never."""
    out: Path = Path("results/benchmarks/stages")
    device: str = "auto"


@torch.no_grad()
def held_out_scores(avatar: SkinnedAvatar, capture: Capture) -> dict[str, float]:
    """Mean PSNR and SSIM over the test cameras, full frame and foreground crop."""
    images, masks = (torch.from_numpy(capture.stack("test", kind)) for kind in ("images", "masks"))
    views = render_views(avatar.pose(avatar.captured), capture.cameras("test"))
    rows = []
    for view, truth, mask in zip(views, images, masks, strict=True):
        crop = foreground_crop(mask)
        rows.append([psnr(view.rgb, truth), psnr(view.rgb[crop], truth[crop]), ssim(view.rgb, truth)])
    return dict(zip(("psnr", "psnr_crop", "ssim"), np.mean(rows, axis=0).tolist(), strict=True))


def run_stage(stage: SurfelStage, name: str, clock: Clock, score, every: int) -> list[dict]:
    """Train to the end; scores on the way where asked, with the seconds trained until then."""
    on_the_way = []
    iterations = stage.settings.iterations
    for first in range(0, iterations, every or iterations):
        last = min(first + (every or iterations), iterations)
        with clock.measure(name):
            for step in range(first, last):
                stage.step(step)
        if every:
            on_the_way.append({"iteration": last, "seconds": sum(clock.seconds[name])} | score(stage))
            log.info("%s", on_the_way[-1])
    return on_the_way


def coarse_garment(avatar: SkinnedAvatar, options: Options, capture: Capture, mesh: dict) -> Mesh:
    """The garment mesh that the inner and outer stages start from."""
    surface = fused_surface(surface_views(avatar.canonical(), mesh["size"]), mesh["voxel"])
    posed = posed_mesh(surface, avatar.body, avatar.captured)
    return garment_part(surface, garment_scores_from_labels(posed, capture, options.garment))


def run(options: Options) -> dict:
    """All stages up to the last wanted; the figures by stage."""
    device = chosen_device(options.device)
    preset = yaml.safe_load((PRESETS / f"{options.preset}.yaml").read_text())
    capture, body = Capture.load(options.capture), Body(options.body, device)
    clock, rows, on_the_way = Clock(device), [], []
    avatar, garment_mesh = None, None
    for name in STAGES[: STAGES.index(options.until) + 1]:
        settings = stage_settings(preset["layered"][name])
        inputs = StageInputs(capture, body, options.garment, settings, 0, device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        with clock.measure(f"{name} set-up"):
            make = {"single": single_stage, "inner": inner_stage, "outer": outer_stage}[name]
            stage = make(inputs) if name == "single" else make(inputs, avatar, garment_mesh)

        def score(stage, name=name):
            return held_out_scores(stage_avatar(stage, name, capture.subject, {}), capture)

        on_the_way += run_stage(stage, name, clock, score, options.every if name == "single" else 0)
        with clock.measure(f"{name} finish"):
            stage.finish()
        avatar = stage_avatar(stage, name, capture.subject, {})
        rows.append(_row(name, settings.iterations, len(stage.surfels), clock, device) | score(stage))
        log.info("%s", rows[-1])
        if name == "single" and options.until != "single":
            with clock.measure("coarse mesh"):
                garment_mesh = coarse_garment(avatar, options, capture, preset["mesh"])
    return {
        "machine": machine(device), "preset": options.preset, "image": capture.cameras("test").height,
        "stages": rows, "seconds": {name: sum(each) for name, each in clock.seconds.items()}, "on_the_way": on_the_way,
    }  # fmt: skip


def _row(name: str, iterations: int, surfels: int, clock: Clock, device: torch.device) -> dict:
    seconds = sum(clock.seconds[name])
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None
    return {
        "stage": name, "iterations": iterations, "surfels": surfels, "seconds": seconds,
        "iterations_per_second": iterations / seconds, "peak_gpu_gib": peak,
    }  # fmt: skip


def markdown(result: dict) -> str:
    """The table over the stages."""
    lines = [
        f"{result['machine']}; preset {result['preset']}, {result['image']} px", "",
        "| stage | iterations | surfels | seconds | it/s | PSNR full | PSNR crop | SSIM | peak GPU GiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for row in result["stages"]:
        peak = "" if row["peak_gpu_gib"] is None else f"{row['peak_gpu_gib']:.1f}"
        lines.append(
            f"| {row['stage']} | {row['iterations']} | {row['surfels']} | {row['seconds']:.1f} "
            f"| {row['iterations_per_second']:.1f} | {row['psnr']:.2f} | {row['psnr_crop']:.2f} "
            f"| {row['ssim']:.4f} | {peak} |"
        )
    others = {k: v for k, v in result["seconds"].items() if k not in STAGES}
    return "\n".join([*lines, "", "; ".join(f"{k} {v:.1f} s" for k, v in others.items()), ""])


def main() -> None:
    """The command line."""
    options = tyro.cli(Options)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    result = run(options)
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "stages.json", result)
    (options.out / "stages.md").write_text(markdown(result))
    log.info("%s", markdown(result))


if __name__ == "__main__":
    main()
