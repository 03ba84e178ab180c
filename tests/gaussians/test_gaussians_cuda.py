"""gsplat on CUDA against the dense reference and, where Numba is installed, against the CPU renderer."""

import importlib.util

import pytest
import torch
from gaussians_reference import render_reference
from gaussians_scenes import BACKGROUND, IMAGES, SCENES, camera_tensors, loss, make_cloud

from avatarpipe.gaussians.render import render

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU with gsplat"),
]
KINDS = ("surfel", "ellipsoid")
DEPTHS = {"near": 0.6, "far": 2.4}


def on_device(scene, kind, device):
    """(images as a dict on the CPU, gradients as a dict on the CPU) of a scene."""
    viewmats, Ks, *size = camera_tensors()
    cloud, leaves = make_cloud(SCENES[scene](), kind, torch.float32, device)
    rendering = render(cloud, (viewmats, Ks, *size), BACKGROUND.float(), **DEPTHS)
    images = {k: None if v is None else v.cpu() for k, v in vars(rendering).items()}
    loss(images).backward()
    gradients = {k: leaf.grad.cpu() for k, leaf in leaves.items()}
    return images, gradients | {"screen_points": rendering.screen_points.grad.cpu()}


def assert_same(actual, expected, images_within, gradients_within):
    for name in IMAGES:
        if actual[0][name] is not None:
            assert (actual[0][name] - expected[0][name]).abs().max() < images_within, name
    for name, gradient in expected[1].items():
        error = (actual[1][name] - gradient).norm()
        assert error <= gradients_within * gradient.norm(), f"gradient of {name} is off by {error:.2e}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scene", SCENES)
def test_cuda_equals_the_dense_reference(scene, kind):
    viewmats, Ks, *size = camera_tensors()
    exact, leaves = make_cloud(SCENES[scene](), kind)
    images = render_reference(exact, viewmats.double(), Ks.double(), *size, BACKGROUND, **DEPTHS)
    loss(images).backward()
    expected = images, {name: leaf.grad for name, leaf in leaves.items()}
    assert_same(on_device(scene, kind, "cuda"), expected, 1e-3, 1e-2)


@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scene", SCENES)
def test_cuda_equals_cpu(scene, kind):
    actual, expected = (on_device(scene, kind, device) for device in ("cuda", "cpu"))
    assert torch.equal(actual[0]["radii"], expected[0]["radii"])
    assert_same(actual, expected, 1e-3, 1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_screen_points_on_cuda(kind):
    images, gradients = on_device("plain", kind, "cuda")
    seen = images["radii"] > 0
    assert gradients["screen_points"].isfinite().all()
    assert gradients["screen_points"][~seen].abs().sum() == 0
    assert (gradients["screen_points"][seen].norm(dim=-1) > 0).float().mean() > 0.8
