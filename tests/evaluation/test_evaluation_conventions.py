"""Both conventions against scikit-image and by hand."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tiny_lpips import write_alex

from avatarpipe.evaluation.conventions import (
    SIDE,
    Truth,
    even_ssim,
    gaussian_ssim,
    scores,
    subject_square,
    truth_on_white,
)
from avatarpipe.training.lpips import Lpips


@pytest.fixture
def seen():
    rng = np.random.default_rng(0)
    mask = np.zeros((60, 80), bool)
    mask[10:41, 30:51] = True
    image = np.where(mask[..., None], rng.random((60, 80, 3)), 1.0).astype(np.float32)
    rendered = (image + 0.1 * rng.normal(size=image.shape)).clip(0, 1).astype(np.float32)
    return rendered, Truth(image, mask)


def test_numbers_are_those_of_scikit_image(seen):
    rendered, truth = seen
    found = {name: value for name, (value, _) in scores(rendered, truth, None).items()}
    assert set(found) == {
        "psnr_mmlphuman", "ssim_mmlphuman", "psnr_ag", "ssim_ag", "psnr_foreground",
    }  # fmt: skip
    level = peak_signal_noise_ratio(truth.image, rendered, data_range=1)
    assert found["psnr_ag"] == found["psnr_mmlphuman"] == pytest.approx(level, abs=1e-4)
    kind = {"data_range": 1, "channel_axis": 2}
    even = structural_similarity(truth.image, rendered, **kind)
    gaussian = structural_similarity(
        truth.image.astype(float), rendered.astype(float), gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, **kind,
    )  # fmt: skip
    assert found["ssim_ag"] == pytest.approx(even, abs=1e-6)
    assert found["ssim_mmlphuman"] == pytest.approx(gaussian, abs=1e-6)
    assert abs(even - gaussian) > 1e-3
    inside = peak_signal_noise_ratio(truth.image[truth.mask], rendered[truth.mask], data_range=1)
    assert found["psnr_foreground"] == pytest.approx(inside, abs=1e-4)


@pytest.mark.parametrize("place", [(0, 0), (30, 40), (59, 79), (59, 2)])
def test_only_the_box_that_differs_costs_and_nothing_is_lost(seen, place):
    _, truth = seen
    one = truth.image.astype(np.float64)
    other = one.copy()
    other[place] = [0.1, 0.6, 0.3]
    kind = {"data_range": 1, "channel_axis": 2}
    even = structural_similarity(one, other, **kind)
    gaussian = structural_similarity(
        one, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, **kind
    )
    assert even_ssim(other, one) == pytest.approx(even, abs=1e-9)
    assert gaussian_ssim(other, one) == pytest.approx(gaussian, abs=1e-9)
    assert even_ssim(one, one) == gaussian_ssim(one, one) == 1


def test_an_empty_view_has_no_foreground():
    white = np.ones((20, 20, 3), np.float32)
    found = scores(white, Truth(white, np.zeros((20, 20), bool)), None)
    assert "psnr_foreground" not in found and found["psnr_ag"][0] == 100


def test_squares_hold_the_box_in_the_middle_of_white():
    image = np.zeros((60, 80, 3), np.float32)
    mask = np.zeros((60, 80), bool)
    mask[10:41, 30:51] = True  # the box ends before its last row and column: 30 x 20
    square = subject_square(image, mask, 0, 30)
    assert square.shape == (30, 30, 3) and (square[:, 5:25] == 0).all()
    assert (square[:, :5] == 1).all() and (square[:, 25:] == 1).all()
    wide = subject_square(image, mask, 50, 80)  # all 60 rows, all 80 columns
    assert (wide[10:70] == 0).all() and (wide[:10] == 1).all() and (wide[70:] == 1).all()
    dot = np.zeros((60, 80), bool)
    dot[5, 5] = True
    assert subject_square(image, dot, 0).shape == (SIDE, SIDE, 3)


def test_lpips_of_both_conventions(seen, tmp_path):
    write_alex(tmp_path)
    lpips, (rendered, truth) = Lpips(tmp_path, "alex"), seen
    found = scores(rendered, truth, lpips)

    def by_hand(pad, order):
        pair = (
            subject_square(x, truth.mask, pad)[..., order].copy() for x in (rendered, truth.image)
        )
        return float(lpips(*(torch.from_numpy(x)[None] for x in pair)))

    tight, wide = by_hand(0, [0, 1, 2]), by_hand(50, [2, 1, 0])
    assert found["lpips_alex_mmlphuman"][0] == pytest.approx(tight, rel=1e-5)
    assert found["lpips_alex_ag"][0] == pytest.approx(wide, rel=1e-5)
    assert tight > wide > 0


class _Capture:
    """One view: a grey square, half of it covered at its edge."""

    def __init__(self, photographs):
        self.manifest = type("Manifest", (), {"photographs": photographs})
        self.alpha = np.zeros((4, 4), np.float32)
        self.alpha[1:3, 1:3], self.alpha[1, 1] = 1, 0.6
        self.alpha[2, 2] = 0.4

    def mask(self, camera, frame):
        return self.alpha

    def photograph(self, camera, frame):
        grey = np.full((4, 4, 3), 0.5, np.float32)
        return grey if self.manifest.photographs else grey * self.alpha[..., None]


@pytest.mark.parametrize("photographs", [True, False])
def test_truth_is_the_photograph_inside_and_white_outside(photographs):
    truth = truth_on_white(_Capture(photographs), "c", "f")
    expected = np.ones((4, 4, 3), np.float32)
    expected[[1, 1, 2], [1, 2, 1]] = 0.5
    np.testing.assert_allclose(truth.image, expected, atol=1e-6)
    assert truth.mask.sum() == 3 and truth.image.dtype == np.float32
