"""Two avatars of a tiny figure measured in the four cells; whatever makes a cell mean something else is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from animatable_parts import TINY, random_pose, tiny_model, tiny_rig

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras, look_at
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing, write_cameras, write_frames
from avatarpipe.errors import InputError
from avatarpipe.evaluation.cells import cells, check_cameras, check_frames
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.evaluation.rows import COLUMNS
from avatarpipe.files import read_json
from avatarpipe.images import write_image
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.settings import ProjectionSettings
from avatarpipe.steps import evaluate_animatable
from avatarpipe.tables import read_table

FRAMES, SIZE = ("000000", "000001", "000002", "000003", "000004"), 64
ALL = {"seen": 1, "novel": 1}
CELLS = [f"{pose}_pose_{view}_view" for pose in ("seen", "novel") for view in ("seen", "novel")]


def _cameras(names: tuple[str, ...], angles) -> Cameras:
    views = [look_at([3 * np.sin(a), 0, 3 * np.cos(a)], [0, 0, 0]) for a in angles]
    K = np.tile(np.array([[60.0, 0, SIZE / 2], [0, 60, SIZE / 2], [0, 0, 1]]), (len(names), 1, 1))
    return Cameras(np.stack(views), K, SIZE, SIZE, names)


RIG = {"train": _cameras(("a", "b"), (0.0, 2.0)), "test": _cameras(("c",), (4.0,))}


def _poses() -> BodyParams:
    poses = [random_pose(seed, 0.15).replaced(transl=torch.zeros(1, 3)) for seed in range(40, 45)]
    return BodyParams(
        **{name: torch.cat([dict(p.items())[name] for p in poses]) for name, _ in poses[0].items()}
    )


def _avatar(body, shift: float, trained=slice(0, 3)) -> AnimatableAvatar:
    """Waves of colour on a solid body, moved by `shift` radians."""
    model, poses = tiny_model(body), _poses()
    model.parameters["looks"][:, 7] = 6.0
    model.parameters["looks"][:, 8:11] = torch.sin(9 * model.scaffold.points + shift)
    projection = PoseProjection.fit(poses.body_pose[trained].numpy(), ProjectionSettings())
    return AnimatableAvatar("zoe", poses[0], model, tiny_rig(body), projection, TINY, False, False)


@pytest.fixture(scope="module")
def capture(tmp_path_factory, fake_body) -> Capture:
    path = tmp_path_factory.mktemp("measured") / "capture.json"
    avatar, poses = _avatar(fake_body, 0.0), _poses()
    with publishing(path) as draft:
        entries = write_frames(draft, poses, FRAMES, np.arange(5) / 5) | write_cameras(draft, RIG)
        for k, frame in enumerate(FRAMES):
            for cameras in RIG.values():
                for view in render_views(avatar.pose(poses[k]), cameras):
                    file = f"{frame}/{view.camera}.png"
                    write_image(draft / "images" / file, view.rgb.numpy())
                    write_image(draft / "masks" / file, view.alpha.numpy())
        Manifest("zoe", "neutral", provenance={}, images="images", masks="masks", **entries).save(
            draft / "capture.json"
        )
    return Capture.load(path)


@pytest.fixture(scope="module")
def avatars(tmp_path_factory, fake_body):
    folder = tmp_path_factory.mktemp("avatars")
    _avatar(fake_body, 0.0).save(folder / "full")
    _avatar(fake_body, 0.5).save(folder / "skinned")
    return folder


def _measure(capture, avatars, out, *more) -> None:
    evaluate_animatable.main(
        ["--avatar", str(avatars / "full"), "--capture", str(capture.path), "--out", str(out),
         "--novel-frames", "3-4", "--device", "cpu", "--lpips-weights", str(out.parent / "none"),
         "--fid-weights", str(out.parent / "none"), *more]
    )  # fmt: skip


def test_four_cells_both_conventions_and_the_margin(capture, avatars, tmp_path):
    out = tmp_path / "evaluate" / "metrics.parquet"
    _measure(capture, avatars, out, "--baseline", str(avatars / "skinned"))
    table = read_table(out, COLUMNS)
    assert set(table["method"]) == {"animatable"} and set(table["subject"]) == {"zoe"}
    views = table[table["metric"] == "psnr_ag"].groupby(["stage", "split"]).size()
    for stage in ("full", "skinned"):
        assert [views[stage, cell] for cell in CELLS] == [6, 3, 4, 2]
    means = table.groupby(["stage", "split", "metric"])["value"].mean()
    protocol = read_json(out.with_suffix(".json"))
    for cell in CELLS:
        for metric in ("psnr_foreground", "ssim_ag", "ssim_mmlphuman"):
            margin = means["full", cell, metric] - means["skinned", cell, metric]
            assert margin > 0, (cell, metric)
            assert means["full - skinned", cell, metric] == pytest.approx(margin)
            assert protocol["margin"]["cells"][cell][metric] == pytest.approx(margin)
    assert protocol["cells"]["novel_pose_novel_view"] == {
        "frames": ["000003", "000004"], "cameras": ["c"], "views": 2,
    }  # fmt: skip
    assert "none" in protocol["lpips"] and "none" in protocol["fid"]


def test_fewer_frames_and_cameras_where_asked(capture, avatars, tmp_path):
    out = tmp_path / "metrics.parquet"
    _measure(capture, avatars, out, "--every", "2", "--novel-every", "3", "--seen-cameras", "1")
    table = read_table(out)
    assert set(table["stage"]) == {"full"}
    assert set(table["frame"]) == {"000000", "000002", "000003"}
    seen = table[table["split"] == "seen_pose_seen_view"]
    assert set(seen["camera"]) == {"b"}


def test_fid_is_of_a_whole_cell(capture, avatars, tmp_path, monkeypatch):
    """With a network that is cheap: its features are the mean colours of the squares."""

    class Colours:
        def __init__(self, path):
            self.path = path

        def to(self, device):
            return self

    def mean_colours(network, images):
        return np.stack([image.mean(axis=(0, 1)) for image in images])

    monkeypatch.setattr("avatarpipe.steps.evaluate_animatable.Inception", Colours)
    monkeypatch.setattr("avatarpipe.evaluation.animatable.features", mean_colours)
    weights = tmp_path / "fid" / "pt_inception-2015-12-05-6726825d.pth"
    weights.parent.mkdir()
    weights.touch()
    out = tmp_path / "metrics.parquet"
    more = ("--baseline", str(avatars / "skinned"), "--fid-weights", str(weights.parent))
    _measure(capture, avatars, out, *more)
    table = read_table(out)
    fid = table[table["metric"] == "fid_ag"]
    assert fid["camera"].isna().all()
    values = fid.set_index(["stage", "split"])["value"]
    for cell in CELLS:
        assert 0 <= values["full", cell] < values["skinned", cell]
        assert values["full - skinned", cell] < 0


def test_frames_that_were_trained_on_are_not_novel(capture, avatars, fake_body):
    projection = _avatar(fake_body, 0.0).projection
    check_frames(capture, FrameSplit(FRAMES[:3], FRAMES[3:]), projection, "x")
    with pytest.raises(InputError, match="x: was trained on the pose of frame 000002"):
        check_frames(capture, FrameSplit(FRAMES[:2], FRAMES[2:]), projection, "x")
    with pytest.raises(InputError, match="x: was not trained on the pose of frame 000003"):
        check_frames(capture, FrameSplit(FRAMES[:4], FRAMES[4:]), projection, "x")
    with pytest.raises(InputError, match="seen and novel at once"):
        check_frames(capture, FrameSplit(FRAMES[:3], FRAMES[2:]), projection, "x")


def test_the_command_says_so(capture, avatars, tmp_path, capsys):
    with pytest.raises(SystemExit):
        _measure(capture, avatars, tmp_path / "m.parquet", "--novel-frames", "4")
    assert "was not trained on the pose of frame 000003" in capsys.readouterr().err
    assert not (tmp_path / "m.parquet").exists()


class _Rig:
    """A capture's cameras."""

    def __init__(self, train: Cameras, test: Cameras):
        self.path, self._cameras = "capture.json", {"train": train, "test": test}

    def cameras(self, split):
        return self._cameras[split]


def test_a_held_out_camera_beside_a_training_camera_is_refused():
    check_cameras(_Rig(RIG["train"], RIG["test"]))
    twin = replace(RIG["train"][[1]], names=("twin",))
    with pytest.raises(InputError, match="camera twin, held out, sees what b sees"):
        check_cameras(_Rig(RIG["train"], twin))
    turned = twin.w2c.copy()
    turned[0, :3] = np.diag([-1, 1, -1]) @ turned[0, :3]
    check_cameras(_Rig(RIG["train"], replace(twin, w2c=turned)))


def test_cells_without_frames_or_cameras_are_left_out(capture):
    found = cells(capture, FrameSplit(FRAMES, ()), ALL)
    assert [cell.name for cell in found] == CELLS[:2]
    assert [len(cell.cameras) for cell in cells(capture, FrameSplit(FRAMES, ()), ALL, 1)] == [1, 1]
    with pytest.raises(InputError, match="no frame"):
        cells(capture, FrameSplit((), ()), ALL)
