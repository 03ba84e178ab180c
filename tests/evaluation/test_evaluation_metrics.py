"""PSNR, SSIM and the crop against scikit-image and by hand."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from avatarpipe.evaluation.metrics import WINDOW, foreground_crop, psnr, ssim, ssim_map


@pytest.fixture
def pair():
    generator = np.random.default_rng(3)
    smooth = np.cumsum(generator.normal(size=(40, 53, 3)), axis=0)
    truth = (smooth - smooth.min()) / np.ptp(smooth)
    noisy = np.clip(truth + generator.normal(scale=0.08, size=truth.shape), 0, 1)
    return torch.from_numpy(noisy), torch.from_numpy(truth)


def test_psnr_is_scikit_images(pair):
    noisy, truth = pair
    expected = peak_signal_noise_ratio(truth.numpy(), noisy.numpy(), data_range=1.0)
    assert psnr(noisy, truth) == pytest.approx(expected, abs=1e-9)


def test_psnr_of_a_region_sees_only_the_region(pair):
    _, truth = pair
    wrong = truth.clone()
    wrong[:10] = 0
    region = torch.zeros(40, 53, dtype=torch.bool)
    region[10:] = True
    assert psnr(wrong, truth, region) == 100.0
    assert psnr(wrong, truth) < 30
    with pytest.raises(ValueError, match="empty"):
        psnr(wrong, truth, torch.zeros(40, 53, dtype=torch.bool))


def test_ssim_is_scikit_images_away_from_the_border(pair):
    noisy, truth = pair
    _, expected = structural_similarity(
        truth.numpy(), noisy.numpy(), data_range=1.0, channel_axis=2, full=True,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    edge = WINDOW // 2
    inner = (slice(edge, -edge), slice(edge, -edge))
    np.testing.assert_allclose(ssim_map(noisy, truth)[inner].numpy(), expected[inner], atol=1e-9)


def test_ssim_of_equal_images_is_one_and_falls_with_noise(pair):
    noisy, truth = pair
    assert ssim(truth, truth) == pytest.approx(1.0)
    assert ssim(noisy, truth) < 0.95


def test_ssim_at_the_border_counts_zeros_outside():
    """A corner pixel, written out: the window hangs over the edge and what is outside is black."""
    truth, image = (
        torch.tensor([0.5, 0.4], dtype=torch.float64).view(2, 1, 1, 1).expand(2, 16, 16, 3)
    )
    offsets = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-(offsets**2) / 4.5) / np.exp(-(offsets**2) / 4.5).sum()
    share = kernel[WINDOW // 2 :].sum() ** 2  # of the window's weight inside the image
    x, y = 0.4 * share, 0.5 * share
    vx, vy, c = 0.16 * share - x * x, 0.25 * share - y * y, 0.2 * share - x * y
    expected = (2 * x * y + 1e-4) * (2 * c + 9e-4) / ((x * x + y * y + 1e-4) * (vx + vy + 9e-4))
    assert float(ssim_map(image, truth)[0, 0, 0]) == pytest.approx(expected, abs=1e-12)


def test_crop_is_the_masks_box_with_its_margin_inside_the_image():
    mask = torch.zeros(100, 60)
    mask[30:41, 2:21] = 1
    mask[90, 50] = 0.4  # hardly there
    assert foreground_crop(mask) == (slice(28, 43), slice(0, 23))
    assert foreground_crop(mask * 0) is None
