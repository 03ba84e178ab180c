"""Avatars beside photographs of frames and cameras that took no part in training, kind by kind: photograph, avatars, errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.evaluation.cells import Cell
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.evaluation.sheets import ERROR_LIMIT
from avatarpipe.evaluation.style import on_paper, styled
from avatarpipe.evaluation.tiles import Tiling
from avatarpipe.evaluation.views import image_scores

PHOTOGRAPH = "photograph"
_WIDTH = 20.0  # inches
_GROWN = 0.03  # share of the subject's size that is shown around it


@dataclass
class Shown:
    """One view of one frame; images (H, W, 3) over paper by name, the photograph first, errors (H, W) and PSNR by avatar."""

    camera: str
    frame: str
    images: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    psnr: dict[str, float]


def shown_in(
    cells: Sequence[Cell], avatars: Mapping[str, Avatar], capture: Capture, count: int, device="cpu"
) -> list[list[Shown]]:
    """`count` views of each cell, spread over its frames and cameras, all cut to one size around the subject."""
    chosen = [_spread(cell, capture, count) for cell in cells]
    masks = [capture.mask(camera, frame) for line in chosen for frame, camera in line]
    windows = iter(_windows(masks))
    return [
        [_shown(frame, camera, avatars, capture, next(windows), device) for frame, camera in line]
        for line in chosen
    ]


def _spread(cell: Cell, capture: Capture, count: int) -> list[tuple[str, str]]:
    """(frame, camera) of at most `count` views, evenly over the frames, and for each the next camera that saw it."""
    found = []
    for turn in range(count):
        frame = cell.frames[int((turn + 0.5) * len(cell.frames) / count)]
        names = [name for name in cell.cameras.names if capture.seen(name, frame)]
        if names:
            found.append((frame, names[turn * len(names) // count]))
    return list(dict.fromkeys(found))


def _windows(masks: Sequence[np.ndarray]) -> list[tuple[slice, slice]]:
    """A window of one size for each mask, around its subject, inside its image."""
    boxes = []
    for mask in masks:
        rows, columns = np.nonzero(mask > 0.5)
        if not len(rows):
            rows, columns = (np.arange(size) for size in mask.shape)
        boxes.append((rows.min(), rows.max() + 1, columns.min(), columns.max() + 1))
    low_y, high_y, low_x, high_x = np.array(boxes).T
    grow = 1 + 2 * _GROWN
    height = min(int(grow * (high_y - low_y).max()), masks[0].shape[0])
    width = min(int(grow * (high_x - low_x).max()), masks[0].shape[1])
    return [
        (_slice((b[0] + b[1]) // 2, height, mask.shape[0]), _slice((b[2] + b[3]) // 2, width, mask.shape[1]))
        for b, mask in zip(boxes, masks, strict=True)
    ]  # fmt: skip


def _slice(middle: int, length: int, size: int) -> slice:
    """`length` of `size` pixels around the middle, moved where they would leave the image."""
    start = min(max(middle - length // 2, 0), size - length)
    return slice(start, start + length)


@torch.no_grad()
def _shown(frame: str, camera: str, avatars, capture: Capture, window, device) -> Shown:
    truth, mask = capture.image(camera, frame), capture.mask(camera, frame)
    params = capture.poses[capture.frame_names.index(frame)].to(device)
    cameras = capture.cameras()
    seen_from = cameras[cameras.names.index(camera)]
    shown = Shown(camera, frame, {PHOTOGRAPH: on_paper(truth, mask)[window]}, {}, {})
    for name, avatar in avatars.items():
        (view,) = render_views(avatar.pose(params).to(device), seen_from)
        rgb = view.rgb.numpy()
        shown.images[name] = on_paper(rgb, view.alpha.numpy())[window]
        shown.errors[name] = (rgb - truth).mean(axis=2)[window]
        shown.psnr[name] = image_scores(view, truth, mask)["psnr_crop"][0]
    return shown


def pose_sheet(rows: Mapping[str, Sequence[Shown]]) -> Figure:
    """A line a kind of view: each view's photograph, then every avatar and its error; one scale for all errors.

    ValueError where there is no view at all.
    """
    views = [view for line in rows.values() for view in line]
    if not views:
        raise ValueError("no views to show")
    block = 1 + 2 * len(views[0].errors)
    across = max(len(line) for line in rows.values())
    tile = _WIDTH / (block * across)
    height, width = views[0].images[PHOTOGRAPH].shape[:2]
    tiling = Tiling(
        len(rows), block * across, tile, tile * height / width, row_gap=0.95, top=0.95, bottom=0.85, block=block
    )  # fmt: skip
    with styled():
        figure = Figure(figsize=tiling.size)
        for row, (name, line) in enumerate(rows.items()):
            x, y = tiling.corner(row, 0)
            tiling.text(
                figure, x + 0.04, y + 0.62, name, va="bottom", fontsize=13, fontweight="bold"
            )
            for place, view in enumerate(line):
                error = _draw(figure, tiling, row, place * block, view)
        _draw_scale(figure, tiling, error)
    return figure


def _draw(figure: Figure, tiling: Tiling, row: int, column: int, view: Shown) -> AxesImage:
    """The tiles of a view from a column on; returns the last error's image, for its scale."""
    x, y = tiling.corner(row, column)
    scores = ", ".join(f"{name} {psnr:.1f} dB" for name, psnr in view.psnr.items())
    caption = f"frame {view.frame}, camera {view.camera}: {scores}"
    tiling.text(figure, x + 0.04, y + 0.32, caption, va="bottom", fontsize=10)
    for name, image in view.images.items():
        _tile(figure, tiling, row, column, name).imshow(image, interpolation="antialiased")
        column += 1
        if name in view.errors:
            axes = _tile(figure, tiling, row, column, "its error")
            shown = axes.imshow(
                view.errors[name], cmap="RdBu_r", vmin=-ERROR_LIMIT, vmax=ERROR_LIMIT
            )
            column += 1
    return shown


def _tile(figure: Figure, tiling: Tiling, row: int, column: int, name: str):
    x, y = tiling.corner(row, column)
    tiling.text(figure, x + tiling.width / 2, y + 0.05, name, ha="center", va="bottom", fontsize=10)
    return tiling.axes(figure, row, column)


def _draw_scale(figure: Figure, tiling: Tiling, error: AxesImage) -> None:
    place = figure.add_axes(tiling.share(0.4, 0.52, 5.0, 0.14))
    bar = figure.colorbar(error, cax=place, orientation="horizontal", extend="both")
    bar.set_label("error: rendering minus photograph, mean of r, g, b (sRGB); PSNR in the crop")
