"""Gaussians packed for the browser, and pictures made at a browser's camera."""

import numpy as np
import pytest
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.cameras import look_at
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.viewer.figure import Figure
from avatarpipe.viewer.pictures import Pace, Rate, Viewpoint, picture, viewpoint
from avatarpipe.viewer.renderers import Stillness
from avatarpipe.viewer.splats import UNIT, packed, thinned

WHITE = (255, 255, 255)


def some(count: int = 200, kind: str = "ellipsoid", sh: int = 0) -> GaussianCloud:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(*shape, generator=generator)

    colors = {"sh": draw(count, sh, 3) - 0.5} if sh else {"colors": draw(count, 3)}
    return GaussianCloud(
        draw(count, 3) * 2 - 1, draw(count, 4) - 0.5, 0.002 + 0.02 * draw(count, 3), draw(count),
        kind=kind, **colors,
    )  # fmt: skip


def unpacked(buffer: np.ndarray):
    """(centres, covariances, rgba) in metres, as a browser reads them."""
    upper = buffer[:, 4:7].copy().view(np.float16).astype(np.float64) * UNIT**2
    a, b, c, d, e, f = upper.T
    covariances = np.stack([a, b, c, b, d, e, c, e, f], axis=1).reshape(-1, 3, 3)
    rgba = buffer[:, 7:].copy().view(np.uint8) / 255
    return buffer[:, :3].copy().view(np.float32) * UNIT, covariances, rgba


def covariance(cloud: GaussianCloud, index: int) -> np.ndarray:
    """By the textbook: R diag(s^2) R^T."""
    w, x, y, z = (q := cloud.quats[index].double().numpy()) / np.linalg.norm(q)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    R = np.eye(3) + 2 * w * K + 2 * K @ K
    scales = cloud.scales[index].double().numpy().copy()
    if cloud.kind == "surfel":
        scales[2] = 2e-4
    return R @ np.diag(scales**2) @ R.T


@pytest.mark.parametrize("kind", ["ellipsoid", "surfel"])
def test_packed_gaussians_are_the_ones_given(kind):
    cloud = some(kind=kind)
    centres, covariances, rgba = unpacked(packed(cloud))
    assert np.abs(centres - cloud.means.numpy()).max() < 1e-6
    assert np.abs(rgba[:, :3] - cloud.colors.numpy()).max() <= 0.5 / 255 + 1e-6
    assert np.abs(rgba[:, 3] - cloud.opacities.numpy()).max() <= 0.5 / 255 + 1e-6
    for index in range(len(cloud)):
        true = covariance(cloud, index)
        assert np.abs(covariances[index] - true).max() < 1e-3 * true.max()


def test_millimetres_survive_half_precision():
    cloud = some()
    cloud.scales = torch.full_like(cloud.scales, 5e-4)
    _, covariances, _ = unpacked(packed(cloud))
    deviations = np.sqrt(np.einsum("nii->ni", covariances))
    assert np.abs(deviations - 5e-4).max() < 5e-6


def test_harmonics_give_their_mean_colour():
    cloud = some(sh=4)
    _, _, rgba = unpacked(packed(cloud))
    expected = (0.2820948 * cloud.sh[:, 0] + 0.5).clamp(0, 1).numpy()
    assert np.abs(rgba[:, :3] - expected).max() <= 0.5 / 255 + 1e-6


def test_nothing_is_one_invisible_gaussian():
    assert packed(None).shape == (1, 8) and not packed(None).any()
    assert packed(some().select(slice(0, 0))).shape == (1, 8)


def test_thinning_keeps_the_same_ones_and_their_area():
    cloud = some(1000)
    thin = thinned(cloud, 250)
    assert len(thin) == 250 and thinned(cloud, 1000) is cloud
    index = [int((cloud.means == mean).all(dim=1).nonzero()[0, 0]) for mean in thin.means]
    assert torch.allclose(thin.scales, cloud.scales[index] * 2)
    moved = GaussianCloud(cloud.means + 1, cloud.quats, cloud.scales, cloud.opacities, cloud.colors)
    assert torch.allclose(thinned(moved, 250).means, thin.means + 1)


def view(width=90, height=60, fov_deg=40.0) -> Viewpoint:
    w2c = look_at([1.0, 0.5, 3.0], [0.0, 0.2, 0.0])
    centre = -w2c[:3, :3].T @ w2c[:3, 3]
    return Viewpoint(w2c[:3, :3].T, centre, np.radians(fov_deg), width, height)


def test_pictures_are_at_the_browsers_camera():
    cloud = GaussianCloud(
        torch.tensor([[0.0, 0.2, 0.0], [0.4, 0.2, 0.0]]), torch.tensor([[1.0, 0, 0, 0]] * 2),
        torch.full((2, 3), 0.03), torch.full((2,), 0.99),
        torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), kind="ellipsoid",
    )  # fmt: skip
    image = picture(cloud, view(), WHITE).astype(int)
    assert image.shape == (60, 90, 3) and (image[0, 0] == 255).all()
    red, blue = image[..., 0] - image[..., 2], image[..., 2] - image[..., 0]
    assert np.unravel_index(red.argmax(), red.shape) in [(30, 45), (29, 44), (29, 45), (30, 44)]
    row, column = np.unravel_index(blue.argmax(), blue.shape)
    assert 28 <= row <= 32 and column > 50  # to the right of it
    half = picture(cloud, view(), WHITE, 0.5)
    assert half.shape == (30, 45, 3) and half[15, 22, 0] - int(half[15, 22, 2]) > 100


def test_pictures_of_nothing_and_of_giants():
    assert (picture(None, view(), (1, 2, 3)) == [1, 2, 3]).all()
    camera = view(5000, 1000).camera()
    assert max(camera.width, camera.height) == 2160
    assert min(view(3, 2).camera().width, view(3, 2).camera().height) == 16


def test_viewpoints_of_visers_cameras():
    class Handle:
        wxyz, position = np.array([np.cos(0.3), 0.0, np.sin(0.3), 0.0]), np.array([1.0, 2.0, 3.0])
        fov, image_width, image_height = 0.7, 640, 480

    found = viewpoint(Handle)
    c, s = np.cos(0.6), np.sin(0.6)
    assert np.allclose(found.rotation, [[c, 0, s], [0, 1, 0], [-s, 0, c]])
    assert found.same(viewpoint(Handle)) and not found.same(None)
    Handle.fov = 0.8
    assert not found.same(viewpoint(Handle))
    w2c = found.camera().w2c[0]
    assert np.allclose(w2c @ [1.0, 2.0, 3.0, 1.0], [0, 0, 0, 1])


def test_pace_settles_where_the_budget_is():
    pace = Pace(budget=0.05, least=0.1)
    for _ in range(60):
        pace.measured(0.4 * pace.scale**2)  # 0.4 s for a whole window
    assert pace.scale == pytest.approx((0.05 / 0.4) ** 0.5, rel=0.05)
    for _ in range(60):
        pace.measured(0.001)
    assert pace.scale == 1.0
    for _ in range(60):
        pace.measured(9.0)
    assert pace.scale == pace.least


def test_rates_and_stillness():
    rate = Rate()
    for k in range(21):
        rate.tick(k / 10)
    assert rate.value(2.0) == pytest.approx(10.0) and rate.value(9.0) == 0.0
    still = Stillness()
    assert not still.moving("a", 5.0)  # what is first seen
    assert still.moving("b", 6.0) and still.moving("b", 6.2) and not still.moving("b", 6.4)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
@pytest.mark.parametrize("subject", ["ada/layered/outer", "zoe/animatable/full"])
def test_figures_on_cuda_look_as_on_the_cpu(results, subject):
    images, buffers = [], []
    for device in ("cpu", "cuda"):
        figure = Figure(Avatar.load(results / subject / "avatar", device), torch.device(device))
        figure.turn("left_elbow", [0.0, -0.5, 0.0])
        images.append(picture(figure.cloud(), view(240, 160), WHITE).astype(int))
        buffers.append(unpacked(packed(thinned(figure.cloud(), 200))))
        figure.show_canonical()
        figure.cloud()
    assert np.abs(images[0] - images[1]).mean() < 0.5
    assert np.abs(buffers[0][0] - buffers[1][0]).max() < 1e-4
