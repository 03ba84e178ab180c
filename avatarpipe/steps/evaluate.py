"""Measure an avatar against its capture: images, masks, layers, hidden body, surface.

    avatarpipe evaluate --avatar results/demo/layered/outer/avatar --capture results/demo/segment \\
        --body results/body/SMPLX_NEUTRAL.npz --out results/demo/layered/evaluate/metrics.parquet
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from avatarpipe.avatar import MANIFEST, Avatar
from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.devices import chosen_device
from avatarpipe.evaluation.hidden import hidden_rows
from avatarpipe.evaluation.penetration import TRUE_BODY, penetration_rows
from avatarpipe.evaluation.protocol import protocol
from avatarpipe.evaluation.rows import tidy
from avatarpipe.evaluation.surface import surface_rows
from avatarpipe.evaluation.views import composite_rows
from avatarpipe.files import require_file, write_json
from avatarpipe.mesh.mesh import load_mesh
from avatarpipe.provenance import manifest_file, provenance
from avatarpipe.steps.command import run_step
from avatarpipe.tables import write_table
from avatarpipe.terminal import tracked
from avatarpipe.training.lpips import Lpips, missing_weights

POSED_MESH = "composite_posed.ply"


@dataclass(frozen=True)
class Options:
    """Metrics of one avatar, one row a value; what was measured and how is written beside them."""

    avatar: Path
    """Folder of the avatar, or its avatar.json."""
    capture: Path
    """Folder of the capture, or its capture.json."""
    out: Path
    """Table to write, metrics.parquet; the protocol goes beside it as metrics.json."""
    body: Path | None = None
    """SMPLX_*.npz; with it penetration is measured."""
    mesh: Path | None = None
    """mesh.json of the mesh step, composite_posed.ply beside it; with it the surface is measured."""
    baseline_avatar: Path | None = None
    """Avatar whose inner layer was not optimised; its hidden-body PSNR becomes the rows of stage "baseline"."""
    garment: Literal["upper", "lower", "both"] = "upper"
    """Which labels the outer layer holds."""
    splits: tuple[Literal["train", "test"], ...] = ("test",)
    """Cameras to render."""
    method: str = "layered"
    """Name of the method, for the table."""
    stage: str = "outer"
    """Name of the stage, for the table."""
    lpips_weights: Path = Path("resources/lpips")
    """Folder of the LPIPS weights; without them LPIPS is left out."""
    lpips_net: Literal["vgg", "alex"] = "vgg"
    """Network of LPIPS."""
    device: str = "auto"
    """"cpu", "cuda", or "auto" for CUDA where there is one."""
    seed: int = 0
    """For the points sampled on surfaces."""


def run(options: Options) -> None:
    """Measure, then write the protocol, then the table."""
    avatar = Avatar.load(options.avatar, chosen_device(options.device))
    capture = Capture.load(options.capture)
    lpips, lpips_note = _lpips(options)
    rows = _rows(options, avatar, capture, lpips)
    table = tidy(rows, subject=capture.subject, method=options.method, stage=options.stage)
    described = protocol(capture, options.splits, options.garment, lpips_note)
    inputs = provenance(_inputs(options), asdict(options), options.seed)
    write_json(options.out.with_suffix(".json"), described | {"provenance": inputs})
    write_table(table, options.out)
    _log_means(table)


def _rows(
    options: Options, avatar: Avatar, capture: Capture, lpips: Lpips | None
) -> Iterator[dict]:
    device = chosen_device(options.device)
    for split in options.splits:
        yield from composite_rows(avatar, capture, split, options.garment, lpips, tracked, device)
    if len(avatar.layer_names) > 1 and capture.has("hidden"):
        yield from hidden_rows(avatar, capture, "test", options.garment, tracked, device)
        if options.baseline_avatar:
            baseline = Avatar.load(options.baseline_avatar, device)
            yield from hidden_rows(
                baseline, capture, "test", options.garment, tracked, device, stage="baseline"
            )
    if options.body:
        true_body = load_mesh(capture.truth[TRUE_BODY]) if TRUE_BODY in capture.truth else None
        yield from penetration_rows(avatar, capture, Body(options.body), true_body)
    if options.mesh:
        yield from _surface(options, capture)


def _surface(options: Options, capture: Capture) -> Iterator[dict]:
    scan = capture.scan()
    if scan is None:
        logging.info("%s has no scan: the surface is not measured", capture.path)
        return
    path = require_file(
        options.mesh.parent / POSED_MESH, "The mesh step writes it; rerun that step."
    )
    frame = capture.frame_names[0]
    yield from surface_rows(load_mesh(path), scan, options.seed, layer="composite", frame=frame)


def _lpips(options: Options) -> tuple[Lpips | None, str]:
    """The metric if its weights are there, and what the protocol says of it."""
    missing = missing_weights(options.lpips_weights, options.lpips_net)
    if missing:
        note = f"not computed, weights missing at {', '.join(map(str, missing))}"
        logging.info("lpips: %s", note)
        return None, note
    net = Lpips(options.lpips_weights, options.lpips_net).to(chosen_device(options.device))
    return net, f"{options.lpips_net}, version 0.1, inputs in [-1, 1]"


def _inputs(options: Options) -> dict[str, Path]:
    """The files whose hashes the protocol records."""
    files = {
        "avatar": manifest_file(options.avatar, MANIFEST),
        "capture": manifest_file(options.capture, "capture.json"),
    }
    if options.baseline_avatar:
        files["baseline_avatar"] = manifest_file(options.baseline_avatar, MANIFEST)
    return files | {name: path for name in ("body", "mesh") if (path := getattr(options, name))}


def _log_means(table: pd.DataFrame) -> None:
    means = table.groupby(["stage", "layer", "metric"], sort=False, dropna=False)["value"].mean()
    for (stage, layer, metric), value in means.items():
        logging.info("%-9s %-10s %-32s %10.4f", stage, layer, metric, value)


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
