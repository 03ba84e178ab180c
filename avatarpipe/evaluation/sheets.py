"""Held-out views in a row each: photograph, rendering, signed error, layers."""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import garment_mask
from avatarpipe.evaluation.masks import layer_map
from avatarpipe.evaluation.rendering import View, render_views
from avatarpipe.evaluation.style import INK, layer_colors, on_paper, styled
from avatarpipe.evaluation.views import image_scores, reference_labels

ERROR_LIMIT = 0.2
_COLUMNS = ("photograph", "rendering", "error", "layers")


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
    # a stride coprime to the rings of the rig, so that the views differ in elevation and in azimuth
    chosen = np.unique(np.linspace(0, len(cameras) - 1, min(count, len(cameras))).round().astype(int))
    cloud = avatar.pose(capture.poses[0].to(device)).to(device)
    window = _common_window([capture.mask(name) for name in cameras[chosen].names])
    return [_compare(view, capture, garment, window) for view in render_views(cloud, cameras[chosen])]


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
        "photograph": on_paper(truth, mask),
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
    tile = 15.0 / (4 * across + 0.3 * (across - 1))
    with styled():
        figure = Figure(figsize=(15.0, lines * (tile * height / width + 0.32) + 1.0), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0, hspace=0.01)
        blocks = figure.subfigures(lines, across, squeeze=False, wspace=0.02)
        for block, view in zip(blocks.flat, views, strict=False):
            shown = _draw_view(block, view)
        _draw_legends(figure, shown, layer_names)
    return figure


def _draw_view(block, view: Compared):
    axes = block.subplots(1, 4)
    for place, name in zip(axes, _COLUMNS, strict=True):
        place.set_axis_off()
        place.set_title(name, fontsize=9, fontweight="normal", loc="center", pad=3)
        if name != "error":
            place.imshow(view.images[name], interpolation="antialiased")
    shown = axes[2].imshow(view.error, cmap="RdBu_r", vmin=-ERROR_LIMIT, vmax=ERROR_LIMIT)
    if view.outline is not None and view.outline.any():
        axes[3].contour(view.outline, levels=[0.5], colors=INK, linewidths=0.8)
    block.suptitle(f"camera {view.camera}: {view.psnr:.1f} dB in the crop", fontsize=10, fontweight="bold")
    return shown


def _draw_legends(figure: Figure, shown, layer_names: tuple[str, ...]) -> None:
    bar = figure.colorbar(
        shown, ax=figure.subfigs[-1].axes if False else None, cax=figure.add_axes((0.08, 0.03, 0.34, 0.012)),
        orientation="horizontal",
    )  # fmt: skip
    bar.set_label("rendering minus photograph, mean of r, g, b (sRGB)")
    colors = layer_colors(len(layer_names))[1:]
    handles = [Patch(color=color, label=name) for name, color in zip(layer_names, colors, strict=True)]
    handles.append(matplotlib.lines.Line2D([], [], color=INK, linewidth=0.8, label="true garment outline"))
    figure.legend(handles=handles, loc="lower right", ncols=len(handles), bbox_to_anchor=(0.98, 0.005))
