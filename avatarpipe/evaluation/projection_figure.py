"""What the projection of novel poses does: which variety of poses it knows, and where it puts poses from beyond."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from avatarpipe.evaluation.style import INK, LINES, styled
from avatarpipe.methods.animatable.projection import PoseProjection

_FAINT = "#9aa5b1"
_APART = 0.22  # of one component, by which kinds of poses stand beside each other


def projection_figure(projection: PoseProjection, novel: np.ndarray) -> Figure:
    """Left: spread of the training poses along each component, and the variance they hold together. Right: where training
    poses and `novel` ones (F, 63) lie along each, before and after, with the band that components are clamped to."""
    with styled():
        figure = Figure(figsize=(13.0, 4.8), layout="constrained")
        spread, along = figure.subplots(1, 2)
        _draw_spread(spread, projection)
        _draw_along(along, projection, np.asarray(novel, np.float64).reshape(-1, 63))
        for place in (spread, along):
            place.set_xlim(0.4, max(len(projection.deviations), 1) + 0.6)
            place.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_spread(place: Axes, projection: PoseProjection) -> None:
    held = [part["variance_held"] for part in projection.document()["components"]]
    numbers = np.arange(1, len(held) + 1)
    place.bar(numbers, np.degrees(projection.deviations), color=LINES[0], width=0.7)
    place.set(xlabel="component", ylabel="standard deviation, degrees")
    place.set_title(f"{len(projection.seen)} training poses, {len(held)} components")
    if not held:
        return
    share = place.twinx()
    share.plot(numbers, 100 * np.array(held), color=LINES[1], marker="o", markersize=3)
    share.set(ylim=(0, 104), ylabel="variance held so far, %")
    share.yaxis.label.set_color(LINES[1])
    share.grid(False)


def _draw_along(place: Axes, projection: PoseProjection, novel: np.ndarray) -> None:
    place.axhspan(-projection.limit, projection.limit, color=LINES[0], alpha=0.08, linewidth=0)
    for edge in (-projection.limit, projection.limit):
        place.axhline(edge, color=INK, linestyle="--", linewidth=1.0)
    after = np.array([projection.network_input(theta) for theta in novel]).reshape(-1, 63)
    _dots(place, projection, projection.seen, -1, "training poses", s=6, color=_FAINT)
    _dots(place, projection, novel, 0, "novel poses", s=14, facecolors="none", edgecolors=LINES[1])
    _dots(place, projection, after, 1, "as the networks see them", s=8, color=LINES[0])
    place.set_yscale("symlog", linthresh=2 * max(projection.limit, 0.5))
    place.yaxis.set_major_formatter("{x:g}")
    place.set(xlabel="component", ylabel="standard deviations of training")
    place.set_title(f"Components are clamped to {projection.limit:g} deviations")
    place.legend(fontsize=9, loc="upper left", ncols=3)
    place.margins(y=0.18)


def _dots(
    place: Axes, projection: PoseProjection, poses: np.ndarray, beside: int, label: str, **look
) -> None:
    """(F, 63) poses, a dot each along every component in its deviations."""
    scores = projection.scores(poses) / np.maximum(projection.deviations, 1e-12)
    numbers = np.arange(1, scores.shape[1] + 1) + beside * _APART
    place.scatter(np.broadcast_to(numbers, scores.shape), scores, label=label, **look)
