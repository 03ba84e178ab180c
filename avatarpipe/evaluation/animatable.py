"""Animatable avatars against what cameras saw of a subject, in the four cells, full model and baseline side by side."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.evaluation.cells import Cell, frames_of
from avatarpipe.evaluation.conventions import PAD, WHITE, scores, subject_square, truth_on_white
from avatarpipe.evaluation.fid import FEWEST, features, frechet_distance
from avatarpipe.evaluation.inception import Inception
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.evaluation.rows import DIFFERENCE, Scores, score_rows
from avatarpipe.evaluation.threads import in_threads
from avatarpipe.terminal import Track
from avatarpipe.training.lpips import Lpips

LAYER = "composite"
_PAPER = (WHITE, WHITE, WHITE)


@dataclass(frozen=True)
class Networks:
    """Those whose weights are there; None leaves their metric out."""

    lpips: Lpips | None = None
    inception: Inception | None = None


@dataclass(frozen=True)
class _Seen:
    """One view of one frame as every avatar shows it."""

    cell: str
    frame: str
    camera: str
    images: dict[str, np.ndarray]  # by avatar, (H, W, 3) over white


@dataclass(frozen=True)
class _Scored:
    view: _Seen
    scores: dict[str, Scores]  # by avatar
    features: dict[
        str, np.ndarray
    ]  # by avatar and, under "", of the truth; none where FID is left out


def animatable_rows(
    avatars: Mapping[str, Avatar],
    capture: Capture,
    cells: Sequence[Cell],
    networks: Networks,
    track: Track,
    device="cpu",
) -> Iterator[dict]:
    """Rows of every avatar in every view of the cells; the stage is the avatar's name. FID, of a cell, comes at the end."""

    def scored(view: _Seen) -> _Scored:
        return _scored(view, capture, networks)

    total = sum(
        len(_seen_by(capture, cell, frame).names) for cell in cells for frame in cell.frames
    )
    found: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    views = in_threads(scored, _views(avatars, capture, cells, device))
    for result in track(views, total, "evaluate"):
        view = result.view
        for name, seen_by_network in result.features.items():
            found[view.cell, name].append(seen_by_network)
        for stage, metrics in result.scores.items():
            where = {"split": view.cell, "layer": LAYER, "frame": view.frame, "camera": view.camera}
            yield from score_rows(metrics, stage=stage, **where)
    yield from _fid_rows(found)


def _views(avatars, capture: Capture, cells: Sequence[Cell], device) -> Iterator[_Seen]:
    """Frame by frame, since posing costs more than one more camera."""
    row = {name: index for index, name in enumerate(capture.frame_names)}
    for frame in frames_of(cells):
        pose = capture.poses[row[frame]].to(device)
        clouds = [avatar.pose(pose).to(device) for avatar in avatars.values()]
        for cell in (cell for cell in cells if frame in cell.frames):
            cameras = _seen_by(capture, cell, frame)
            for views in zip(
                *(render_views(cloud, cameras, _PAPER) for cloud in clouds), strict=True
            ):
                images = {name: view.rgb.numpy() for name, view in zip(avatars, views, strict=True)}
                yield _Seen(cell.name, frame, views[0].camera, images)


def _seen_by(capture: Capture, cell: Cell, frame: str):
    """The cameras of the cell that have an image of the frame."""
    return cell.cameras[[capture.seen(name, frame) for name in cell.cameras.names]]


def _scored(view: _Seen, capture: Capture, networks: Networks) -> _Scored:
    truth = truth_on_white(capture, view.camera, view.frame)
    measured = {name: scores(image, truth, networks.lpips) for name, image in view.images.items()}
    if networks.inception is None or not truth.mask.any():
        return _Scored(view, measured, {})
    images = {"": truth.image, **view.images}
    squares = [subject_square(image, truth.mask, PAD) for image in images.values()]
    found = features(networks.inception, squares)
    return _Scored(view, measured, dict(zip(images, found, strict=True)))


def _fid_rows(found: dict[tuple[str, str], list[np.ndarray]]) -> Iterator[dict]:
    """The Frechet distance of each avatar's views of a cell from the true ones; none where there are too few."""
    for (cell, name), rows in found.items():
        if name and len(rows) >= FEWEST:
            distance = frechet_distance(np.stack(rows), np.stack(found[cell, ""]))
            yield from score_rows({"fid_ag": (distance, "")}, stage=name, split=cell, layer=LAYER)


def margin_rows(table: pd.DataFrame, stage: str, baseline: str) -> list[dict]:
    """By how much `stage` differs from `baseline`, a row for each cell and metric: the mean over the views of both."""
    keys = ["split", "metric", "unit"]
    means = table.pivot_table("value", keys, "stage", aggfunc="mean", sort=False, observed=True)
    apart = (means[stage] - means[baseline]).dropna()
    return [
        row
        for (cell, metric, unit), value in apart.items()
        for row in score_rows(
            {metric: (value, unit)}, stage=f"{stage}{DIFFERENCE}{baseline}", split=cell, layer=LAYER
        )
    ]


def margins(rows: Sequence[dict]) -> dict[str, dict[str, float]]:
    """Margin rows by cell and metric, for the record."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        found[row["split"]][row["metric"]] = row["value"]
    return dict(found)
