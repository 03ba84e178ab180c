"""Exported avatars stand where their input files have the person, whatever became of the world on the way in."""

import json

import numpy as np
import pytest
import torch
from export_clouds import ellipsoid_cloud, skinned_avatar
from scipy.spatial.transform import Rotation

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras, orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.normalization import moved_poses
from avatarpipe.capture.writing import publishing, write_frames
from avatarpipe.datasets.formats.posed_image import Shot
from avatarpipe.datasets.formats.transforms import write_transforms
from avatarpipe.datasets.smpl_params import write_smpl_params
from avatarpipe.errors import InputError
from avatarpipe.export.splat_glb import load_splat_glb
from avatarpipe.export.worlds import Worlds
from avatarpipe.gaussians.ply import load_ply
from avatarpipe.gaussians.render import render
from avatarpipe.images import write_image
from avatarpipe.steps import convert, export, normalize

UNIT = 0.4  # metres a unit of the calibration below


def raw_pose() -> BodyParams:
    """Turned away and off the middle, in a world whose z axis points up."""
    params = BodyParams.zeros()
    params.global_orient[0] = torch.tensor(
        (Rotation.from_euler("x", 90, degrees=True) * Rotation.from_euler("y", 70, degrees=True)).as_rotvec()
    )
    params.transl[0] = torch.tensor([1.5, -2.0, 1.1])
    params.body_pose[0, 50] = 0.5
    return params


@pytest.fixture(scope="module")
def normalized(tmp_path_factory, fake_body, fake_body_file):
    """capture.json of one's own capture, calibrated in units of 0.4 m, z up, through convert and normalize."""
    folder = tmp_path_factory.mktemp("own")
    take, results = folder / "raw" / "take", folder / "results"
    turned = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    around = orbit([0], [0, 90], 3, 60, 32, 32)
    w2c = around.w2c.copy()
    w2c[:, :3, :3] = w2c[:, :3, :3] @ turned.T
    w2c[:, :3, 3] = (around.w2c[:, :3, 3] - w2c[:, :3, :3] @ raw_pose().transl[0].numpy()) / UNIT
    shots = [Shot(c, f"images/{c}.png", f"masks/{c}.png") for c in range(2)]
    for shot in shots:
        square = np.zeros((32, 32))
        square[8:24, 12:20] = 1
        write_image(take / shot.name, np.full((32, 32, 3), 0.5))
        write_image(take / shot.mask, square)
    write_transforms(take / "transforms.json", Cameras(w2c, around.K, 32, 32, around.names), shots)
    write_smpl_params(take / "smpl_params.npz", raw_pose())
    settings = json.dumps({"scale": UNIT, "up": "+z"})
    first, second = (results / step / "capture.json" for step in ("convert", "normalize"))
    convert.run(
        convert.Convert("nerfstudio", take.parent, "take", "ann", "neutral", fake_body_file, first, options=settings)
    )
    normalize.run(normalize.Normalize(first, fake_body_file, second))
    return second


@pytest.fixture(scope="module")
def avatar_folder(normalized, fake_body, tmp_path_factory):
    folder = tmp_path_factory.mktemp("avatar") / "avatar"
    skinned_avatar(fake_body, Capture.load(normalized).poses).save(folder)
    return folder


def exported(avatar_folder, out, *more):
    export.main(["--avatar", str(avatar_folder), "--out", str(out / "export.json"), *map(str, more)])
    return out


def test_posed_files_lie_on_the_body_as_it_was_fitted(avatar_folder, normalized, fake_body, tmp_path):
    """In units of the calibration, where the raw fit is in metres of the same axes."""
    out = exported(avatar_folder, tmp_path, "--capture", normalized, "--world", "input", "--sh-degree", "0")
    expected = fake_body.vertices(raw_pose())[0][::20] / UNIT
    for cloud in (load_ply(out / "inner_posed.ply"), load_splat_glb(out / "inner_posed.glb")):
        torch.testing.assert_close(cloud.means, expected, atol=2e-5, rtol=0)
        at_home = skinned_avatar(fake_body, raw_pose()).pose(raw_pose(), ["inner"])
        torch.testing.assert_close(cloud.scales[:, :2], at_home.scales[:, :2] / UNIT, atol=1e-6, rtol=1e-4)
        turns = [Rotation.from_quat(c.quats.numpy(), scalar_first=True) for c in (cloud, at_home)]
        assert (turns[0].inv() * turns[1]).magnitude().max() < 1e-3
    canonical = skinned_avatar(fake_body, raw_pose()).canonical(["inner"])
    torch.testing.assert_close(load_ply(out / "inner.ply").means, canonical.means, atol=1e-6, rtol=0)


def test_transform_json_leads_from_one_to_the_other(avatar_folder, normalized, tmp_path):
    here = exported(avatar_folder, tmp_path / "a", "--capture", normalized, "--formats", "ply")
    there = exported(avatar_folder, tmp_path / "b", "--capture", normalized, "--world", "input", "--formats", "ply")
    matrix = np.array(json.loads((here / "transform.json").read_text())["capture_to_input"])
    means = [load_ply(folder / "composite_posed.ply").means.double().numpy() for folder in (here, there)]
    np.testing.assert_allclose(means[0] @ matrix[:3, :3].T + matrix[:3, 3], means[1], atol=1e-5)
    assert [json.loads((f / "transform.json").read_text())["world"] for f in (here, there)] == ["capture", "input"]
    assert json.loads((there / "export.json").read_text())["posed_world"] == "input"


def test_the_cameras_of_the_input_see_what_the_captures_see(avatar_folder, normalized, tmp_path):
    """The raw calibration over the cloud in its world: the picture that the capture's cameras have of theirs."""
    out = exported(avatar_folder, tmp_path, "--capture", normalized, "--world", "input", "--formats", "glb")
    capture = Capture.load(normalized)
    here = exported(avatar_folder, tmp_path / "here", "--formats", "glb") / "composite_posed.glb"
    document = json.loads((normalized.parents[2] / "raw/take/transforms.json").read_text())
    c2w = np.array([f["transform_matrix"] for f in document["frames"]]) @ np.diag([1.0, -1, -1, 1])
    raw = torch.tensor(np.linalg.inv(c2w)).float()
    with torch.no_grad():
        there = render(load_splat_glb(out / "composite_posed.glb"), (raw, torch.tensor(capture.cameras().K).float(), 32, 32))
        mine = render(load_splat_glb(here), capture.cameras())
    assert mine.alpha.mean() > 0.02
    off = (there.rgb - mine.rgb).abs()  # but for Gaussians so near each other that rounding decides which is in front
    assert off.mean() < 1e-4 and off.max() < 0.05


def test_every_step_that_moves_the_world_is_in_the_normalization(normalized, fake_body):
    capture = Capture.load(normalized)
    metric = capture.normalization @ np.diag([1 / UNIT] * 3 + [1.0])
    again = moved_poses(fake_body, raw_pose(), metric)
    torch.testing.assert_close(fake_body.vertices(again), fake_body.vertices(capture.poses), atol=1e-4, rtol=0)
    assert Worlds.of(capture).document("capture")["input_units_per_metre"] == pytest.approx(1 / UNIT)


def test_the_world_of_the_input_needs_a_capture(avatar_folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        exported(avatar_folder, tmp_path, "--world", "input")
    assert "--capture tells where that is" in capsys.readouterr().err
    assert not (exported(avatar_folder, tmp_path, "--formats", "glb") / "transform.json").exists()


@pytest.mark.parametrize("linear", [np.diag([1.0, 2, 1]), np.diag([1.0, 1, -1]), np.zeros((3, 3))])
def test_a_normalization_that_is_no_similarity_is_named(tmp_path, linear):
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    path = tmp_path / "capture.json"
    with publishing(path) as draft:
        entries = write_frames(draft, BodyParams.zeros(1), ["0"], [0.0])
        Manifest("ann", "neutral", provenance={}, normalization=matrix.tolist(), **entries).save(draft / "capture.json")
    with pytest.raises(InputError, match=r"capture\.json: normalization is no rotation"):
        Worlds.of(Capture.load(path))


def test_harmonics_of_an_avatar_reach_the_gltf(fake_body, tmp_path, monkeypatch):
    """Any avatar: this one has view-dependent colours, and no layer but one."""

    class Shiny:
        subject, layer_names, captured = "shiny", ("all",), BodyParams.zeros()
        canonical = staticmethod(lambda layers=None: ellipsoid_cloud(20, 9))
        pose = staticmethod(lambda params, layers=None: ellipsoid_cloud(20, 9))

    monkeypatch.setattr(export.Avatar, "load", lambda path: Shiny())
    (tmp_path / "avatar.json").write_text("{}")
    out = exported(tmp_path / "avatar.json", tmp_path / "e")
    assert torch.equal(load_splat_glb(out / "all_posed.glb").sh, ellipsoid_cloud(20, 9).sh)
    assert torch.allclose(load_ply(out / "all_posed.ply").sh, ellipsoid_cloud(20, 9).sh, atol=1e-6)
