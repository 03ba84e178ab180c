"""Which layer a pixel belongs to, and how well that agrees with the labels of the photograph."""

from collections.abc import Sequence

import torch
from torch import Tensor

BACKGROUND, BODY, GARMENT = 0, 1, 2
CLASS_NAMES = ("background", "body", "garment")


def layer_map(features: Tensor, alpha: Tensor) -> Tensor:
    """(..., H, W) int64: 0 where alpha <= 0.5, else 1 + the index of the layer with the largest accumulated weight.

    features: (..., H, W, L) one-hot layer channels as composited by the renderer. alpha: (..., H, W).
    """
    return torch.where(alpha > 0.5, features.argmax(dim=-1) + 1, 0)


def rendered_classes(layers: Tensor) -> Tensor:
    """Layer map to classes: background, body (the first layer), garment (any other)."""
    return layers.clamp_max(GARMENT)


def truth_classes(labels: Tensor, garment: Sequence[int]) -> Tensor:
    """(H, W) label map of a capture to classes; `garment` lists the labels that the outer layer holds."""
    is_garment = torch.isin(
        labels.long(), torch.tensor(sorted(map(int, garment)), device=labels.device)
    )
    return torch.where(is_garment, GARMENT, (labels > 0).long())


def class_iou(predicted: Tensor, truth: Tensor) -> dict[str, float]:
    """Intersection over union of each class, by name; a class that neither map holds is left out."""
    scores = {}
    for index, name in enumerate(CLASS_NAMES):
        ours, theirs = predicted == index, truth == index
        union = (ours | theirs).sum()
        if union > 0:
            scores[name] = float((ours & theirs).sum() / union)
    return scores


def mean_iou(scores: dict[str, float]) -> float | None:
    """Mean of the body's and the garment's IoU; None where a view holds neither of one of them."""
    if not {"body", "garment"} <= scores.keys():
        return None
    return (scores["body"] + scores["garment"]) / 2
