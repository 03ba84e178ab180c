"""The CPU renderer against a dense compositor in float64 with autograd."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gaussians_reference import render_reference
from gaussians_scenes import (
    BACKGROUND,
    IMAGES,
    SCENES,
    camera_tensors,
    loss,
    make_cloud,
    random_fields,
)

from avatarpipe.cameras import orbit
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import depth_normals, render

KINDS = ("surfel", "ellipsoid")
DEPTHS = {"near": 0.6, "far": 2.4}


def both(fields, kind):
    """(reference images, its leaves, rendering, its leaves) of one scene."""
    viewmats, Ks, *size = camera_tensors()
    exact, exact_leaves = make_cloud(fields, kind)
    expected = render_reference(exact, viewmats.double(), Ks.double(), *size, BACKGROUND, **DEPTHS)
    cloud, leaves = make_cloud(fields, kind, torch.float32)
    return (
        expected,
        exact_leaves,
        render(cloud, (viewmats, Ks, *size), BACKGROUND.float(), **DEPTHS),
        leaves,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scene", SCENES)
def test_images_and_gradients_equal_the_dense_reference(scene, kind):
    expected, exact_leaves, rendering, leaves = both(SCENES[scene](), kind)
    assert torch.equal(expected["radii"], rendering.radii)
    assert (expected["radii"] > 0).any() and expected["alpha"].max() > 0.1
    for name in IMAGES:
        actual = getattr(rendering, name)
        if actual is not None:
            assert (actual - expected[name]).abs().max() < 1e-4, name
    loss(expected).backward()
    loss(vars(rendering)).backward()
    for name, leaf in exact_leaves.items():
        error = (leaves[name].grad - leaf.grad).norm() / leaf.grad.norm()
        assert error < 1e-3, f"gradient of {name} is off by {error:.2e}"


def test_scenes_cover_what_they_claim():
    viewmats, Ks, *size = camera_tensors()
    spread, _ = make_cloud(SCENES["spread"](), "surfel", torch.float32)
    crowded, _ = make_cloud(SCENES["crowded"](), "surfel", torch.float32)
    culled = render(spread, (viewmats, Ks, *size), **DEPTHS).radii == 0
    assert 0.1 < culled.float().mean() < 0.9
    assert render(crowded, (viewmats, Ks, *size)).alpha.max() > 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_background_gets_its_gradient(kind):
    viewmats, Ks, *size = camera_tensors()
    cloud, _ = make_cloud(random_fields(), kind, torch.float32)
    background = torch.rand(3, 3, requires_grad=True)
    rendering = render(cloud, (viewmats, Ks, *size), background)
    rendering.rgb.sum().backward()
    expected = (1 - rendering.alpha).sum(dim=(1, 2)).expand(3, 3)
    torch.testing.assert_close(background.grad, expected, rtol=1e-4, atol=1e-2)


def run_once(kind):
    cloud, leaves = make_cloud(random_fields(count=200, seed=8), kind, torch.float32)
    rendering = render(cloud, camera_tensors())
    loss(vars(rendering)).backward()
    images = [getattr(rendering, name) for name in IMAGES]
    return [*images, rendering.screen_points.grad, *(leaf.grad for leaf in leaves.values())]


@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_are_bit_identical_for_any_number_of_threads(kind):
    threads = torch.get_num_threads()
    first = run_once(kind)
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        second = run_once(kind)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_screen_points_of_ellipsoids_hold_the_gradient_of_pixel_positions():
    """Moving the principal point moves every splat: the sum of all gradients is that of cx, cy."""
    viewmats, Ks, *size = camera_tensors()
    fields = random_fields(seed=3)
    fields["means"] = fields["means"] * 0.5  # inside of the view, where no Jacobian is clamped
    exact, _ = make_cloud(fields, "ellipsoid")
    Ks64 = Ks.double().requires_grad_()
    loss(render_reference(exact, viewmats.double(), Ks64, *size, BACKGROUND)).backward()
    cloud, _ = make_cloud(fields, "ellipsoid", torch.float32)
    rendering = render(cloud, (viewmats, Ks, *size), BACKGROUND.float())
    loss(vars(rendering)).backward()
    moved = rendering.screen_points.grad.sum(dim=1).double()
    torch.testing.assert_close(moved, Ks64.grad[:, :2, 2], rtol=1e-3, atol=1e-2)


def test_screen_points_of_surfels_follow_gsplat():
    """d loss / d (map's last column) times depth, without the low-pass branch, which stays unused here."""
    viewmats, Ks, *size = camera_tensors()
    fields = random_fields(count=20, seed=3, low=0.15, high=0.3)
    fields["quats"] = torch.tensor([[1.0, 0.02, 0.05, 0.0]]).double().repeat(20, 1)
    exact, _ = make_cloud(fields, "surfel")
    maps = {}
    arguments = viewmats[:1].double(), Ks[:1].double(), *size, BACKGROUND
    images = render_reference(exact, *arguments, maps=maps)
    gradients = torch.autograd.grad(loss(images), list(maps.values()), allow_unused=True)
    cloud, _ = make_cloud(fields, "surfel", torch.float32)
    rendering = render(cloud, (viewmats[:1], Ks[:1], *size), BACKGROUND.float())
    loss(vars(rendering)).backward()
    for (i, transform), gradient in zip(maps.items(), gradients, strict=True):
        expected = gradient[:2, 2] * transform[2, 2].detach()
        torch.testing.assert_close(
            rendering.screen_points.grad[0, i].double(), expected, rtol=2e-3, atol=1e-3
        )


def test_screen_points_are_pixel_positions():
    views = orbit([0], [0], 2.0, 50, 64, 64)
    cloud = GaussianCloud(
        means=torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 5.0]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(2, 1),
        scales=torch.full((2, 2), 0.05),
        opacities=torch.ones(2),
        colors=torch.ones(2, 3),
    )
    rendering = render(cloud, views)
    torch.testing.assert_close(rendering.screen_points[0, 0], torch.tensor([32.0, 32.0]))
    assert rendering.radii[0, 0] > 0 and rendering.radii[0, 1] == 0
    assert rendering.depth[0, 32, 32].item() == pytest.approx(2.0, abs=1e-5)
    torch.testing.assert_close(
        rendering.normals[0, 32, 32] / rendering.alpha[0, 32, 32], torch.tensor([0.0, 0.0, 1.0])
    )


@pytest.mark.parametrize("kind", KINDS)
def test_empty_or_unseen_clouds_show_the_background(kind):
    cloud, leaves = make_cloud(random_fields(), kind, torch.float32)
    for shown in (cloud.select(torch.zeros(36, dtype=torch.bool)), cloud):
        rendering = render(shown, camera_tensors(), (0.1, 0.2, 0.3), near=50.0)
        assert torch.equal(rendering.rgb, torch.tensor([0.1, 0.2, 0.3]).expand(3, 36, 44, 3))
        assert rendering.alpha.sum() == 0 and rendering.features.shape == (3, 36, 44, 2)
    rendering.rgb.sum().backward()
    assert leaves["means"].grad.abs().sum() == 0


def test_forward_only_gives_the_same_images():
    cloud, _ = make_cloud(random_fields(), "surfel", torch.float32)
    with torch.no_grad():
        quiet = render(cloud, camera_tensors())
    loud = render(cloud, camera_tensors())
    assert torch.equal(quiet.rgb, loud.rgb) and not quiet.screen_points.requires_grad


def test_bad_input_is_named():
    fields = random_fields()
    cloud, _ = make_cloud(fields, "surfel", torch.float32)
    viewmats, Ks, *size = camera_tensors()
    broken = cloud.select(torch.arange(36)).detach()
    broken.means[3, 1] = float("nan")
    with pytest.raises(ValueError, match="means has 1 values"):
        render(broken, (viewmats, Ks, *size))
    with pytest.raises(ValueError, match=r"expected torch\.float32"):
        render(make_cloud(fields, "surfel")[0], (viewmats, Ks, *size))
    with pytest.raises(ValueError, match="background has shape"):
        render(cloud, (viewmats, Ks, *size), torch.zeros(4))
    with pytest.raises(ValueError, match="viewmats"):
        render(cloud, (viewmats[:, :3], Ks, *size))


def test_depth_normals_of_a_tilted_plane():
    views = orbit([20], [30], 2.0, 50, 40, 32)
    viewmats, Ks = views.tensors()
    normal = torch.nn.functional.normalize(torch.tensor([0.3, 0.4, 1.0]), dim=0)
    y, x = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(40) + 0.5, indexing="ij")
    rays = torch.stack([x, y, torch.ones_like(x)], -1) @ torch.linalg.inv(Ks[0]).T
    world = rays @ viewmats[0, :3, :3]
    eye = torch.tensor(views.centres[0], dtype=torch.float32)
    depth = -(eye @ normal) / (world @ normal)
    alpha = torch.full((1, 32, 40, 1), 0.5)
    found = depth_normals(depth[None, ..., None], alpha, Ks, viewmats)
    torch.testing.assert_close(
        found[0, 1:-1, 1:-1], (0.5 * normal).expand(30, 38, 3), atol=1e-4, rtol=0
    )
    assert found[:, 0].abs().sum() == 0 and found[:, :, -1].abs().sum() == 0


def test_rendering_leaves_torchs_thread_count_alone():
    code = """
import torch
torch.set_num_threads(1)
from gaussians_scenes import camera_tensors, make_cloud, random_fields
from avatarpipe.gaussians.render import render
render(make_cloud(random_fields(), "surfel", torch.float32)[0], camera_tensors())
assert torch.get_num_threads() == 1, torch.get_num_threads()
"""
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1])])
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": paths})
