"""Pictures of an animatable avatar: the right views beside the right photographs, errors with their sign, the projection."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from animatable_parts import TINY, random_pose, roughened, tiny_model, tiny_rig
from animatable_video import FRAMES, poses, write_video
from PIL import Image

from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit, frame_split
from avatarpipe.errors import InputError
from avatarpipe.evaluation.cells import cells
from avatarpipe.evaluation.metrics import foreground_crop
from avatarpipe.evaluation.pose_sheets import PHOTOGRAPH, pose_sheet, shown_in
from avatarpipe.evaluation.projection_figure import projection_figure
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.evaluation.style import PAPER
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.model import COLOR, AnimatableModel
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.settings import ProjectionSettings
from avatarpipe.steps import pictures_animatable as step
from avatarpipe.steps.pictures_animatable import Options, run
from avatarpipe.tables import write_table

PICTURES = {"turntable.webp", "turntable.html", "views.png", "poses.png", "projection.png"}


@pytest.fixture(scope="module")
def capture(fake_body, tmp_path_factory):
    return Capture.load(write_video(tmp_path_factory.mktemp("video"), fake_body))


@pytest.fixture(scope="module")
def avatar(fake_body):
    """Not trained at all, but fitted to the poses of the video's first three frames."""
    seen = poses()[:3].body_pose.numpy()
    projection = PoseProjection.fit(seen, ProjectionSettings(components=2))
    model = roughened(tiny_model(fake_body, 5))
    return AnimatableAvatar("zoe", poses()[0], model, tiny_rig(fake_body), projection, TINY)


@pytest.fixture(scope="module")
def shown(capture, avatar):
    """Two views of each cell by its name, of the avatar and of itself in brighter."""
    found = cells(capture, frame_split(capture), {"seen": 1, "novel": 1})
    looks = avatar.model.parameters["looks"].clone()
    looks[:, COLOR] += 1.0
    parameters = avatar.model.parameters | {"looks": looks}
    model = AnimatableModel(avatar.model.scaffold, parameters, avatar.model.shift_limit)
    brighter = replace(avatar, model=model)
    lines = shown_in(found, {"full": avatar, "brighter": brighter}, capture, 2)
    return {cell.name: line for cell, line in zip(found, lines, strict=True)}


def test_views_are_those_of_their_kind(shown):
    assert set(shown) == {
        f"{pose}_pose_{view}_view" for pose in ("seen", "novel") for view in ("seen", "novel")
    }
    for name, line in shown.items():
        pose, view = name.split("_")[::2]
        for seen in line:
            assert (seen.frame == FRAMES[-1]) == (pose == "novel")
            assert (seen.camera == "right") == (view == "novel")
    assert len({seen.frame for seen in shown["seen_pose_seen_view"]}) == 2
    assert len({seen.camera for seen in shown["seen_pose_seen_view"]}) == 2


def test_pictures_are_of_one_size_and_hold_the_subject(shown, capture):
    sizes = {view.images[name].shape for line in shown.values() for view in line for name in view.images}  # fmt: skip
    assert len(sizes) == 1
    for line in shown.values():
        for view in line:
            away = np.abs(view.images[PHOTOGRAPH] - PAPER).max(axis=2) > 0.05
            mask = capture.mask(view.camera, view.frame) > 0.5
            assert away.sum() >= mask.sum() - 2  # nothing of it is cut off


def test_errors_have_their_sign(shown):
    for line in shown.values():
        for view in line:
            brightened = view.images["brighter"].mean() - view.images["full"].mean()
            difference = view.errors["brighter"] - view.errors["full"]
            assert brightened * difference.mean() > 0


def test_scores_are_those_of_the_view_that_is_shown(shown, capture, avatar):
    (view,) = shown["novel_pose_novel_view"]  # one novel frame, one camera held out
    cameras = capture.cameras()
    with torch.no_grad():
        cloud = avatar.pose(capture.poses[FRAMES.index(view.frame)])
        (seen,) = render_views(cloud, cameras[cameras.names.index(view.camera)])
    crop = foreground_crop(torch.from_numpy(capture.mask(view.camera, view.frame)))
    truth = torch.from_numpy(capture.image(view.camera, view.frame))
    mse = (seen.rgb[crop] - truth[crop]).square().mean().item()
    assert view.psnr["full"] == pytest.approx(-10 * np.log10(mse), abs=1e-3)


def test_a_sheet_has_a_line_a_kind_and_a_tile_a_picture(shown):
    figure = pose_sheet(shown)
    views = sum(map(len, shown.values()))
    assert len(figure.axes) == views * 5 + 1
    texts = [text.get_text() for text in figure.texts]
    assert set(shown) <= set(texts)
    assert texts.count(PHOTOGRAPH) == texts.count("full") == views
    with pytest.raises(ValueError, match="no views"):
        pose_sheet({"nothing": []})


def test_all_pictures_then_the_manifest(capture, avatar, tmp_path, monkeypatch):
    monkeypatch.setattr("avatarpipe.evaluation.turntable.turntable.__defaults__", (2, 60, "cpu"))
    monkeypatch.setattr(step, "pose_grid", partial(step.pose_grid, height=60))
    avatar.save(tmp_path / "full" / "avatar")
    replace(avatar, bases=False).save(tmp_path / "skinned" / "avatar")
    curve = pd.DataFrame({"step": [0, 1, 2], "name": "loss", "value": [3.0, 2.0, 1.0]})
    write_table(curve, tmp_path / "full" / "curves.parquet")
    out = tmp_path / "pictures" / "pictures.json"
    run(
        Options(
            tmp_path / "full" / "avatar", capture.path, out, str(tmp_path / "skinned/avatar/avatar.json"),
            views=1, device="cpu",
        )
    )  # fmt: skip
    manifest = json.loads(out.read_text())
    assert manifest["subject"] == "zoe" and set(manifest["pictures"]) == PICTURES | {"curves.png"}
    for name in manifest["pictures"]:
        if name.endswith("png"):
            with Image.open(out.parent / name) as image:
                assert min(image.size) > 100 and np.ptp(np.asarray(image)) > 150
    assert set(manifest["provenance"]["inputs"]) == {"avatar_full", "avatar_skinned", "capture"}


def test_without_novel_poses_and_held_out_cameras_training_itself_is_shown(capture, avatar):
    split = FrameSplit(capture.frame_names, ())
    options = Options(Path(), capture.path, Path("pictures.json"))
    rows = step._rows({"full": avatar}, capture, split, options, "cpu")
    assert list(rows) == ["poses that training saw, from cameras that it did not"]
    unseen = SimpleNamespace(
        cameras=lambda split=None: capture.cameras()[[0, 1] if split != "test" else []],
        **{name: getattr(capture, name) for name in ("path", "seen", "mask", "image", "poses", "frame_names")},
    )  # fmt: skip
    (line,) = step._rows({"full": avatar}, unseen, split, options, "cpu").values()
    assert {view.camera for view in line} == {"front", "left"}


def test_what_is_no_animatable_avatar_is_refused(capture, tmp_path):
    with pytest.raises(InputError, match="--views 0"):
        run(Options(tmp_path, capture.path, tmp_path / "pictures.json", views=0))


def test_the_figure_of_the_projection_shows_novel_poses_inside_the_band_afterwards():
    rng = np.random.default_rng(0)
    projection = PoseProjection.fit(
        rng.normal(0, 0.1, (30, 63)), ProjectionSettings(components=6, deviations=1.5)
    )
    novel = torch.cat([random_pose(seed, 0.6).body_pose for seed in range(4)]).numpy()
    figure = projection_figure(projection, novel)
    along = figure.axes[1]
    training, before, after = (np.asarray(part.get_offsets())[:, 1] for part in along.collections)
    assert (len(training), len(before), len(after)) == (30 * 6, 4 * 6, 4 * 6)
    assert np.abs(before).max() > 1.5 >= np.abs(after).max() - 1e-9
    assert training.std() == pytest.approx(1.0, abs=0.1)
    assert figure.axes[0].patches[0].get_height() == pytest.approx(
        np.degrees(projection.deviations[0])
    )


def test_few_poses_and_none_novel_are_drawn_too():
    projection = PoseProjection.fit(np.zeros((1, 63)), ProjectionSettings())
    figure = projection_figure(projection, np.zeros((0, 63)))
    assert "1 training poses, 0 components" in figure.axes[0].get_title(loc="left")
