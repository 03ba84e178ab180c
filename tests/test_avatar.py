"""Avatars written and read back, posed whole and by layer."""

import json

import pytest
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import bind, canonical_vertices
from avatarpipe.errors import InputError
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.skinned_avatar import SkinnedAvatar, SkinnedLayer


@pytest.fixture
def avatar(fake_body):
    generator = torch.Generator().manual_seed(0)

    def layer(every: int) -> SkinnedLayer:
        points = canonical_vertices(fake_body)[::every].contiguous()
        count = len(points)
        cloud = GaussianCloud(
            points,
            torch.randn(count, 4, generator=generator),
            0.01 * torch.rand(count, 3, generator=generator),
            torch.rand(count, generator=generator),
            torch.rand(count, 3, generator=generator),
        )
        return SkinnedLayer(cloud, bind(points, fake_body))

    captured = BodyParams.zeros()
    captured.body_pose[0, 50] = 0.5
    return SkinnedAvatar("ann", fake_body, captured, {"inner": layer(20), "outer": layer(30)})


def test_what_is_saved_is_what_is_loaded(avatar, tmp_path):
    avatar.save(tmp_path / "avatar")
    again = Avatar.load(tmp_path / "avatar" / "avatar.json")
    assert again.layer_names == ("inner", "outer") and again.subject == "ann"
    for ours, theirs in [(avatar.canonical(), again.canonical()),
                         (avatar.pose(avatar.captured), again.pose(again.captured))]:
        for name in ("means", "quats", "scales", "opacities", "colors", "features"):
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


def test_a_layer_alone_is_that_part_of_the_whole(avatar):
    whole, outer = avatar.pose(avatar.captured), avatar.pose(avatar.captured, ["outer"])
    part = whole.select(whole.features[:, 1] == 1)
    assert len(outer) == len(avatar.layers["outer"].cloud)
    assert torch.allclose(part.means, outer.means) and torch.equal(part.colors, outer.colors)


def test_posed_gaussians_stay_on_the_posed_body(avatar, fake_body):
    posed = avatar.pose(avatar.captured, ["inner"])
    assert torch.allclose(posed.means, fake_body.vertices(avatar.captured)[0][::20], atol=1e-5)


def test_unknown_layers_are_named(avatar):
    with pytest.raises(ValueError, match="hat"):
        avatar.pose(avatar.captured, ["hat"])


def _edited(folder, **changes):
    path = folder / "avatar.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_foreign_classes_and_versions_are_refused(avatar, tmp_path):
    avatar.save(tmp_path)
    _edited(tmp_path, **{"class": "os:system"})
    with pytest.raises(InputError, match="not an avatar class"):
        Avatar.load(tmp_path)
    _edited(tmp_path, format_version=99)
    with pytest.raises(InputError, match="format version 99"):
        Avatar.load(tmp_path)


def test_a_damaged_layer_is_named(avatar, tmp_path):
    avatar.save(tmp_path)
    layer = tmp_path / "outer.safetensors"
    layer.write_bytes(layer.read_bytes()[:100])
    with pytest.raises(InputError, match=r"outer\.safetensors"):
        Avatar.load(tmp_path)


def test_another_body_is_refused(avatar, tmp_path, fake_body_file):
    avatar.save(tmp_path / "avatar")
    other = tmp_path / "SMPLX_OTHER.npz"
    other.write_bytes(fake_body_file.read_bytes() + b"x")
    _edited(tmp_path / "avatar", body={"path": "../SMPLX_OTHER.npz", "sha256": "0" * 64})
    with pytest.raises(InputError, match="SHA-256"):
        Avatar.load(tmp_path / "avatar")
