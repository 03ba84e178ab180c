"""The perceptual term: gradients against finite differences, LPIPS from files where they are, the substitute by hand."""

import pytest
import torch
from skimage.metrics import structural_similarity
from tiny_lpips import naive_alex, write_alex

from avatarpipe.errors import InputError
from avatarpipe.training.perceptual import perceptual, structure


def _pair(size, seed=3):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(2, 3, size, size, generator=generator)
    noise = 0.2 * torch.randn(truth.shape, generator=generator)
    return (truth + noise).clamp(0, 1), truth


def _checked_gradient(distance, image, truth, step):
    """The derivative along the signs of the gradient by autograd and by central differences."""
    image = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(distance(image, truth), image)
    along = gradient.sign()
    with torch.no_grad():
        sides = [float(distance(image + s * step * along, truth)) for s in (1, -1)]
    return float((gradient * along).sum()), (sides[0] - sides[1]) / (2 * step)


def test_lpips_is_taken_where_its_weights_are(tmp_path):
    weights = write_alex(tmp_path)
    distance, note = perceptual(tmp_path, "cpu", "alex")
    image, truth = _pair(64)
    one_by_one = [
        naive_alex(*weights, x.permute(1, 2, 0), y.permute(1, 2, 0))
        for x, y in zip(image, truth, strict=True)
    ]
    assert float(distance(image, truth)) == pytest.approx(sum(one_by_one) / 2, rel=1e-4)
    assert note.startswith("LPIPS alex")


def test_lpips_lets_the_gradient_through_and_keeps_no_state(tmp_path):
    write_alex(tmp_path)
    distance, _ = perceptual(tmp_path, "cpu", "alex")
    image, truth = _pair(64)
    exact, differences = _checked_gradient(distance, 0.5 + 0.5 * image, truth, 1e-4)
    assert exact == pytest.approx(differences, rel=0.02) and exact > 1e-2
    first = float(distance(image, truth))
    assert float(distance(image, truth)) == first
    assert float(distance(truth, truth)) == 0


def test_black_images_have_a_finite_gradient(tmp_path):
    write_alex(tmp_path)
    for distance, _ in (perceptual(tmp_path, "cpu", "alex"), perceptual(tmp_path, "cpu")):
        black = torch.zeros(1, 3, 64, 64, requires_grad=True)
        distance(black, torch.zeros(1, 3, 64, 64)).backward()
        assert torch.isfinite(black.grad).all()


def test_without_weights_the_substitute_says_so(tmp_path):
    distance, note = perceptual(tmp_path, "cpu")
    assert distance is structure and "vgg.pth" in note and "SSIM" in note


def test_images_too_small_to_measure_may_teach(tmp_path):
    write_alex(tmp_path)
    for distance, _ in (perceptual(tmp_path, "cpu", "alex"), perceptual(tmp_path, "cpu")):
        assert float(distance(*_pair(32))) > 0


def test_broken_weights_are_an_error_not_a_substitute(tmp_path):
    write_alex(tmp_path)
    (tmp_path / "alex.pth").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"alex\.pth"):
        perceptual(tmp_path, "cpu", "alex")


def test_the_substitute_is_scikit_images_ssim_away_from_the_border():
    """Black all around, so that what lies outside of the image is the same to both."""
    image, truth = (torch.nn.functional.pad(x, [11] * 4) for x in _pair(24))
    assert float(structure(truth, truth)) == pytest.approx(0, abs=1e-6)
    expected = [
        structural_similarity(
            x.numpy(), y.numpy(), data_range=1.0, channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )[1].mean()
        for x, y in zip(image.double(), truth.double(), strict=True)
    ]  # fmt: skip
    assert float(structure(image, truth)) == pytest.approx(1 - sum(expected) / 2, rel=1e-4)
    assert 1 - expected[0] > 0.01


def test_the_substitute_has_the_right_gradient():
    image, truth = _pair(24)
    exact, differences = _checked_gradient(structure, image.double(), truth.double(), 1e-5)
    assert exact == pytest.approx(differences, rel=1e-4)
