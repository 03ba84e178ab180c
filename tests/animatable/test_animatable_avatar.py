"""Animatable avatars written, read back and posed; poses that training never saw, projected."""

import json

import numpy as np
import pytest
import torch
from animatable_parts import BETAS, TINY, random_pose, roughened, tiny_model, tiny_rig

from avatarpipe.avatar import Avatar
from avatarpipe.errors import InputError
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.settings import ProjectionSettings

TENSORS = ("means", "quats", "scales", "opacities", "sh", "features")


def _poses(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 63)) * 0.2


@pytest.fixture(scope="module")
def avatar(fake_body):
    poses = np.concatenate([_poses(8), random_pose(2).body_pose.numpy()])
    projection = PoseProjection.fit(poses, ProjectionSettings(components=4))
    model = roughened(tiny_model(fake_body))
    return AnimatableAvatar(
        "zoe", random_pose(2), model, tiny_rig(fake_body), projection, TINY, provenance={"seed": 3}
    )


def test_what_is_saved_is_what_is_loaded(avatar, tmp_path):
    avatar.save(tmp_path / "avatar")
    again = Avatar.load(tmp_path / "avatar" / "avatar.json")
    assert (again.subject, again.layer_names, again.provenance) == ("zoe", ("body",), {"seed": 3})
    for params in (avatar.captured, random_pose(11)):
        ours, theirs = avatar.pose(params), again.pose(params)
        for name in TENSORS:
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
    assert torch.equal(avatar.canonical().means, again.canonical().means)
    assert ours.kind == "ellipsoid" and ours.sh.shape == (300, 4, 3)


def test_switches_survive(avatar, tmp_path, fake_body):
    parts = (avatar.subject, avatar.captured, avatar.model, avatar.rig, avatar.projection, TINY)
    AnimatableAvatar(*parts, bases=False, harmonics=False).save(tmp_path)
    again = Avatar.load(tmp_path)
    assert not again.bases and again.pose(avatar.captured).sh.shape == (300, 1, 3)
    assert torch.equal(again.canonical().means, avatar.model.canonical(None).means)


def test_the_pose_shapes_and_the_shape_of_the_pose_does_not(avatar):
    one, other = (avatar.shaped(random_pose(seed).full_pose[0]) for seed in (2, 12))
    assert (one.means - other.means).abs().max() > 1e-3 and not torch.allclose(one.sh, other.sh)
    params = random_pose(12)
    larger = params.replaced(betas=BETAS[None] * 2)
    assert torch.equal(avatar.pose(params).means, avatar.pose(larger).means)


def test_unknown_layers_are_named(avatar):
    with pytest.raises(ValueError, match="hat"):
        avatar.pose(avatar.captured, ["hat"])


def test_damage_is_named(avatar, tmp_path):
    avatar.save(tmp_path)
    manifest = tmp_path / "avatar.json"
    whole = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(whole | {"model": {"gaussian": 3}}))
    with pytest.raises(InputError, match="unknown key gaussian"):
        Avatar.load(tmp_path)
    manifest.write_text(json.dumps(whole))
    for name in ("projection.safetensors", "body.safetensors"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:100])
        with pytest.raises(InputError, match=name):
            Avatar.load(tmp_path)


def test_all_components_unclamped_change_nothing():
    poses = _poses(100)
    projection = PoseProjection.fit(poses, ProjectionSettings(components=63, deviations=1e9))
    novel = np.random.default_rng(5).normal(size=63)
    assert np.allclose(projection.project(novel), novel, atol=1e-10)


def test_training_poses_are_left_alone_and_their_subspace_is_reproduced():
    rng = np.random.default_rng(1)
    flat = rng.uniform(-1, 1, (50, 3)) @ rng.normal(
        size=(3, 63)
    )  # three dimensions, within two deviations
    projection = PoseProjection.fit(flat, ProjectionSettings(components=3))
    for pose in flat:
        assert np.allclose(projection.project(pose), pose, atol=1e-10)
    full = PoseProjection.fit(_poses(50), ProjectionSettings(components=3))
    assert not np.allclose(full.project(_poses(50)[7]), _poses(50)[7])
    assert np.array_equal(full.network_input(_poses(50)[7]), _poses(50)[7])


def test_outliers_are_clamped_at_the_stated_deviations():
    poses = _poses(200)
    projection = PoseProjection.fit(poses, ProjectionSettings())
    along = projection.components @ (projection.network_input(poses[0] + 50.0) - poses.mean(axis=0))
    scores = (poses - poses.mean(axis=0)) @ projection.components.T
    assert along.shape == (20,) and np.allclose(projection.deviations, scores.std(axis=0, ddof=1))
    assert np.all(np.abs(along) <= 2 * scores.std(axis=0, ddof=1) + 1e-9)
    assert np.isclose(np.abs(along) / scores.std(axis=0, ddof=1), 2.0).sum() > 10


def test_few_poses_are_enough(tmp_path):
    for count in (1, 2, 5):
        projection = PoseProjection.fit(_poses(count), ProjectionSettings())
        assert projection.components.shape == (count - 1, 63)
        assert np.isfinite(projection.project(np.ones(63))).all()
        projection.save(tmp_path / "projection.safetensors")
        again = PoseProjection.load(tmp_path / "projection.safetensors")
        assert np.array_equal(again.project(np.ones(63)), projection.project(np.ones(63)))
    with pytest.raises(ValueError, match="at least one"):
        PoseProjection.fit(np.zeros((0, 63)), ProjectionSettings())
