"""Colour alone is what the full renderer gives, with the same gradients."""

import pytest
import torch
from gaussians_scenes import SCENES, camera_tensors, make_cloud

from avatarpipe.gaussians.render import render
from avatarpipe.gaussians.rgb import Ellipsoids, Lens, render_rgb, seen_colors

BACKGROUND = torch.tensor([0.3, 0.6, 0.1])
NEAR, FAR = 0.6, 2.4
CUDA = pytest.param("cuda", marks=pytest.mark.cuda)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("scene", ["plain", "harmonics", "crowded"])
def test_equals_the_full_renderer(scene, device):
    (expected, gradients), (image, ours) = full(scene, device), alone(scene, device)
    assert (image - expected).abs().max() < 1e-3
    for name, gradient in ours.items():
        assert (gradient - gradients[name]).norm() <= 1e-2 * gradients[name].norm() + 1e-9, name
    assert {"means", "quats", "scales", "opacities"} <= set(ours)


def full(scene, device):
    cloud, leaves = make_cloud(SCENES[scene](), "ellipsoid", torch.float32, device)
    rgb = render(cloud, camera_tensors(), BACKGROUND.to(device), NEAR, FAR).rgb
    return of(rgb, leaves)


def alone(scene, device):
    cloud, leaves = make_cloud(SCENES[scene](), "ellipsoid", torch.float32, device)
    viewmats, Ks, *size = (x.to(device, torch.float32) if torch.is_tensor(x) else x for x in camera_tensors())
    colors = cloud.colors if cloud.sh is None else seen_colors(cloud.sh, cloud.means, viewmats)
    seen = Ellipsoids(cloud.means, cloud.quats, cloud.scales, cloud.opacities, colors)
    return of(render_rgb(seen, Lens(viewmats, Ks, *size, NEAR, FAR), BACKGROUND.to(device)), leaves)


def of(rgb, leaves):
    """The image on the CPU, and the gradient of something that every pixel has a say in."""
    weights = torch.linspace(-1.0, 1.0, rgb.numel(), device=rgb.device).reshape(rgb.shape)
    (rgb * weights).sum().backward()
    return rgb.detach().cpu(), {name: x.grad.cpu() for name, x in leaves.items() if x.grad is not None}
