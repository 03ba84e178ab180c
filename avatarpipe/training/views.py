"""The views of one captured frame on the training device, cropped to the subject."""

from dataclasses import dataclass

import numpy as np
import torch

from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError


@dataclass
class ViewBatch:
    """C views of one size, as the renderer and the losses want them."""

    viewmats: torch.Tensor  # (C, 4, 4) w2c
    Ks: torch.Tensor  # (C, 3, 3)
    width: int
    height: int
    image: torch.Tensor  # (C, H, W, 3) sRGB, on black
    alpha: torch.Tensor  # (C, H, W, 1)
    roles: torch.Tensor | None  # (C, H, W) uint8, whatever the method put there

    @property
    def cameras(self) -> tuple:
        """What `render` takes as cameras."""
        return self.viewmats, self.Ks, self.width, self.height


class TrainingViews:
    """All views of a split, kept as bytes on `device`.

    Batches are windows of one common size around the subject, with `margin` pixels of background: most of a full image
    is background and teaches nothing. Every `full_every` iterations a batch is full frames, so that nothing can hide
    outside of the windows.
    """

    def __init__(self, capture: Capture, split: str, device, margin: int = 16, full_every: int = 16):
        cameras = capture.cameras(split)
        self.names = cameras.names
        self.width, self.height = cameras.width, cameras.height
        self.viewmats, self.Ks = cameras.tensors(device)
        self.full_every = full_every
        masks = capture.stack(split, "masks")
        self.origins, self.size = _windows(masks, margin)
        self.window_Ks = self.Ks.clone()
        self.window_Ks[:, :2, 2] -= torch.as_tensor(self.origins).to(self.Ks)
        self.images = _bytes(capture.stack(split, "images"), device)
        self.masks = _bytes(masks, device)
        self.roles: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, step: int, count: int, seed: int) -> ViewBatch:
        """The `count` views of iteration `step`: each view once an epoch, in an order drawn from `seed`."""
        chosen = [
            _permutation(len(self), seed + place // len(self))[place % len(self)]
            for place in range(step * count, (step + 1) * count)
        ]
        return self.full(chosen) if step % self.full_every == 0 else self.windows(chosen)

    def full(self, indices: list[int]) -> ViewBatch:
        """Whole images of the views at `indices`."""
        whole = (slice(0, self.height), slice(0, self.width))
        return self._cut(indices, [whole] * len(indices), self.Ks)

    def windows(self, indices: list[int]) -> ViewBatch:
        """The windows around the subject of the views at `indices`."""
        height, width = self.size
        areas = [(slice(y, y + height), slice(x, x + width)) for x, y in self.origins[indices].tolist()]
        return self._cut(indices, areas, self.window_Ks)

    def _cut(self, indices: list[int], areas: list[tuple], Ks: torch.Tensor) -> ViewBatch:
        """Nothing here makes the host wait for the GPU, as indexing by a list or moving a tensor there would."""
        pairs = list(zip(indices, areas, strict=True))
        image = torch.stack([self.images[i][area] for i, area in pairs])
        alpha = torch.stack([self.masks[i][area] for i, area in pairs])
        roles = None
        if self.roles is not None:
            roles = torch.stack([self.roles[i][area] for i, area in pairs])
        viewmats, Ks = (torch.stack([x[i] for i in indices]) for x in (self.viewmats, Ks))
        return ViewBatch(
            viewmats, Ks, image.shape[2], image.shape[1],
            image.float() / 255.0, alpha[..., None].float() / 255.0, roles,
        )  # fmt: skip


def _bytes(values: np.ndarray, device) -> torch.Tensor:
    return torch.from_numpy((values * 255.0 + 0.5).astype(np.uint8)).to(device)


def _permutation(count: int, seed: int) -> list[int]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()


def _windows(masks: np.ndarray, margin: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Top-left corners (V, 2) as x, y and the common (height, width) of windows that hold every mask."""
    height, width = masks.shape[1:]
    boxes = np.array([_box(mask) for mask in masks])  # x0, y0, x1, y1
    size = (boxes[:, 2:] - boxes[:, :2]).max(axis=0) + 2 * margin
    size = np.minimum(-(-size // 16) * 16, [width, height])
    corners = (boxes[:, :2] + boxes[:, 2:] - size) // 2
    return np.clip(corners, 0, np.array([width, height]) - size), (int(size[1]), int(size[0]))


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise InputError("an empty mask: the subject is in none of a view's pixels. Check masks and cameras.")
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
