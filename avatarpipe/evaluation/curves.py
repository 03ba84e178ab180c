"""Training curves: each quantity in its own small plot, each stage a line."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from avatarpipe.evaluation.style import LINES, styled

_LOG_RANGE = 20.0
ACROSS = 4


def plot_curves(stages: Mapping[str, pd.DataFrame], across: int = ACROSS) -> Figure:
    """A plot a `name` found in any stage's table (step, name, value); raw values faint, their running median bold.

    Positive quantities that span more than a factor of 20 get a logarithmic axis. Raises ValueError without any value.
    """
    names = list(dict.fromkeys(name for table in stages.values() for name in table["name"]))
    if not names:
        raise ValueError("the training curves are empty")
    lines = -(-len(names) // across)
    with styled():
        figure = Figure(figsize=(13.0, 2.3 * lines + 0.8), layout="constrained")
        places = figure.subplots(lines, across, squeeze=False).ravel()
        for place, name in zip(places, names, strict=False):
            _draw(place, name, stages)
        for place in places[len(names) :]:
            place.set_axis_off()
        handles = [
            figure.axes[0].plot([], [], color=color, label=stage)[0]
            for stage, color in zip(stages, LINES, strict=False)
        ]
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
        figure.suptitle(
            "Training curves, by step", x=0.01, ha="left", fontsize=13, fontweight="bold"
        )
    return figure


def _draw(place, name: str, stages: Mapping[str, pd.DataFrame]) -> None:
    seen = []
    for (_, table), color in zip(stages.items(), LINES, strict=False):
        rows = table[table["name"] == name].sort_values("step")
        values = rows["value"].to_numpy(float)
        if not len(values):
            continue
        seen.append(values)
        place.plot(rows["step"], values, color=color, alpha=0.25, linewidth=0.8)
        place.plot(rows["step"], running_median(values), color=color, linewidth=1.6)
    place.set_title(name.replace("_", " "))
    if _spans_decades(np.concatenate(seen)):
        place.set_yscale("log")
        place.yaxis.set_minor_formatter(NullFormatter())


def running_median(values: np.ndarray) -> np.ndarray:
    """Median over a centred window of about a twentieth of the curve; as long as `values`."""
    window = max(len(values) // 20, 1)
    return pd.Series(values).rolling(window, center=True, min_periods=1).median().to_numpy()


def _spans_decades(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return len(finite) > 0 and finite.min() > 0 and finite.max() > _LOG_RANGE * finite.min()
