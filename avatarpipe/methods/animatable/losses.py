"""What the training of an animatable avatar minimises."""

from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import interpolate, pad

from avatarpipe.methods.animatable.mixing import Mixing

Perceptual = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""A distance of two (C, 3, S, S) batches of sRGB images in [0, 1], as one number; it must let the gradient through."""
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom excluded


def comparable(
    rgb: torch.Tensor,
    image: torch.Tensor,
    alpha: torch.Tensor,
    boundary: torch.Tensor | None,
    background: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rendering and the photograph, both (C, H, W, 3) over one background, equal where nothing is to be learnt.

    rgb: rendered over `background` (3,). image: (C, H, W, 3) bytes, times their mask. alpha: (C, H, W, 1) bytes, that mask.
    boundary: (C, H, W) bool, pixels at the silhouette's edge, which give no gradient; None for none.
    """
    target = image / 255.0 + (1.0 - alpha / 255.0) * background
    rendered = rgb.clamp(0.0, 1.0)
    if boundary is None:
        return rendered, target
    edge = boundary[..., None]
    return torch.where(edge, background, rendered), torch.where(edge, background, target)


def smoothness(offsets: torch.Tensor, differences: Mixing, neighbours: int) -> torch.Tensor:
    """Mean distance, metres, between the (C, 3) offsets of each control point and of its neighbours.

    `neighbours` counts the point itself, as the published mean does: of seven, six differ.
    """
    return differences(offsets).norm(dim=1).sum() / (len(offsets) * neighbours)


def scale_penalty(scales: torch.Tensor, limit: float) -> torch.Tensor:
    """Mean over all (N, 3) standard deviations of those above `limit` metres, in metres."""
    return torch.where(scales > limit, scales, 0.0).mean()


def subject_squares(
    images: torch.Tensor,
    boxes: list[Box],
    size: int,
    fill: torch.Tensor,
    seeds: Sequence[int] | None = None,
) -> torch.Tensor:
    """(C, 3, size, size) of (C, H, W, 3) images: each box in the middle of a square of `fill` (3,), resized.

    seeds: given, C of them, a larger square is not resized, a random window is taken from it; the same for the same seed.
    """
    squares = [_square(image, box, fill) for image, box in zip(images, boxes, strict=True)]
    seeds = [None] * len(boxes) if seeds is None else seeds
    return torch.cat([_fitted(*one, size) for one in zip(squares, seeds, strict=True)])


def _square(image: torch.Tensor, box: Box, fill: torch.Tensor) -> torch.Tensor:
    """(1, 3, S, S) with S the longer side of the box."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    side = max(width, height)
    x, y = (side - width) // 2, (side - height) // 2
    margins = (x, side - width - x, y, side - height - y)
    cut = image[top:bottom, left:right].permute(2, 0, 1) - fill[:, None, None]
    return (pad(cut, margins) + fill[:, None, None])[None]


def _fitted(square: torch.Tensor, seed: int | None, size: int) -> torch.Tensor:
    side = square.shape[-1]
    if seed is None or side <= size:
        return interpolate(square, (size, size), mode="bilinear", align_corners=False)
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.randint(side - size + 1, (2,), generator=generator).tolist()
    return square[..., y : y + size, x : x + size]
