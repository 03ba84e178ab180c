"""Scores of rendered views against a capture's images, masks and labels."""

from collections.abc import Iterator

import numpy as np
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import garment_labels
from avatarpipe.evaluation.masks import (
    CLASS_NAMES,
    class_iou,
    layer_map,
    mean_iou,
    rendered_classes,
    truth_classes,
)
from avatarpipe.evaluation.metrics import foreground_crop, psnr, ssim
from avatarpipe.evaluation.rendering import View, render_views
from avatarpipe.evaluation.rows import Scores, score_rows
from avatarpipe.evaluation.threads import in_threads
from avatarpipe.terminal import Track
from avatarpipe.training.lpips import Lpips


def image_scores(
    view: View, image: np.ndarray, mask: np.ndarray, lpips: Lpips | None = None
) -> Scores:
    """PSNR, SSIM (and LPIPS) of the full frame and of the foreground crop, as metrics.py defines them."""
    truth = torch.from_numpy(image)
    scores = _compared(view.rgb, truth, "", lpips)
    if crop := foreground_crop(torch.from_numpy(mask)):
        scores |= _compared(view.rgb[crop], truth[crop], "_crop", lpips)
    return scores


def _compared(ours, truth, suffix: str, lpips: Lpips | None) -> Scores:
    scores = {f"psnr{suffix}": (psnr(ours, truth), "dB"), f"ssim{suffix}": (ssim(ours, truth), "")}
    if lpips is not None and min(ours.shape[:2]) >= lpips.smallest:
        device = lpips.shift.device
        distance = lpips(ours[None].to(device), truth[None].to(device))
        scores[f"lpips_{lpips.net}{suffix}"] = (float(distance), "")
    return scores


def mask_scores(view: View, labels: np.ndarray, garment: str) -> Scores:
    """IoU of background, body and garment, and the mean of the last two, as masks.py defines them."""
    predicted = rendered_classes(layer_map(view.features, view.alpha))
    truth = truth_classes(torch.from_numpy(labels), garment_labels(garment))
    found = class_iou(predicted, truth)
    scores = {f"iou_{name}": (found[name], "") for name in CLASS_NAMES if name in found}
    mean = mean_iou(found)
    return scores if mean is None else scores | {"miou": (mean, "")}


def composite_rows(
    avatar: Avatar,
    capture: Capture,
    split: str,
    garment: str | None,
    lpips: Lpips | None,
    track: Track,
    device="cpu",
) -> Iterator[dict]:
    """Rows of all layers together, in every frame's pose at every camera of the split.

    Masks are scored where `garment` is given, the capture has labels, and the avatar layers to tell apart.
    """
    cameras = capture.cameras(split)
    labelled = capture.has("truth_labels") or capture.has("labels")
    layered = labelled and garment is not None and len(avatar.layer_names) > 1
    for index, frame in enumerate(capture.frame_names):
        cloud = avatar.pose(capture.poses[index].to(device)).to(device)

        def scored(view: View, frame=frame) -> tuple[str, Scores]:
            image, mask = capture.image(view.camera, frame), capture.mask(view.camera, frame)
            scores = image_scores(view, image, mask, lpips)
            if layered:
                scores |= mask_scores(view, reference_labels(capture, view.camera, frame), garment)
            return view.camera, scores

        views = in_threads(scored, render_views(cloud, cameras))
        for camera, scores in track(views, len(cameras), f"{split} views, frame {frame}"):
            yield from score_rows(
                scores, split=split, layer="composite", frame=frame, camera=camera
            )


def reference_labels(capture: Capture, camera: str, frame: int) -> np.ndarray:
    """The exact label map where the capture has one, else the segmenter's."""
    if capture.has("truth_labels"):
        return capture.ground_truth_labels(camera, frame)
    return capture.labels(camera, frame)
