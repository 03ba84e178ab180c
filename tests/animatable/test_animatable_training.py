"""Losses by hand, step sizes as published, a restart without loss, and a moving cloud learnt."""

import numpy as np
import pytest
import torch
from animatable_parts import random_pose, tiny_model

from avatarpipe.errors import InputError
from avatarpipe.methods.animatable.descent import Descent, camera_extent
from avatarpipe.methods.animatable.losses import (
    comparable,
    scale_penalty,
    smoothness,
    subject_squares,
)
from avatarpipe.methods.animatable.mixing import neighbour_differences
from avatarpipe.methods.animatable.settings import AnimatableSettings, Rates, animatable_settings

FAST = Rates(
    controls=2e-3, control_bases=2e-3, looks=1e-2, look_bases=1e-2, networks=2e-3, shifts=1e-2
)


def test_terms_of_two_points_by_hand():
    places = np.array([[0.0, 0, 0], [1, 0, 0]])
    offsets = torch.tensor([[0.0, 0, 0], [0, 3, 4]])
    differences = neighbour_differences(places, 2)
    assert float(smoothness(offsets, differences, 2)) == pytest.approx((5 + 5) / 4)
    scales = torch.tensor([[0.02, 0.005, 0.011], [0.01, 0.0, 0.03]])
    assert float(scale_penalty(scales, 0.01)) == pytest.approx((0.02 + 0.011 + 0.03) / 6)


def test_smoothness_at_rest_has_a_gradient_of_zero():
    offsets = torch.zeros(20, 3, requires_grad=True)
    smoothness(
        offsets, neighbour_differences(np.random.default_rng(0).random((20, 3)), 7), 7
    ).backward()
    assert torch.equal(offsets.grad, torch.zeros(20, 3))


def test_boundary_pixels_teach_nothing_and_both_images_share_the_background():
    rgb = torch.rand(1, 4, 4, 3, requires_grad=True)
    alpha = torch.zeros(1, 4, 4, 1, dtype=torch.uint8)
    alpha[:, 1:3] = 255
    image, background = torch.randint(256, (1, 4, 4, 3)) * (alpha > 0), torch.tensor([0.2, 0.5, 0.9])
    boundary = torch.zeros(1, 4, 4, dtype=torch.bool)
    boundary[:, 1] = True
    rendered, target = comparable(rgb, image, alpha, boundary, background)
    (rendered - target).abs().sum().backward()
    assert torch.equal(target[0, 0], background.expand(4, 3)) and torch.equal(
        target[0, 2], image[0, 2] / 255.0
    )
    assert (rgb.grad[0, 1] == 0).all() and (rgb.grad[0, 2] != 0).all()


def test_squares_hold_the_subject_in_the_middle():
    image = torch.zeros(1, 20, 30, 3)
    image[:, 5:15, 8:12] = 1.0
    fill = torch.tensor([0.5, 0.5, 0.5])
    square = subject_squares(image, [(8, 5, 12, 15)], 10, fill)[0]
    assert (
        (square[:, :, 3:7] == 1).all()
        and (square[:, :, :3] == 0.5).all()
        and (square[:, :, 7:] == 0.5).all()
    )
    whole = torch.rand(1, 40, 40, 3)
    window = subject_squares(whole, [(0, 0, 40, 40)], 16, fill, [3])
    again = subject_squares(whole, [(0, 0, 40, 40)], 16, fill, [3])
    assert torch.equal(window, again) and window.shape == (1, 3, 16, 16)
    assert any(
        torch.allclose(whole[0, y : y + 16, x : x + 16].permute(2, 0, 1), window[0])
        for y in range(25) for x in range(25)
    )  # fmt: skip


def test_published_numbers_and_unknown_keys():
    settings = AnimatableSettings()
    assert (settings.model.anchors, settings.model.gaussians, settings.model.controls) == (
        300,
        200_000,
        10_000,
    )
    assert animatable_settings({"model": {"widths": [8, 8]}}).model.widths == (8, 8)
    with pytest.raises(InputError, match=r"animatable\.rates: unknown key mlp"):
        animatable_settings({"rates": {"mlp": 1}})


def test_step_sizes_fall_as_published():
    descent = Descent(
        {"controls": torch.zeros(1, 3), "look_bases": torch.zeros(1)}, Rates(), extent=2.0
    )
    assert descent.rate("controls", 0.0) == pytest.approx(3.2e-4)
    assert descent.rate("controls", 1.0) == pytest.approx(3.2e-6)
    assert descent.rate("networks", 0.5) == pytest.approx(5e-4 * 0.1**0.5)
    assert descent.rate("look_bases", 1.0) == pytest.approx(1e-4)


def test_the_extent_of_a_ring_of_cameras():
    w2c = torch.eye(4).repeat(4, 1, 1)
    for k, angle in enumerate(torch.arange(4) * torch.pi / 2):
        c, s = angle.cos(), angle.sin()
        w2c[k, :3, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        w2c[k, 2, 3] = 3.0
    assert camera_extent(w2c, "centres") == pytest.approx(3.3, rel=1e-4)
    assert camera_extent(w2c, "w2c_translations") == pytest.approx(0.0, abs=1e-5)


class _MovingCloud:
    """Two poses of the Gaussians of a model, waves of position, size and colour different in each."""

    def __init__(self, body):
        self.model = tiny_model(body)
        points = self.model.scaffold.points
        self.poses = [random_pose(seed).body_pose[0] for seed in (21, 22)]
        self.wanted = [
            (points + 0.02 * torch.sin(8 * points.roll(k, 1) + k), torch.sin(5 * points + 2 * k))
            for k in (0, 1)
        ]
        self.descent = Descent(self.model.parameters, FAST, extent=1.0)

    def loss(self, k: int) -> torch.Tensor:
        canonical, (means, colors) = (
            self.model.canonical(self.poses[k], harmonics=False),
            self.wanted[k],
        )
        return (
            50 * (canonical.means - means).abs().mean() + (canonical.sh[:, 0] - colors).abs().mean()
        )

    def run(self, start: int, stop: int) -> None:
        for step in range(start, stop):
            self.loss(step % 2).backward()
            self.descent.step(step / 400)

    def total(self) -> float:
        with torch.no_grad():
            return float(self.loss(0) + self.loss(1))


def test_two_poses_of_a_moving_cloud_are_learnt(fake_body):
    cloud = _MovingCloud(fake_body)
    before = cloud.total()
    cloud.run(0, 400)
    assert cloud.total() < 0.15 * before
    with torch.no_grad():
        shift = (
            cloud.model.canonical(cloud.poses[0]).means
            - cloud.model.canonical(cloud.poses[1]).means
        )
    assert shift.norm(dim=1).mean() > 0.005  # of the pose, which no neutral Gaussian can show


def test_a_restart_loses_nothing(fake_body):
    whole, first, second = (_MovingCloud(fake_body) for _ in range(3))
    whole.run(0, 12)
    first.run(0, 5)
    second.descent.restore({name: value.clone() for name, value in first.descent.state().items()})
    second.run(5, 12)
    for name, value in whole.descent.state().items():
        assert torch.equal(value, second.descent.state()[name]), name
    assert "exp_avg.harmonics" not in whole.descent.state()  # never had a gradient
