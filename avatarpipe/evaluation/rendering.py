"""Render an avatar at many cameras without holding more than a batch of them in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from avatarpipe.cameras import Cameras
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import render

BATCH = 8
BLACK = (0.0, 0.0, 0.0)


@dataclass
class View:
    """What one camera saw, on the CPU."""

    camera: str
    rgb: Tensor
    """(H, W, 3) sRGB in [0, 1], composited over the background colour."""
    alpha: Tensor
    """(H, W) in [0, 1]."""
    features: Tensor | None
    """(H, W, L) accumulated weight of each layer."""


@torch.no_grad()
def render_views(
    cloud: GaussianCloud, cameras: Cameras, background=BLACK, batch: int = BATCH
) -> Iterator[View]:
    """The view of each camera in order, `batch` cameras rendered at a time on the cloud's device."""
    colour = torch.tensor(background, dtype=torch.float32, device=cloud.device)
    for start in range(0, len(cameras), batch):
        chunk = cameras[start : start + batch]
        result = render(cloud, chunk, background=colour)
        rgb, alpha = result.rgb.clamp(0, 1).cpu(), result.alpha[..., 0].clamp(0, 1).cpu()
        features = None if result.features is None else result.features.cpu()
        for index, name in enumerate(chunk.names):
            yield View(
                name, rgb[index], alpha[index], None if features is None else features[index]
            )
