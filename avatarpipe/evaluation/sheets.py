"""Held-out views: ground truth, rendering, signed error, layers."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import garment_mask
from avatarpipe.evaluation.masks import layer_map
from avatarpipe.evaluation.rendering import View, render_views
from avatarpipe.evaluation.style import INK, layer_colors, on_paper, styled
from avatarpipe.evaluation.tiles import Tiling
from avatarpipe.evaluation.views import image_scores, reference_labels

ERROR_LIMIT = 0.2
_COLUMNS = ("ground truth", "rendering", "error", "layers")


@dataclass
class Compared:
    """One view of the sheet, cropped; images (H, W, 3) ready to show, error (H, W), outline (H, W) bool."""

    camera: str
    images: dict[str, np.ndarray]
    error: np.ndarray
    outline: np.ndarray | None
    psnr: float


def compare_views(
    avatar: Avatar, capture: Capture, split: str, count: int, garment: str | None, device="cpu"
) -> list[Compared]:
    """`count` views spread evenly over the split's cameras, in the first frame's pose."""
    cameras = capture.cameras(split)
    chosen = np.unique(
        np.linspace(0, len(cameras) - 1, min(count, len(cameras))).round().astype(int)
    )
    cloud = avatar.pose(capture.poses[0].to(device)).to(device)
    window = _common_window([capture.mask(name) for name in cameras[chosen].names])
    return [
        _compare(view, capture, garment, window) for view in render_views(cloud, cameras[chosen])
    ]


def _common_window(masks: list[np.ndarray]) -> tuple[slice, slice]:
    """The box that holds the foreground of every mask, a little grown."""
    rows, columns = np.nonzero(np.max(masks, axis=0) > 0.5)
    grow = round(0.02 * max(masks[0].shape))
    if not len(rows):
        return slice(None), slice(None)
    return (
        slice(max(rows.min() - grow, 0), rows.max() + grow + 1),
        slice(max(columns.min() - grow, 0), columns.max() + grow + 1),
    )


def _compare(view: View, capture: Capture, garment: str | None, window) -> Compared:
    truth, mask = capture.image(view.camera), capture.mask(view.camera)
    rgb, alpha = view.rgb.numpy(), view.alpha.numpy()
    layers = layer_map(view.features, view.alpha).numpy()
    images = {
        "ground truth": on_paper(truth, mask),
        "rendering": on_paper(rgb, alpha),
        "layers": layer_colors(view.features.shape[-1])[layers],
    }
    outline = None
    if garment is not None and (capture.has("truth_labels") or capture.has("labels")):
        outline = garment_mask(reference_labels(capture, view.camera, 0), garment)[window]
    return Compared(
        view.camera,
        {name: image[window] for name, image in images.items()},
        (rgb - truth).mean(axis=2)[window],
        outline,
        image_scores(view, truth, mask)["psnr_crop"][0],
    )


def contact_sheet(views: list[Compared], layer_names: tuple[str, ...], across: int = 2) -> Figure:
    """`across` views a line, four pictures each; one scale for every error, a legend for the layers."""
    lines = -(-len(views) // across)
    height, width = views[0].error.shape
    tile = 15.0 / (4 * across)
    shape = (lines, 4 * across, tile, tile * height / width)
    tiling = Tiling(*shape, row_gap=0.6, top=0.6, bottom=0.85, block=4)
    with styled():
        figure = Figure(figsize=tiling.size)
        for place, view in enumerate(views):
            shown = _draw_view(figure, tiling, place // across, 4 * (place % across), view)
        _draw_scale(figure, tiling, shown)
        _draw_legend(figure, layer_names, any(view.outline is not None for view in views))
    return figure


def _draw_view(figure: Figure, tiling: Tiling, row: int, first: int, view: Compared) -> AxesImage:
    """The four tiles of a view from column `first` on; returns the error's image, for its scale."""
    for offset, name in enumerate(_COLUMNS):
        axes = tiling.axes(figure, row, first + offset)
        if name == "error":
            shown = axes.imshow(view.error, cmap="RdBu_r", vmin=-ERROR_LIMIT, vmax=ERROR_LIMIT)
        else:
            axes.imshow(view.images[name], interpolation="antialiased")
        if name == "layers" and view.outline is not None and view.outline.any():
            axes.contour(view.outline, levels=[0.5], colors=INK, linewidths=0.9)
        x, y = tiling.corner(row, first + offset)
        tiling.text(
            figure, x + tiling.width / 2, y + 0.05, name, ha="center", va="bottom", fontsize=10
        )
    x, y = tiling.corner(row, first)
    caption = f"camera {view.camera}, {view.psnr:.1f} dB in the crop"
    tiling.text(figure, x + 0.04, y + 0.27, caption, va="bottom", fontsize=11, fontweight="bold")
    return shown


def _draw_scale(figure: Figure, tiling: Tiling, shown: AxesImage) -> None:
    place = figure.add_axes(tiling.share(0.4, 0.52, 5.0, 0.14))
    bar = figure.colorbar(shown, cax=place, orientation="horizontal", extend="both")
    bar.set_label("error: rendering minus ground truth, mean of r, g, b (sRGB)")


def _draw_legend(figure: Figure, layer_names: tuple[str, ...], outlined: bool) -> None:
    colors = layer_colors(len(layer_names))[1:]
    handles = [
        Patch(color=color, label=name) for name, color in zip(layer_names, colors, strict=True)
    ]
    if outlined:
        handles.append(Line2D([], [], color=INK, linewidth=0.9, label="true garment outline"))
    figure.legend(handles=handles, loc="lower right", ncols=len(handles), fontsize=11)
