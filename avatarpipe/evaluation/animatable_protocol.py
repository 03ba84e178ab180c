"""What the numbers of an animatable avatar mean, written beside them."""

from collections.abc import Sequence

from avatarpipe.capture.capture import Capture
from avatarpipe.evaluation.cells import Cell
from avatarpipe.evaluation.conventions import PAD, SIDE

METRICS = {
    "psnr_mmlphuman": "10 log10(1 / MSE) over the full frame on white, sRGB in [0, 1]; 100 dB at most",
    "ssim_mmlphuman": "full frame on white, Gaussian window 11, sigma 1.5, population covariance, windows inside the image",
    "lpips_NET_mmlphuman": f"tight box of the mask in a white square, {SIDE} pixels, inputs in [-1, 1]",
    "psnr_ag": "the same number as psnr_mmlphuman: both conventions define it alike",
    "ssim_ag": "full frame on white, even window 7 x 7, sample covariance, windows inside the image, as scikit-image",
    "lpips_NET_ag": f"box of the mask with {PAD} pixels around it in a white square, {SIDE} pixels, channels blue first",
    "fid_ag": f"pytorch-fid of those {SIDE} pixel squares, red first, cut to 8 bits; of one cell as a whole. It falls with "
    "the number of views: compare only between avatars in the same cell",
    "psnr_foreground": "10 log10(1 / MSE) over the pixels of the mask alone",
}


def animatable_protocol(
    capture: Capture, cells: Sequence[Cell], every: dict[str, int], notes: dict
) -> dict:
    """Cells, masks, background and conventions behind the metrics; `notes` says what came of LPIPS and FID."""
    size = capture.cameras()
    return {
        "subject": capture.subject,
        "cells": {cell.name: _described(capture, cell) for cell in cells},
        "every": every,
        "image_size": [size.width, size.height],
        "truth": "photograph where the mask is above 0.5, white elsewhere; silhouette edges are not left out",
        "rendering": "over white, not rounded to 8 bits",
        "checked": "no frame is seen and novel, no novel pose was trained on, every seen pose was, no held-out camera "
        "stands where a training camera does",
        "conventions": "by the last part of a metric's name: mmlphuman, ag (AnimatableGaussians); not interchangeable",
        "metrics": METRICS,
        **notes,
    }


def _described(capture: Capture, cell: Cell) -> dict:
    seen = sum(
        capture.seen(camera, frame) for frame in cell.frames for camera in cell.cameras.names
    )
    return {"frames": list(cell.frames), "cameras": list(cell.cameras.names), "views": seen}
