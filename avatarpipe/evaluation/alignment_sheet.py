"""The body drawn over the images it was fitted to: outline and skeleton, the worst views first."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from avatarpipe.capture.alignment import BODY_JOINTS, Scene
from avatarpipe.capture.alignment_views import Look
from avatarpipe.capture.capture import Capture
from avatarpipe.evaluation.style import styled
from avatarpipe.evaluation.tiles import Tiling

BODY, SUBJECT, BONES = "#e0245e", "#2f9c95", "#f5b301"
_PIXELS = 440  # height of a tile's picture
_AROUND = 0.16  # of the subject's longer side, shown around it


@dataclass(frozen=True)
class Overlay:
    """One picture: which look of which scene, and what is written above it."""

    scene: Scene
    index: int
    caption: str


def overlay_sheet(capture: Capture, rows: Sequence[Sequence[Overlay]], names: Sequence[str], title: str) -> Figure:
    """One line of overlays for each of `rows`, its name at the left, `title` on top (lines broken by the caller)."""
    columns = max(len(row) for row in rows)
    top = 0.75 + 0.19 * title.count("\n")
    tiling = Tiling(len(rows), columns, 2.5, 3.1, row_gap=0.42, left=0.42, top=top + 0.25, bottom=0.5)
    with styled():
        figure = Figure(figsize=tiling.size)
        for line, (name, row) in enumerate(zip(names, rows, strict=True)):
            for column, overlay in enumerate(row):
                _draw(figure, tiling, line, column, overlay, capture)
            _, y = tiling.corner(line, 0)
            style = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 11, "fontweight": "bold"}
            tiling.text(figure, 0.22, y - tiling.height / 2, name, **style)
        tiling.text(figure, 0.42, tiling.size[1] - 0.12, title, va="top", fontsize=11)
        _legend(figure)
    return figure


def _draw(figure: Figure, tiling: Tiling, line: int, column: int, overlay: Overlay, capture: Capture) -> None:
    scene, index = overlay.scene, overlay.index
    look = scene.looks[index]
    to_tile, size = _tile_of(look)
    picture, mask = _pictures(capture, look, to_tile, size)
    axes = tiling.axes(figure, line, column)
    axes.imshow(picture, aspect="equal", extent=(0, picture.shape[1], picture.shape[0], 0))
    K = to_tile @ scene.K[index]
    _outline(axes, mask, SUBJECT, 0.9)
    if scene.exists(index):
        body = scene.figures.silhouette(look.frame, scene.w2c[index], K, picture.shape[:2])
        _outline(axes, body, BODY, 1.3)
        _skeleton(axes, scene, index, K)
    axes.set_xlim(0, picture.shape[1])
    axes.set_ylim(picture.shape[0], 0)
    x, y = tiling.corner(line, column)
    tiling.text(figure, x + tiling.width / 2, y + 0.05, overlay.caption, ha="center", va="bottom", fontsize=8.5)


def _tile_of(look: Look) -> tuple[np.ndarray, tuple[int, int]]:
    """(3, 3) from pixels of the look's window to those of a tile around its silhouette, and the tile's width and height."""
    y, x = np.nonzero(look.mask) if look.mask.any() else np.nonzero(np.ones(look.shape, bool))
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()]) + 1
    grow = _AROUND * max(high - low)
    low, high = np.maximum(low - grow, 0), np.minimum(high + grow, look.shape[::-1])
    zoom = _PIXELS / (high - low)[1]
    to_tile = np.array([[zoom, 0, -zoom * low[0]], [0, zoom, -zoom * low[1]], [0, 0, 1]])
    return to_tile, tuple(round(float(side * zoom)) for side in high - low)


def _pictures(capture: Capture, look: Look, to_tile: np.ndarray, size) -> tuple[np.ndarray, np.ndarray]:
    """The tile's part of the photograph, and of the mask."""
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # cv2 counts from the first pixel's centre
    to_picture = np.linalg.inv(half) @ to_tile @ look.crop @ half
    read = [capture.photograph if capture.has("images") else None, capture.mask]
    warped = [
        cv2.warpAffine(image(look.camera, look.frame), to_picture[:2], size, flags=cv2.INTER_LINEAR)
        for image in read
        if image is not None
    ]
    mask = warped[-1] > 0.5
    picture = warped[0] if warped[0].ndim == 3 else np.repeat(warped[0][..., None], 3, axis=2)
    return np.clip(0.12 + 0.88 * picture, 0, 1), mask


def _outline(axes, mask: np.ndarray, color: str, width: float) -> None:
    if mask.any() and not mask.all():
        height, across = mask.shape
        axes.contour(np.arange(across) + 0.5, np.arange(height) + 0.5, mask, levels=[0.5], colors=color, linewidths=width)


def _skeleton(axes, scene: Scene, index: int, K: np.ndarray) -> None:
    joints = scene.figures.joints(scene.looks[index].frame)[:BODY_JOINTS]
    w2c = scene.w2c[index]
    points = (joints @ w2c[:3, :3].T + w2c[:3, 3]) @ K.T
    parents = scene.figures.body.parents
    for joint in range(1, BODY_JOINTS):
        ends = points[[joint, parents[joint]]]
        if (ends[:, 2] > 0).all():
            axes.plot(*(ends[:, :2] / ends[:, 2:]).T, color=BONES, linewidth=1.1, marker="o", markersize=1.6)


def _legend(figure: Figure) -> None:
    lines = {"fitted body": BODY, "its joints": BONES, "subject's mask": SUBJECT}
    handles = [Line2D([], [], color=color, linewidth=1.6, label=name) for name, color in lines.items()]
    figure.legend(handles=handles, loc="lower right", ncols=3, fontsize=9)
