"""Driving: an animatable avatar follows a motion that training never saw, frame by frame, and goes on after a kill."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from animatable_parts import BETAS, TINY, random_pose, roughened, tiny_model, tiny_rig

from avatarpipe.avatar import Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.errors import InputError
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.gaussians.ply import load_ply
from avatarpipe.images import read_image
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.settings import ProjectionSettings
from avatarpipe.motions.motion import Motion
from avatarpipe.steps import drive
from avatarpipe.steps.drive import Drive, run

FRAMES = 5


@pytest.fixture(scope="module")
def seen() -> BodyParams:
    """Six training poses."""
    poses = [random_pose(seed, 0.2) for seed in range(6)]
    return BodyParams(**{
        name: torch.cat([getattr(pose, name) for pose in poses]) for name, _ in poses[0].items()
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(fake_body, seen, tmp_path_factory):
    """An avatar, and a motion whose second frame is a training pose."""
    root = tmp_path_factory.mktemp("driven")
    projection = PoseProjection.fit(seen.body_pose.numpy(), ProjectionSettings(components=3))
    model = roughened(tiny_model(fake_body))
    avatar = AnimatableAvatar("zoe", seen[0], model, tiny_rig(fake_body), projection, TINY)
    avatar.save(root / "avatar")
    poses = BodyParams(**{
        name: torch.cat([getattr(random_pose(40 + k), name) for k in range(FRAMES)])
        for name, _ in seen.items()
    })  # fmt: skip
    poses.body_pose[1] = seen.body_pose[3]
    poses.betas[:] = 0.0
    Motion(10.0, poses).save(root / "dance.npz")
    return root


def options(folder, out, **changes) -> Drive:
    plain = Drive(
        folder / "avatar", folder / "dance.npz", out / "drive.json", height=48, device="cpu"
    )
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def driven(folder, tmp_path_factory, fake_body_file):
    out = tmp_path_factory.mktemp("out")
    run(options(folder, out, ply=True, body=fake_body_file))
    return out


def test_all_that_is_promised_is_there(driven, fake_body):
    manifest = json.loads((driven / "drive.json").read_text())
    assert (manifest["subject"], manifest["motion"], manifest["frames"], manifest["fps"]) == (
        "zoe", "dance", FRAMES, 10.0,
    )  # fmt: skip
    names = [manifest["pictures"] % k for k in range(FRAMES)]
    assert sorted(path.name for path in (driven / "frames").iterdir()) == [n[7:] for n in names]
    assert read_image(driven / names[2]).shape == (*manifest["size"][::-1], 3)
    for name in ("video.mp4", "drive.html", "strip.png", "poses.npz"):
        assert (driven / name).stat().st_size > 500
    assert set(manifest["provenance"]["inputs"]) >= {
        "motion", "body", "avatar/avatar.json", "avatar/body.safetensors", "avatar/projection.safetensors",
    }  # fmt: skip
    shape = float(manifest["root"]["steps_scaled_by"])
    assert shape != 1.0 and 0.9 < shape < 1.1  # zoe's legs are not those of the mean shape


def test_frames_show_the_avatar_in_the_poses_and_cameras_that_are_written(driven, folder):
    params, avatar = BodyParams.load(driven / "poses.npz"), Avatar.load(folder / "avatar")
    cameras = Cameras.from_table(pd.read_parquet(driven / "cameras.parquet"))
    assert torch.allclose(params.betas, BETAS.expand(FRAMES, 10))
    for k in (1, 4):
        with torch.no_grad():
            (view,) = render_views(avatar.pose(params[k]), cameras[k])
        shown = read_image(driven / "frames" / f"{cameras.names[k]}.png")
        solid = view.alpha.numpy() > 0.99
        assert solid.sum() > 50
        assert np.allclose(shown[solid], view.rgb.numpy()[solid], atol=0.02)


def test_each_plys_gaussians_are_those_of_its_frame(driven, folder):
    params, avatar = BodyParams.load(driven / "poses.npz"), Avatar.load(folder / "avatar")
    cloud = load_ply(driven / "ply" / "000003.ply")
    assert cloud.kind == "ellipsoid"
    assert torch.allclose(cloud.means, avatar.pose(params[3]).means.detach(), atol=1e-5)


def test_the_projection_meets_the_poses_that_training_never_saw(driven):
    table = pd.read_parquet(driven / "frames.parquet")
    assert table["projected"].tolist() == [True, False, True, True, True]
    assert table["moved_deg"][1] == 0 and table["clamped"][1] == 0
    assert table["moved_deg"].drop(1).min() > 1 and table["unlike_training_deg"].drop(1).min() > 5
    projection = json.loads((driven / "drive.json").read_text())["projection"]
    assert (projection["mode"], projection["projected_frames"]) == ("auto", 4)
    assert projection["least_unlike_training_deg"] == pytest.approx(0, abs=1e-3)


def test_a_run_that_was_stopped_goes_on_and_another_begins_anew(
    folder, driven, tmp_path, monkeypatch
):
    def falling_over(reel, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(drive, "save_films", falling_over)
    with pytest.raises(KeyboardInterrupt):
        run(options(folder, tmp_path))
    (draft,) = tmp_path.iterdir()
    (draft / "frames" / "000002.png").unlink()
    times = {path.name: path.stat().st_mtime_ns for path in (draft / "frames").iterdir()}
    monkeypatch.undo()
    run(options(folder, tmp_path))
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "frames").iterdir()}
    assert times.items() < after.items() and len(after) == FRAMES
    assert not draft.exists() and (tmp_path / "drive.json").is_file()
    monkeypatch.setattr(drive, "save_films", falling_over)
    third = {"auto": read_image(tmp_path / "frames" / "000003.png")}
    for projection in ("on", "off"):
        with pytest.raises(KeyboardInterrupt):
            run(options(folder, tmp_path, projection=projection))
        third[projection] = read_image(draft / "frames" / "000003.png")
    assert np.array_equal(third["on"], third["auto"])  # which training never saw
    assert not np.array_equal(third["off"], third["auto"])  # its networks got the raw pose


def test_projection_on_and_off(folder):
    avatar = Avatar.load(folder / "avatar")
    known = torch.from_numpy(avatar.projection.seen[3]).float()
    strange = random_pose(41).body_pose[0]
    for mode, wanted in {"auto": (False, True), "on": (True, True), "off": (False, False)}.items():
        projection = avatar.projecting(mode).projection
        reports = [projection.report(theta.numpy()) for theta in (known, strange)]
        assert tuple(report["projected"] for report in reports) == wanted
        assert (reports[1]["moved_deg"] > 1) == wanted[1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"layers": ("hat",)}, "--layers hat: .* has body"),
        ({"camera": "side"}, "--camera side: use front, orbit, following, or capture:NAME"),
        ({"camera": "capture:cam1"}, "give the capture that it belongs to"),
        ({"background": "blurple"}, "--background blurple: use paper, white"),
        ({"height": 8}, "use 16 to 8192 pixels"),
        ({"smooth": 2}, "an odd number"),
    ],
)
def test_options_that_do_not_fit_are_named_before_anything_is_written(
    folder, tmp_path, changes, says
):
    with pytest.raises(InputError, match=says):
        run(options(folder, tmp_path / "out", **changes))
    assert not list(tmp_path.rglob("*.png"))
