"""Trainable surfels: activations, Adam moments through rearranging, densification on a known statistic."""

import pytest
import torch

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.training.densify import DensifySettings, ScreenGradients, densify
from avatarpipe.training.surfels import LearningRates, TrainableSurfels


def make(count: int = 6) -> TrainableSurfels:
    g = torch.Generator().manual_seed(0)
    cloud = GaussianCloud(
        torch.randn(count, 3, generator=g), torch.randn(count, 4, generator=g),
        0.005 + 0.01 * torch.rand(count, 2, generator=g), 0.2 + 0.6 * torch.rand(count, generator=g),
        torch.rand(count, 3, generator=g),
    )  # fmt: skip
    return TrainableSurfels.from_cloud(cloud, LearningRates())


def descend(surfels: TrainableSurfels, steps: int) -> None:
    for _ in range(steps):
        cloud = surfels.cloud()
        loss = cloud.means.square().sum() + cloud.colors.sum() + cloud.opacities.sum() + cloud.scales.sum()
        (loss + (cloud.quats - 1).square().sum()).backward()
        surfels.step(0.5)


def test_activations_invert_the_cloud():
    surfels = make()
    cloud = surfels.cloud()
    again = TrainableSurfels.from_cloud(cloud, LearningRates()).cloud()
    for name in ("means", "scales", "opacities", "colors"):
        assert torch.allclose(getattr(cloud, name), getattr(again, name), atol=1e-5), name


def test_the_rate_of_means_falls_log_linearly():
    rates = LearningRates(means=1e-2, means_final=1e-4)
    assert rates.at("means", 0.5) == pytest.approx(1e-3)
    assert rates.at("quats", 0.5) == rates.quats


def test_kept_surfels_go_on_as_if_nothing_had_been_dropped():
    """Adam is per element: dropping others must not change the path of those kept."""
    alone, dropped = make(), make()
    descend(alone, 3), descend(dropped, 3)
    kept = torch.tensor([0, 2, 5])
    nothing = {name: value[:0].detach() for name, value in dropped.raw.items()}
    dropped.rearrange(kept, nothing)
    descend(alone, 3), descend(dropped, 3)
    for name in alone.raw:
        assert torch.equal(alone.raw[name][kept], dropped.raw[name]), name


def test_state_round_trip_is_exact():
    straight, resumed = make(), make()
    descend(straight, 5), descend(resumed, 2)
    resumed = TrainableSurfels.from_state({k: v.clone() for k, v in resumed.state().items()}, LearningRates())
    descend(resumed, 3)
    for name in straight.raw:
        assert torch.equal(straight.raw[name], resumed.raw[name]), name


def pulled(surfels: TrainableSurfels, pull: list[float]) -> ScreenGradients:
    gradients = ScreenGradients(len(surfels), "cpu")
    grad = torch.zeros(1, len(surfels), 2)
    grad[0, :, 0] = torch.tensor(pull)
    gradients.add(grad, torch.ones(1, len(surfels), dtype=torch.int32), 2, 2)
    return gradients


def test_pull_is_averaged_over_the_views_that_saw_the_surfel():
    gradients = ScreenGradients(2, "cpu")
    grad = torch.tensor([[[3.0, 4.0], [1.0, 0.0]]])
    gradients.add(grad, torch.tensor([[2, 0]]), 2, 2)
    gradients.add(grad, torch.tensor([[2, 5]]), 2, 2)
    assert gradients.mean().tolist() == [5.0, 1.0]


def test_large_pulled_surfels_split_small_ones_clone_faint_ones_go():
    surfels = make(4)
    with torch.no_grad():
        surfels.raw["log_scales"][:] = torch.tensor([[0.02], [0.005], [0.005], [0.005]]).log()
        surfels.raw["opacity_logits"][3] = -9.0
    settings = DensifySettings(gradient=0.5, split_above=0.01, min_opacity=0.01, max_points=100)
    before = surfels.means.detach().clone()
    report = densify(surfels, pulled(surfels, [1.0, 1.0, 0.0, 1.0]), settings, torch.Generator().manual_seed(0))
    assert report == {"cloned": 1, "split": 1, "dropped": 1}
    assert len(surfels) == 2 + 1 + 2
    assert torch.equal(surfels.means[:2], before[1:3]) and torch.equal(surfels.means[2], before[1])
    assert torch.allclose(surfels.raw["log_scales"][3:].exp(), torch.full((2, 2), 0.02 / 1.6))
    offsets = surfels.means[3:] - before[0]
    normal = surfels.cloud().quats[3:]
    from avatarpipe.gaussians.rotations import quats_to_matrices

    assert (offsets * quats_to_matrices(normal)[:, :, 2]).sum(dim=1).abs().max() < 1e-6


def test_growth_stops_at_the_limit_and_takes_the_most_pulled():
    surfels = make(6)
    with torch.no_grad():
        surfels.raw["log_scales"][:] = -6.0
    settings = DensifySettings(gradient=0.1, max_points=8)
    pulls = [0.2, 0.9, 0.3, 0.8, 0.4, 0.5]
    before = surfels.means.detach().clone()
    densify(surfels, pulled(surfels, pulls), settings, torch.Generator())
    assert len(surfels) == 8
    assert torch.equal(surfels.means[6:], before[[1, 3]])
