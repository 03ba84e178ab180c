"""Clouds and an avatar for the tests of exports, drawn at random but alike each time."""

import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import bind, canonical_vertices
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.skinned_avatar import SkinnedAvatar, SkinnedLayer


def ellipsoid_cloud(count: int = 300, coefficients: int = 0, seed: int = 0) -> GaussianCloud:
    """Ellipsoids of any turn, size and opacity; coefficients: 0 for constant colours, else of the harmonics."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    placed = (
        2 * draw(count, 3) - 1,
        torch.randn(count, 4, generator=generator),
        0.01 + 0.1 * draw(count, 3),
        0.02 + 0.96 * draw(count),
    )
    if not coefficients:
        return GaussianCloud(*placed, colors=draw(count, 3), kind="ellipsoid")
    sh = 0.4 * torch.randn(count, coefficients, 3, generator=generator)
    return GaussianCloud(*placed, sh=sh, kind="ellipsoid")


def skinned_avatar(body, captured: BodyParams) -> SkinnedAvatar:
    """Two layers of surfels, each at every so manyth vertex of the body."""
    generator = torch.Generator().manual_seed(0)

    def layer(every: int) -> SkinnedLayer:
        points = canonical_vertices(body)[::every].contiguous()
        count = len(points)
        cloud = GaussianCloud(
            points,
            torch.randn(count, 4, generator=generator),
            0.01 * torch.rand(count, 3, generator=generator) + 0.002,
            torch.rand(count, generator=generator),
            torch.rand(count, 3, generator=generator),
        )
        return SkinnedLayer(cloud, bind(points, body))

    return SkinnedAvatar("ann", body, captured, {"inner": layer(20), "outer": layer(30)})
