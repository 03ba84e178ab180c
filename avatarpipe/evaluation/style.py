"""One look for every picture of the report: dark on light, the same colour for the same layer."""

from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from avatarpipe.files import atomic_file

PAPER = (0.965, 0.968, 0.975)
INK = "#1f2933"
PALETTE = {
    "background": "#f6f7f9", "inner": "#3b6fb6", "outer": "#e08a2e", "third": "#5a9e6f", "fourth": "#a05195",
}  # fmt: skip
LINES = ("#3b6fb6", "#e08a2e", "#5a9e6f", "#a05195", "#7a6a53", "#2f9c95")
DPI = 110


def styled() -> AbstractContextManager:
    """matplotlib's settings for a figure of the report, for the time of a with-block."""
    return matplotlib.rc_context(
        {
            "font.size": 10, "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK,
            "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
            "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": "#9aa5b1", "axes.spines.top": False,
            "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e7eb", "axes.axisbelow": True,
            "figure.facecolor": "white", "axes.facecolor": "white", "legend.frameon": False,
            "savefig.facecolor": "white",
        }
    )  # fmt: skip


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write `figure` as an image, whole or not at all."""
    with atomic_file(path) as temporary, styled():
        figure.savefig(temporary, dpi=DPI)


def layer_colors(count: int) -> np.ndarray:
    """(count + 1, 3) colours of a layer map: the background's, then one a layer."""
    names = ["background", "inner", "outer", "third", "fourth"][: count + 1]
    return np.array([matplotlib.colors.to_rgb(PALETTE[name]) for name in names])


def on_paper(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, 3) image premultiplied on black, laid over the report's light background."""
    return np.clip(rgb + (1 - alpha[..., None]) * np.array(PAPER), 0, 1)
