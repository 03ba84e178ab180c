"""Measure an animatable avatar against its capture: poses seen or novel, by views seen or novel, with its LBS-only baseline.

    avatarpipe evaluate-animatable --avatar results/vic/animatable/full/avatar --capture results/vic/normalize \\
        --baseline results/vic/animatable/skinned/avatar --out results/vic/animatable/evaluate/metrics.parquet
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit, frame_split
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.evaluation.animatable import Networks, animatable_rows, margin_rows, margins
from avatarpipe.evaluation.animatable_protocol import animatable_protocol
from avatarpipe.evaluation.cells import cells, check_cameras, check_frames
from avatarpipe.evaluation.compared import FULL, SKINNED, Compared
from avatarpipe.evaluation.fid import fid_weights
from avatarpipe.evaluation.inception import WEIGHT_FILE, Inception
from avatarpipe.evaluation.rows import DIFFERENCE, tidy
from avatarpipe.files import write_json
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.provenance import manifest_file, provenance
from avatarpipe.steps.command import run_step
from avatarpipe.tables import write_table
from avatarpipe.terminal import tracked
from avatarpipe.training.lpips import Lpips, missing_weights


@dataclass(frozen=True)
class Options(Compared):
    """Metrics of one avatar and its baseline, one row a value; what was measured and how is written beside them."""

    out: Path
    """Table to write, metrics.parquet, each avatar a stage of it; the protocol goes beside it as metrics.json."""
    every: int = 1
    """Of the frames that were trained on one in so many is measured."""
    novel_every: int = 1
    """Of the novel frames one in so many is measured."""
    seen_cameras: int = 0
    """So many of the training cameras are measured, evenly over their list; 0 for all."""
    lpips_weights: Path = Path("resources/lpips")
    """Folder of the LPIPS weights; without them LPIPS is left out."""
    lpips_net: Literal["vgg", "alex"] = "vgg"
    """Network of LPIPS."""
    fid_weights: Path = Path("resources/fid")
    """Folder of the Inception weights; without them FID is left out."""


def run(options: Options) -> None:
    """Check that nothing counts as novel that was trained on, measure, then write the protocol, then the table."""
    if min(options.every, options.novel_every) < 1 or options.seen_cameras < 0:
        raise InputError(
            f"--every {options.every} --novel-every {options.novel_every} --seen-cameras {options.seen_cameras}: "
            "give 1 or more, 1 or more, and 0 or more."
        )
    device = chosen_device(options.device)
    capture = Capture.load(options.capture)
    split = frame_split(capture, options.novel_frames)
    check_cameras(capture)
    avatars = {
        name: _avatar(path, capture, split, device) for name, path in options.manifests().items()
    }
    every = {"seen": options.every, "novel": options.novel_every}
    chosen = cells(capture, split, every, options.seen_cameras)
    networks, notes = _networks(options, device)
    table = tidy(
        animatable_rows(avatars, capture, chosen, networks, tracked, device),
        subject=capture.subject,
        method="animatable",
    )
    apart = margin_rows(table, FULL, SKINNED) if options.baseline else []
    _write(options, table, apart, animatable_protocol(capture, chosen, every, notes))


def _write(options: Options, table: pd.DataFrame, apart: list[dict], described: dict) -> None:
    files = options.manifests() | {"capture": manifest_file(options.capture, "capture.json")}
    described["margin"] = {"of": f"{FULL}{DIFFERENCE}{SKINNED}", "cells": margins(apart)}
    described["provenance"] = provenance(files, asdict(options))
    if apart:
        shared = {"subject": described["subject"], "method": "animatable"}
        table = pd.concat([table, tidy(apart, **shared)], ignore_index=True)
    write_json(options.out.with_suffix(".json"), described)
    write_table(table, options.out)
    _log_means(table)


def _avatar(
    path: Path, capture: Capture, split: FrameSplit, device: torch.device
) -> AnimatableAvatar:
    avatar = Avatar.load(path, device)
    if not isinstance(avatar, AnimatableAvatar):
        raise InputError(
            f"{path}: an avatar of another method; `avatarpipe evaluate` measures layered ones."
        )
    check_frames(capture, split, avatar.projection, str(path))
    return avatar


def _networks(options: Options, device: torch.device) -> tuple[Networks, dict[str, str]]:
    """The networks whose weights are there, and what the protocol says of each."""
    lpips, inception, notes = None, None, {}
    if missing := missing_weights(options.lpips_weights, options.lpips_net):
        notes["lpips"] = f"not computed, weights missing at {', '.join(map(str, missing))}"
    else:
        lpips = Lpips(options.lpips_weights, options.lpips_net).to(device)
        notes["lpips"] = f"{options.lpips_net}, version 0.1"
    if path := fid_weights(options.fid_weights):
        inception, notes["fid"] = Inception(path).to(device), f"2048 features of {path.name}"
    else:
        notes["fid"] = f"not computed, weights missing at {options.fid_weights / WEIGHT_FILE}"
    for name, note in notes.items():
        logging.info("%s: %s", name, note)
    return Networks(lpips, inception), notes


def _log_means(table: pd.DataFrame) -> None:
    means = table.groupby(["split", "metric", "stage"], sort=False)["value"].mean()
    for (cell, metric), of_stages in means.groupby(level=["split", "metric"], sort=False):
        shown = "   ".join(f"{stage} {value:.4f}" for (*_, stage), value in of_stages.items())
        logging.info("%-22s %-16s %s", cell, metric, shown)


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
