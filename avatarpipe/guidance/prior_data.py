"""Pictures that a prior learns from: renders of people with their skeletons, kept in shards of one person each.

A shard is an npz: colors (N, S, S, 3) on black, alpha (N, S, S), skeletons (N, S, S, 3), all uint8; hidden (N, S, S) bool,
what an imagined garment would cover; classes (N,) int64 (prior_words); tones (N, 3) float32, the mean of the visible skin.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn.functional import max_pool2d

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file
from avatarpipe.guidance.model import Seen
from avatarpipe.guidance.prior_words import PEOPLE
from avatarpipe.guidance.words import PERSON, VIEWS

FIRST_SEED = {"train": 10_000, "test": 900_000}
GAIN = 0.1  # that each colour channel of an image varies by, so that more colours are met than people have
NEUTRAL_SHARE = 0.15  # of images whose words leave open whether a man or a woman is shown
BLACK_SHARE = 0.3  # of images that lie on black
TONE_ERROR = 0.02  # standard deviation of what is told of the tone


def prior_seeds(split: str, count: int, exclude: Sequence[int] = ()) -> list[int]:
    """`count` seeds of people for "train" or "test"; the splits share none, and none is in `exclude`."""
    first, barred = FIRST_SEED[split], set(exclude)
    limit = FIRST_SEED["test"] if split == "train" else 2**31
    seeds = [seed for seed in range(first, first + count + len(barred)) if seed not in barred][
        :count
    ]
    if seeds and seeds[-1] >= limit:
        raise InputError(
            f"prior.bodies: {count} is too many; at most {limit - first - len(barred)} are possible."
        )
    return seeds


@dataclass
class Shard:
    """N pictures of one person; see the module for shapes."""

    colors: np.ndarray
    alpha: np.ndarray
    hidden: np.ndarray
    skeletons: np.ndarray
    classes: np.ndarray
    tones: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def save(self, path: str | Path) -> None:
        """Write the npz, compressed, whole or not at all."""
        with atomic_file(path) as temporary:
            np.savez_compressed(
                temporary, **{field.name: getattr(self, field.name) for field in fields(self)}
            )

    @staticmethod
    def load(path: str | Path) -> "Shard":
        """Read what `save` wrote; InputError where it is broken."""
        try:
            with np.load(path) as archive:
                return Shard(**{field.name: archive[field.name] for field in fields(Shard)})
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path}: not a shard of a prior's images ({error}). Delete it and run again."
            ) from error

    def resized(self, size: int) -> "Shard":
        """The pictures averaged to `size` pixels; what is hidden in part is hidden."""
        if self.alpha.shape[-1] == size:
            return self
        small = {name: _averaged(getattr(self, name), size) for name in ("colors", "alpha", "skeletons")}
        hidden = _averaged(self.hidden.astype(np.uint8) * 255, size) > 64
        return replace(self, **small, hidden=hidden)

    @staticmethod
    def concatenate(shards: Sequence["Shard"]) -> "Shard":
        """All pictures of `shards`."""
        names = [field.name for field in fields(Shard)]
        return Shard(
            *(np.concatenate([getattr(shard, name) for shard in shards]) for name in names)
        )


def _averaged(images: np.ndarray, size: int) -> np.ndarray:
    """(N, size, size, ...) means over areas of (N, S, S, ...)."""
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images])


@dataclass
class PriorBatch:
    """B pictures as the network is trained on."""

    images: torch.Tensor  # (B, S, S, 3) in [0, 1], over their backgrounds
    skeletons: torch.Tensor  # (B, S, S, 3) in [0, 1]
    seen: Seen
    hidden: torch.Tensor  # (B, S, S) bool
    classes: torch.Tensor  # (B,)
    tones: torch.Tensor  # (B, 3)


class PriorImages:
    """All pictures as bytes on `device`."""

    def __init__(self, pictures: Shard, device: torch.device):
        self.device = device
        self._parts = {
            field.name: torch.from_numpy(getattr(pictures, field.name)).to(device)
            for field in fields(Shard)
        }

    def __len__(self) -> int:
        return len(self._parts["classes"])

    def at(self, indices: torch.Tensor, background: float = 0.0) -> PriorBatch:
        """The pictures at `indices` as they are, on a grey or black background."""
        plain = torch.full((len(indices), 3), background, device=self.device)
        return self._composed(
            indices, torch.ones_like(plain), plain, torch.zeros_like(indices, dtype=torch.bool)
        )

    def batch(self, count: int, generator: torch.Generator) -> PriorBatch:
        """`count` pictures drawn at random and varied.

        Their colours are tinted, they lie over any colour or, like captures, over black, the hidden parts of some are
        grown by a pixel, the words of some made neutral, and the tone is told with an error.
        """
        draw = {"generator": generator, "device": self.device}
        indices = torch.randint(0, len(self), (count,), **draw)
        gain = 1.0 + GAIN * (2.0 * torch.rand(count, 3, **draw) - 1.0)
        coloured = torch.rand(count, 1, **draw) > BLACK_SHARE
        backgrounds = torch.rand(count, 3, **draw) * coloured
        batch = self._composed(indices, gain, backgrounds, torch.rand(count, **draw) < 0.5)
        error = TONE_ERROR * torch.randn(count, 3, **draw)
        neutral = torch.rand(count, **draw) < NEUTRAL_SHARE
        classes = torch.where(neutral, neutral_classes(batch.classes), batch.classes)
        return replace(batch, tones=(batch.tones + error).clamp(0.0, 1.0), classes=classes)

    def _composed(
        self,
        indices: torch.Tensor,
        gain: torch.Tensor,
        backgrounds: torch.Tensor,
        grown: torch.Tensor,
    ) -> PriorBatch:
        part = {name: values[indices] for name, values in self._parts.items()}
        colors = (part["colors"].float() / 255.0 * gain[:, None, None]).clamp(0.0, 1.0)
        alpha = part["alpha"][..., None].float() / 255.0
        certain = alpha * ~part["hidden"][..., None]
        certain = torch.where(grown[:, None, None, None], _shrunk(certain), certain)
        seen = Seen(colors * (certain / alpha.clamp_min(1e-3)), certain, backgrounds)
        skeletons, tones = part["skeletons"].float() / 255.0, part["tones"] * gain
        images = _over(colors, alpha, backgrounds)
        return PriorBatch(images, skeletons, seen, part["hidden"], part["classes"], tones)


def _over(colors: torch.Tensor, alpha: torch.Tensor, backgrounds: torch.Tensor) -> torch.Tensor:
    return colors + (1.0 - alpha) * backgrounds[:, None, None]


def _shrunk(certainty: torch.Tensor) -> torch.Tensor:
    """(B, S, S, 1) the least certainty in each pixel's neighbourhood."""
    return -max_pool2d(-certainty.permute(0, 3, 1, 2), 3, 1, 1).permute(0, 2, 3, 1)


def neutral_classes(classes: torch.Tensor) -> torch.Tensor:
    """(B,) the same classes with "person" instead of man or woman."""
    views = 2 * len(VIEWS)
    return classes % views + PEOPLE.index(PERSON["neutral"]) * views
