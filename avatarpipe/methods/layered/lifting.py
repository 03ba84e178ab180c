"""Images lifted onto Gaussians: what the pixels that a Gaussian contributes to show, weighted by how much it does.

The weight of a Gaussian in a pixel is the derivative of the pixel's feature by the Gaussian's feature, so one backward
pass a view sums weight times pixel value over all pixels.
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import render
from avatarpipe.training.views import TrainingViews, ViewBatch


def lift(
    cloud: GaussianCloud, views: TrainingViews, pixels: Callable[[ViewBatch], torch.Tensor]
) -> torch.Tensor:
    """(N, D) sums over all views and pixels of compositing weight times `pixels(batch)` (C, H, W, D); `cloud` posed."""
    cloud = cloud.detach()
    total = None
    for index in range(len(views)):
        batch = views.windows([index])
        values = pixels(batch)
        features = torch.zeros(len(cloud), values.shape[-1], device=cloud.device, requires_grad=True)
        image = render(replace(cloud, features=features), batch.cameras).features
        (image * values).sum().backward()
        total = features.grad if total is None else total + features.grad
    return total


def lifted_colors(cloud: GaussianCloud, views: TrainingViews) -> torch.Tensor:
    """(N, 3) mean sRGB that the views show where each posed Gaussian is seen; the mean of all where none is."""
    sums = lift(cloud, views, lambda batch: torch.cat([batch.image, batch.alpha], dim=-1))
    mean = sums[:, :3].sum(dim=0) / sums[:, 3].sum().clamp_min(1e-9)
    colors = sums[:, :3] / sums[:, 3:].clamp_min(1e-9)
    return torch.where(sums[:, 3:] > 0.05, colors, mean).clamp(0.0, 1.0)


def lifted_roles(cloud: GaussianCloud, views: TrainingViews, roles: tuple[int, ...]) -> torch.Tensor:
    """(N, len(roles)) compositing weight of each posed Gaussian on the pixels of each role."""
    return lift(
        cloud, views, lambda batch: torch.stack([batch.roles == r for r in roles], dim=-1).float()
    )
