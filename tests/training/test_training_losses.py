"""Losses against scikit-image and plain formulas."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from avatarpipe.training.losses import dssim, normal_consistency, photometric, ssim_map, weighted_l1


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    first = rng.random((2, 40, 36, 3)).astype(np.float32)
    second = np.clip(first + rng.normal(0, 0.1, first.shape), 0, 1).astype(np.float32)
    return torch.from_numpy(first), torch.from_numpy(second)


def test_ssim_is_that_of_scikit_image_away_from_the_border(images):
    first, second = images
    ours = ssim_map(first, second)[0].permute(1, 2, 0).numpy()
    _, theirs = structural_similarity(
        first[0].numpy(), second[0].numpy(), gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=1.0, channel_axis=-1, full=True,
    )  # fmt: skip
    inner = (slice(6, -6), slice(6, -6))
    assert np.abs(ours[inner] - theirs[inner]).max() < 1e-4


def test_ssim_gradient_is_that_of_finite_differences(images):
    first, second = (x[:1, :14, :14].double() for x in images)
    assert torch.autograd.gradcheck(lambda x: dssim(x, second.float().double()), first.requires_grad_(), atol=1e-5)


def test_photometric_is_zero_only_for_equal_images(images):
    first, second = images
    assert photometric(first, first).item() == pytest.approx(0.0, abs=1e-5)
    wanted = 0.8 * (first - second).abs().mean() + 0.2 * (1 - ssim_map(first, second).mean())
    assert photometric(first, second).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_weights_silence_pixels(images):
    first, second = images
    weight = torch.zeros(2, 40, 36, 1)
    weight[:, :20] = 1
    assert weighted_l1(first, second, weight).item() == pytest.approx(
        (first - second)[:, :20].abs().sum().item() / first.numel(), rel=1e-5
    )


def test_normal_consistency_counts_the_angle():
    a = torch.tensor([0.0, 0.0, 1.0]).expand(1, 4, 4, 3)
    b = torch.tensor([0.0, 1.0, 0.0]).expand(1, 4, 4, 3)
    ones = torch.ones(1, 4, 4, 1)
    assert normal_consistency(a, a, ones).item() == 0.0
    assert normal_consistency(a, b, ones).item() == 1.0
