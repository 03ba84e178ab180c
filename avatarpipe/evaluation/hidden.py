"""The body under the clothes, which only a synthetic subject shows: how well the inner layer guesses it."""

from collections.abc import Iterator

import numpy as np
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import garment_mask
from avatarpipe.evaluation.metrics import psnr
from avatarpipe.evaluation.rendering import View, render_views
from avatarpipe.evaluation.rows import Scores, score_rows
from avatarpipe.evaluation.threads import in_threads
from avatarpipe.terminal import Track


def hidden_scores(view: View, truth: np.ndarray, region: np.ndarray) -> Scores:
    """PSNR of the inner layer alone against the true undressed body, both on black.

    hidden_psnr: over `region` (H, W), the pixels that the garment hides. hidden_psnr_full: over the full frame.
    truth: (H, W, 3).
    """
    target = torch.from_numpy(truth)
    scores = {"hidden_psnr_full": (psnr(view.rgb, target), "dB")}
    if region.any():
        scores["hidden_psnr"] = (psnr(view.rgb, target, torch.from_numpy(region)), "dB")
    return scores


def hidden_region(labels: np.ndarray, garment: str, undressed: np.ndarray) -> np.ndarray:
    """(H, W) bool: labelled as garment on the clothed subject, and covered by the undressed one (mask > 0.5)."""
    return garment_mask(labels, garment) & (undressed > 0.5)


def hidden_rows(
    avatar: Avatar, capture: Capture, split: str, garment: str, track: Track, device="cpu", **where
) -> Iterator[dict]:
    """Rows of the avatar's first layer rendered alone in the first frame's pose at every camera of the split."""
    cameras, inner = capture.cameras(split), avatar.layer_names[0]
    cloud = avatar.pose(capture.poses[0].to(device), layers=(inner,)).to(device)
    frame = capture.frame_names[0]

    def scored(view: View) -> tuple[str, Scores]:
        labels = capture.ground_truth_labels(view.camera)
        region = hidden_region(labels, garment, capture.hidden_mask(view.camera, garment))
        return view.camera, hidden_scores(view, capture.hidden_image(view.camera, garment), region)

    views = in_threads(scored, render_views(cloud, cameras))
    for camera, scores in track(views, len(cameras), f"{split} views, hidden body"):
        yield from score_rows(
            scores, split=split, layer=inner, frame=frame, camera=camera, **where
        )
