"""The animatable model against loops over single Gaussians that follow the published equations word by word."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from animatable_parts import BETAS, TINY, random_pose, roughened, tiny_model, tiny_rig
from scipy.spatial.transform import Rotation

from avatarpipe.gaussians.rotations import quats_to_matrices
from avatarpipe.methods.animatable.model import turned
from avatarpipe.methods.animatable.networks import evaluate
from avatarpipe.methods.animatable.rig import big_pose
from avatarpipe.methods.animatable.settings import ModelSettings


def _inverse_distance_mean(point, sources, values, count):
    """Of the `count` nearest by exhaustive search."""
    order = sorted(range(len(sources)), key=lambda j: float((sources[j] - point).norm()))[:count]
    inverse = [1.0 / float((sources[j] - point).norm()) for j in order]
    return sum(w / sum(inverse) * values[j] for w, j in zip(inverse, order, strict=True))


def _network(p, anchor, theta):
    values = theta
    for layer in range(3):
        values = (
            p[f"networks.{layer}.weight"][anchor].T @ values + p[f"networks.{layer}.bias"][anchor]
        )
        values = values.clamp_min(0) if layer < 2 else values
    return values


def _reference(model, theta, chosen):
    """Canonical values of the Gaussians `chosen`, one at a time."""
    p, s = model.parameters, model.scaffold
    outputs = [_network(p, anchor, theta) for anchor in range(len(s.anchors))]
    offsets = []
    for c, place in enumerate(s.controls):
        b = _inverse_distance_mean(place, s.anchors, [out[TINY.bases :] for out in outputs], 3)
        offsets.append(
            p["controls"][c]
            + sum(b[k] * p["control_bases"][c, k] for k in range(TINY.control_bases))
        )
    rows = []
    for i in chosen:
        place = s.points[i]
        a = _inverse_distance_mean(place, s.anchors, [out[: TINY.bases] for out in outputs], 3)
        mean = (
            place
            + _inverse_distance_mean(place, s.controls, offsets, 3)
            + 0.008 * p["shifts"][i].tanh()
        )
        look = p["looks"][i] + sum(a[k] * p["look_bases"][i, k] for k in range(TINY.bases))
        view = p["harmonics"][i] + sum(a[k] * p["harmonic_bases"][i, k] for k in range(TINY.bases))
        quat = look[3:7] / look[3:7].norm()
        opacity = 1 / (1 + (-look[7:8]).exp())
        rows.append(torch.cat([mean, quat, look[:3].exp(), opacity, look[8:11], view]))
    return torch.stack(rows)


def _rows(canonical, chosen):
    parts = (
        canonical.means,
        canonical.quats,
        canonical.scales,
        canonical.opacities[:, None],
        canonical.sh.flatten(1),
    )
    return torch.cat([part[chosen] for part in parts], dim=1)


@pytest.fixture(scope="module")
def model(fake_body):
    return roughened(tiny_model(fake_body))


def test_the_batched_model_is_the_published_one_forward_and_backward(model):
    theta, chosen = random_pose(3).body_pose[0], list(range(0, 300, 10))
    weights = torch.randn(30, 23, generator=torch.Generator().manual_seed(4))
    gradients = {}
    for kind in ("batched", "reference"):
        for value in model.parameters.values():
            value.requires_grad_().grad = None
        rows = (
            _rows(model.canonical(theta), chosen)
            if kind == "batched"
            else _reference(model, theta, chosen)
        )
        (rows * weights).sum().backward()
        gradients[kind] = (
            rows.detach(),
            {name: x.grad.clone() for name, x in model.parameters.items()},
        )
        for value in model.parameters.values():
            value.requires_grad_(False)
    torch.testing.assert_close(
        *(gradients[kind][0] for kind in ("batched", "reference")), rtol=1e-4, atol=1e-5
    )
    for name, ours in gradients["batched"][1].items():
        theirs = gradients["reference"][1][name]
        assert theirs.abs().max() > 1e-6, name
        torch.testing.assert_close(
            ours, theirs, rtol=1e-3, atol=2e-5 * float(theirs.abs().max()) + 1e-6, msg=name
        )


def test_switches_leave_out_the_pose_and_the_view(model):
    neutral = model.canonical(None, harmonics=False)
    assert neutral.sh.shape[1] == 1 and torch.equal(
        neutral.control_offsets, model.parameters["controls"]
    )
    assert torch.equal(neutral.sh[:, 0], model.parameters["looks"][:, 8:11])
    assert torch.equal(
        model.canonical(None).sh[:, 1:], model.parameters["harmonics"].view(-1, 3, 3)
    )


def test_equal_anchors_give_their_own_output_everywhere(model):
    equal = dict(model.parameters)
    for name in [n for n in equal if n.startswith("networks")]:
        equal[name] = equal[name][:1].expand_as(equal[name]).contiguous()
    at_anchors = evaluate(equal, random_pose(5).body_pose[0])
    interpolated = model.scaffold.point_anchors(at_anchors)
    assert torch.allclose(interpolated, at_anchors[:1].expand_as(interpolated), atol=1e-6)


def test_published_sizes(fake_body):
    published = ModelSettings(anchors=2, gaussians=5, controls=8)
    parameters = tiny_model(fake_body, settings=published).parameters
    count = lambda *names: sum(v.numel() for n, v in parameters.items() if n.startswith(names))  # noqa: E731
    assert count("networks") == 2 * 303_390
    assert count("looks", "harmonics", "shifts") == 5 * 23
    assert (
        count("look_bases", "harmonic_bases") == 5 * 300
        and count("controls", "control_bases") == 8 * 48
    )


def test_the_big_pose_moves_nothing(fake_body, model):
    canonical = model.canonical(None)
    posed = model.posed(canonical, tiny_rig(fake_body).bones(big_pose(BETAS)))
    torch.testing.assert_close(posed.means, canonical.means, atol=1e-5, rtol=0)
    torch.testing.assert_close(posed.sh, canonical.sh, atol=1e-5, rtol=0)
    torch.testing.assert_close(posed.quats, canonical.quats, atol=1e-5, rtol=0)


def test_skinning_is_that_of_the_body(fake_body, model):
    params, canonical = random_pose(6), model.canonical(None)
    bones = fake_body.transforms(params)[0] @ fake_body.transforms(big_pose(BETAS))[0].inverse()
    posed = model.posed(canonical, tiny_rig(fake_body, head_joints=True).bones(params))
    for i in range(0, 300, 17):
        blended = sum(w * bone for w, bone in zip(model.scaffold.weights[i], bones, strict=True))
        expected = blended[:3, :3] @ canonical.means[i] + blended[:3, 3]
        torch.testing.assert_close(posed.means[i], expected, atol=1e-5, rtol=1e-5)


def test_ellipsoids_turn_with_their_bone(fake_body, model):
    params, canonical = random_pose(7), model.canonical(None)
    bones = tiny_rig(fake_body, head_joints=True).bones(params)
    weights = torch.zeros_like(model.scaffold.weights)
    owner = torch.arange(300) % 55
    weights[torch.arange(300), owner] = 1.0
    rigid = type(model)(
        replace(model.scaffold, weights=weights), model.parameters, model.shift_limit
    )
    turns = bones[owner, :9].view(-1, 3, 3)
    expected = turns @ quats_to_matrices(canonical.quats)
    assert torch.allclose(
        quats_to_matrices(rigid.posed(canonical, bones).quats), expected, atol=1e-5
    )


def test_jaw_and_eyes_rest_unless_asked_for(fake_body):
    params = random_pose(8)
    still = params.replaced(
        **{n: torch.zeros(1, 3) for n in ("jaw_pose", "leye_pose", "reye_pose")}
    )
    quiet, lively = tiny_rig(fake_body), tiny_rig(fake_body, head_joints=True)
    assert torch.equal(quiet.bones(params), quiet.bones(still))
    assert not torch.allclose(lively.bones(params), lively.bones(still))


def test_turned_harmonics_see_what_the_canonical_ones_see():
    rng = np.random.default_rng(9)
    sh = torch.from_numpy(rng.normal(size=(20, 4, 3))).float()
    linear = torch.from_numpy(Rotation.random(20, rng=rng).as_matrix() * 0.9).float()
    direction = torch.from_numpy(rng.normal(size=(20, 3))).float()

    def value(c, d):
        x, y, z = d[:, :1], d[:, 1:2], d[:, 2:]
        return 0.2820948 * c[:, 0] + 0.4886025 * (-y * c[:, 1] + z * c[:, 2] - x * c[:, 3])

    seen = value(sh, (linear.transpose(1, 2) @ direction[..., None])[..., 0])
    torch.testing.assert_close(value(turned(sh, linear), direction), seen, atol=1e-5, rtol=1e-5)


def test_the_start_depends_on_the_seed_alone(fake_body):
    once, again, other = (tiny_model(fake_body, seed) for seed in (0, 0, 1))
    for name, value in once.parameters.items():
        assert torch.equal(value, again.parameters[name]), name
    assert torch.equal(once.scaffold.points, again.scaffold.points)
    assert not torch.equal(once.scaffold.anchors, other.scaffold.anchors)
    assert not torch.equal(
        once.parameters["networks.0.weight"], other.parameters["networks.0.weight"]
    )
    bases = once.parameters["look_bases"]
    assert torch.equal(bases[0].expand_as(bases), bases) and 0 < bases.abs().max() <= 0.002
