"""The pictures that scores are given to: a manifest and PNGs, and the pixels as the scoring networks want them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from avatarpipe.errors import InputError
from avatarpipe.files import read_json, require_file

# Of RGB in [0, 1]; those of CLIP's training images, which ImageReward shares.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
BATCH = 8


@dataclass(frozen=True)
class Picture:
    """One render, and by which camera."""

    camera: str
    file: Path


@dataclass(frozen=True)
class Pictures:
    """What the manifest says: whose pictures, of which stage, split and layer."""

    subject: str
    stage: str
    split: str
    layer: str
    pictures: tuple[Picture, ...]


def read_pictures(manifest: Path) -> Pictures:
    """The pictures that `manifest` lists; InputError where it is none, is empty, or one of its files is missing."""
    document = read_json(manifest)
    hint = "Rerun the step that draws the pictures (draw-inner)."
    try:
        entries = [
            (entry["camera"], manifest.parent / entry["file"]) for entry in document["pictures"]
        ]
        words = [document[name] for name in ("subject", "stage", "split", "layer")]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{manifest}: no manifest of pictures to score ({error}). {hint}"
        ) from error
    if not entries:
        raise InputError(f"{manifest}: lists no pictures. {hint}")
    return Pictures(
        *words, tuple(Picture(camera, require_file(file, hint)) for camera, file in entries)
    )


def network_pixels(file: Path, size: int) -> torch.Tensor:
    """(3, size, size) float32: the shorter side scaled to `size` (bicubic), the middle cut out, normalised."""
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except OSError as error:
        raise InputError(f"{file}: truncated or no image ({error}). Draw it again.") from error
    scale = size / min(image.size)
    width, height = (max(size, int(side * scale)) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    image = image.resize((width, height), Image.Resampling.BICUBIC).crop(
        (left, top, left + size, top + size)
    )
    values = torch.from_numpy(np.array(image, np.float32) / 255.0).permute(2, 0, 1)
    mean, deviation = (torch.tensor(three)[:, None, None] for three in (MEAN, DEVIATION))
    return (values - mean) / deviation


def batched(pictures: Pictures) -> list[tuple[Picture, ...]]:
    """The pictures in order, BATCH at a time."""
    return [
        pictures.pictures[start : start + BATCH]
        for start in range(0, len(pictures.pictures), BATCH)
    ]


def batch_pixels(batch: tuple[Picture, ...], size: int, device) -> torch.Tensor:
    """(B, 3, size, size) of the pictures of a batch."""
    return torch.stack([network_pixels(picture.file, size) for picture in batch]).to(device)
