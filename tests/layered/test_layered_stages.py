"""The three stages, end to end on a tiny subject: they learn, they keep apart, and a restart changes nothing."""

import json

import pytest
import torch
from layered_runs import held_out_psnr

from avatarpipe.avatar import Avatar
from avatarpipe.capture.labels import garment_mask
from avatarpipe.errors import InputError
from avatarpipe.gaussians.render import render
from avatarpipe.mesh.mesh import load_mesh
from avatarpipe.methods.layered.clearance import surface_frames
from avatarpipe.methods.layered.stages import inner_stage, outer_stage, single_stage
from avatarpipe.steps import dress


def test_every_stage_shows_the_held_out_views(trained, dressed):
    for stage in ("single", "outer"):
        avatar = Avatar.load(trained / stage / "avatar")
        assert held_out_psnr(avatar, dressed.capture) > 24.0, stage


def test_layers_cover_what_the_labels_say(trained, quick_inputs):
    avatar, capture = Avatar.load(trained / "outer" / "avatar"), quick_inputs.capture
    cameras = capture.cameras("test")
    with torch.no_grad():
        layers = render(avatar.pose(avatar.captured), cameras).features.numpy()
    wanted = garment_mask(capture.stack("test", "truth_labels"), "upper")
    found = layers[..., 1] > 0.5
    assert (wanted & found).sum() / (wanted | found).sum() > 0.65  # chance order of two coincident layers gives 0.5


def test_the_body_is_whole_under_the_garment(trained, quick_inputs):
    """Without its garment the subject is still a person: the silhouette barely changes."""
    avatar, capture = Avatar.load(trained / "outer" / "avatar"), quick_inputs.capture
    with torch.no_grad():
        alpha = render(avatar.pose(avatar.captured, ["inner"]), capture.cameras("test")).alpha
    mask = capture.stack("test", "masks")
    assert (alpha[..., 0].numpy() * mask).sum() / mask.sum() > 0.9


def test_hidden_skin_has_the_colour_of_seen_skin(trained, quick_inputs):
    trained_avatar = Avatar.load(trained / "inner" / "avatar")
    start = Avatar.load(trained / "inner" / "initial_avatar")
    skin = torch.tensor([200.0, 160.0, 140.0]) / 255.0  # the fake subject's skin
    errors = []
    for avatar in (start, trained_avatar):
        with torch.no_grad():
            view = render(avatar.pose(avatar.captured, ["inner"]), quick_inputs.capture.cameras("test"))
        hidden = garment_mask(quick_inputs.capture.stack("test", "truth_labels"), "upper")
        inside = torch.from_numpy(hidden) & (view.alpha[..., 0] > 0.9)
        errors.append((view.rgb[inside] - skin).abs().mean().item())
    assert errors[1] < 0.6 * errors[0]  # a band above the hem is taken for trousers


def test_meshes_are_whole_and_the_garment_is_a_part(trained):
    report = json.loads((trained / "outer" / "mesh" / "mesh.json").read_text())["meshes"]
    assert report["composite"]["is_watertight"]
    whole, garment = (load_mesh(trained / "outer" / "mesh" / f"{n}.ply") for n in ("composite", "garment"))
    assert 0.1 < len(garment.faces) / len(whole.faces) < 0.6
    heights = garment.vertices[:, 1]
    assert heights.min() > 0.4 - 0.55 and heights.max() < 0.4 + 0.35  # between hip and chin


def started(name: str, inputs, trained):
    """A stage at its beginning, from what the stages before left."""
    if name == "single":
        return single_stage(inputs)
    mesh = load_mesh(trained / "single" / "mesh" / "garment.ply")
    if name == "inner":
        return inner_stage(inputs, Avatar.load(trained / "single" / "avatar"), mesh)
    return outer_stage(inputs, Avatar.load(trained / "inner" / "avatar"), mesh)


@pytest.mark.parametrize("name", ["single", "inner", "outer"])
def test_a_stage_resumed_from_its_state_ends_bit_identical(name, quick_inputs, trained):
    straight, interrupted = (started(name, quick_inputs, trained) for _ in range(2))
    for step in range(40):
        straight.step(step)
    for step in range(25):
        interrupted.step(step)
    state = {name: value.clone() for name, value in interrupted.state().items()}
    resumed = started(name, quick_inputs, trained)
    resumed.restore(state)
    for step in range(25, 40):
        resumed.step(step)
    for name, value in straight.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_a_garment_goes_onto_another_body(trained, dressed, tmp_path):
    """Onto itself the look stays; every garment surfel ends above the body."""
    source = trained / "outer" / "avatar" / "avatar.json"
    dress.run(dress.Dress(source, source, tmp_path / "new" / "avatar" / "avatar.json", clearance=0.002, size=64))
    before, after = Avatar.load(source), Avatar.load(tmp_path / "new" / "avatar")
    assert after.layer_names == ("inner", "outer")
    assert abs(held_out_psnr(after, dressed.capture) - held_out_psnr(before, dressed.capture)) < 3.0
    layer = after.layers["outer"]
    heights = surface_frames(layer.binding, after.body).height(layer.cloud.means)
    assert (heights > 0.001).float().mean() > 0.95
    assert (tmp_path / "new" / "preview.png").stat().st_size > 1000


def test_only_layered_avatars_can_be_dressed(trained, tmp_path):
    single = trained / "single" / "avatar" / "avatar.json"
    with pytest.raises(InputError, match="no inner"):
        dress.run(dress.Dress(single, single, tmp_path / "avatar" / "avatar.json"))
    assert not (tmp_path / "avatar").exists()
