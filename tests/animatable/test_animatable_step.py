"""The training step on a tiny video: what it leaves, what it refuses, and that kill -9 at any moment changes no byte."""

import json
import random
import shutil
import sys
from pathlib import Path

import animatable_video
import numpy as np
import pytest
import torch
from animatable_parts import BETAS
from animatable_video import FRAMES, QUICK
from killing import train_and_kill, train_and_stop

from avatarpipe.avatar import Avatar
from avatarpipe.capture.capture import Capture
from avatarpipe.faults import MACHINE_FAILED
from avatarpipe.gaussians.render import render
from avatarpipe.mesh.mesh import Mesh, save_mesh
from avatarpipe.methods.animatable.rig import big_pose
from avatarpipe.methods.animatable.stage import AnimatableStage
from avatarpipe.methods.animatable.template import body_template
from avatarpipe.steps import train_animatable
from avatarpipe.tables import read_table

EVERY, ITERATIONS = QUICK["checkpoint_every"], QUICK["iterations"]


@pytest.fixture(scope="module")
def video(tmp_path_factory, fake_body, fake_body_file):
    """Options of the step by name: capture, weights and body."""
    root = tmp_path_factory.mktemp("video")
    capture = animatable_video.write_video(root / "capture", fake_body)
    weights = animatable_video.write_weights(capture, fake_body_file, root / "weights/weights.json")
    return {"--capture": capture, "--weights": weights, "--body": fake_body_file}


def words(video: dict, folder: Path, settings: dict = QUICK, /, **changed) -> list[str]:
    """The command line of a training that leaves its avatar under `folder`."""
    given = video | {
        "--out": folder / "avatar/avatar.json", "--curves": folder / "curves.parquet", "--device": "cpu", "--seed": 3,
        "--settings": json.dumps(settings),
    }  # fmt: skip
    given |= {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return [f"{name}={value}" for name, value in given.items()]


@pytest.fixture(scope="module")
def trained(video, tmp_path_factory):
    """Folders of both variants, trained in one go."""
    root = tmp_path_factory.mktemp("trained")
    for variant in ("full", "skinned"):
        train_animatable.main(words(video, root / variant, variant=variant))
    return root


def test_both_variants_are_avatars_that_fit_the_video(video, trained):
    capture = Capture.load(video["--capture"])
    full, skinned = (
        Avatar.load(trained / name / "avatar/avatar.json") for name in ("full", "skinned")
    )
    assert full.bases and full.harmonics and not skinned.bases
    assert full.model.parameters["look_bases"].shape[1] == QUICK["model"]["bases"]
    assert len(full.projection.seen) == 3  # of four frames one is novel
    for avatar in (full, skinned):
        with torch.no_grad():
            shown = render(avatar.pose(capture.poses[0]), capture.cameras("train")).rgb.numpy()
        truth = capture.stack("train", "images", FRAMES[0])
        assert np.abs(shown - truth).mean() < 0.6 * np.abs(0.5 * (truth > 0) - truth).mean()
    assert sorted(path.name for path in (trained / "full").iterdir()) == [
        "avatar",
        "curves.parquet",
    ]


def test_curves_have_every_term_to_the_end(trained):
    for variant in ("full", "skinned"):
        table = read_table(trained / variant / "curves.parquet", ["step", "name", "value"])
        assert {"l1", "smooth", "scale", "perceptual", "loss"} == set(table["name"])
        assert table["step"].max() == ITERATIONS


def test_the_baseline_is_the_same_training_until_the_pose_has_a_say(video, tmp_path):
    settings = QUICK | {"iterations": 6}
    for variant in ("full", "skinned"):
        train_animatable.main(words(video, tmp_path / variant, settings, variant=variant))
    full, skinned = (
        Avatar.load(tmp_path / v / "avatar/avatar.json").model for v in ("full", "skinned")
    )
    assert torch.equal(full.scaffold.points, skinned.scaffold.points)
    for name in ("looks", "controls", "shifts"):
        assert torch.equal(full.parameters[name], skinned.parameters[name])
    assert len(full.parameters["networks.0.weight"]) > len(skinned.parameters["networks.0.weight"])


def test_held_out_cameras_and_novel_frames_have_no_say(video, trained, tmp_path):
    """With other pictures where training must not look, the very same avatar."""
    spoiled = tmp_path / "capture"
    shutil.copytree(video["--capture"].parent, spoiled)
    for kind in ("images", "masks"):
        for frame in FRAMES:
            shutil.copy(
                spoiled / kind / FRAMES[1] / "left.png", spoiled / kind / frame / "right.png"
            )
        for camera in ("front", "left"):
            shutil.copy(
                spoiled / kind / FRAMES[0] / "left.png",
                spoiled / kind / FRAMES[3] / f"{camera}.png",
            )
    train_animatable.main(words(video, tmp_path / "full", capture=spoiled / "capture.json"))
    assert_same_tensors(tmp_path / "full", trained / "full")


def test_the_perceptual_distance_is_on_record_and_none_where_it_never_counts(
    video, trained, tmp_path
):
    said = json.loads((trained / "full/avatar/avatar.json").read_text())["provenance"]["perceptual"]
    assert "1 - SSIM" in said and "vgg.pth" in said
    settings = QUICK | {"iterations": 2, "losses": {"perceptual_weight": 0.0}}
    train_animatable.main(words(video, tmp_path, settings))
    said = json.loads((tmp_path / "avatar/avatar.json").read_text())["provenance"]["perceptual"]
    assert said == "none"


def refused(options: list[str], capfd) -> str:
    with pytest.raises(SystemExit) as stopped:
        train_animatable.main(options)
    assert stopped.value.code == 2
    return capfd.readouterr().err


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"novel_frames": "0-18"}, "none of its 4 frames is left to train on"),
        ({"novel_frames": "100"}, "has none of them"),
        ({"settings": "[]"}, "a JSON object was expected"),
        ({"settings": '{"itertions": 3}'}, "animatable: unknown key itertions"),
        ({"settings": '{"model": {"legs_apart_deg": 30}}'}, "legs 25 degrees apart, not 30"),
        ({"template": "given"}, "--template-mesh must name its file"),
        ({"weights": "/nowhere/weights.json"}, "/nowhere/weights.json: no such file"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_clear_error(video, tmp_path, capfd, changed, says):
    assert says in refused(words(video, tmp_path, **changed), capfd)


def test_weights_of_another_body_or_shape_are_refused(video, tmp_path, capfd):
    told = json.loads(video["--weights"].read_text())
    told["provenance"]["inputs"]["body"]["sha256"] = "0" * 64
    (tmp_path / "weights.json").write_text(json.dumps(told))
    again = {"weights": tmp_path / "weights.json"}
    assert "weights are those of another body" in refused(words(video, tmp_path, **again), capfd)
    told = json.loads(video["--weights"].read_text())
    told["canonical"]["betas"][3] += 1.0
    (tmp_path / "weights.json").write_text(json.dumps(told))
    assert "around another shape" in refused(words(video, tmp_path, **again), capfd)
    (tmp_path / "weights.json").write_text("{}")
    assert "not the manifest of skinning weights" in refused(words(video, tmp_path, **again), capfd)


def test_a_clothed_template_is_started_on_and_one_in_another_pose_is_refused(
    video, fake_body, tmp_path, capfd
):
    body = body_template(fake_body, BETAS)
    outward = 0.02 * body.vertex_normals()
    save_mesh(Mesh(body.vertices + outward, body.faces), tmp_path / "clothed.ply")
    given = {"template": "given", "template_mesh": tmp_path / "clothed.ply"}
    settings = QUICK | {"iterations": 1}
    train_animatable.main(words(video, tmp_path / "on", settings, **given))
    points = Avatar.load(tmp_path / "on/avatar/avatar.json").model.scaffold.points.numpy()
    gap = np.linalg.norm(points[:, None] - body.vertices[None, ::3], axis=-1).min(axis=1)
    assert np.median(gap) > 0.015
    lowered = big_pose(BETAS)
    lowered.body_pose[0, [16 * 3 - 1, 17 * 3 - 1]] = torch.tensor([-0.6, 0.6])
    posed = fake_body.vertices(lowered)[0].numpy()
    save_mesh(Mesh(posed, fake_body.faces), tmp_path / "clothed.ply")
    assert "hand of the subject's body in the big pose" in refused(
        words(video, tmp_path, **given), capfd
    )


def test_killed_at_any_moment_it_leaves_what_it_would_have(video, trained, tmp_path, capfd):
    rng, folder = random.Random(5), tmp_path / "full"
    options = words(video, folder, variant="full")
    train_and_kill("avatarpipe.steps.train_animatable", options, folder / "checkpoints", EVERY, ITERATIONS, rng)
    assert not (folder / "avatar").exists() and not (folder / "curves.parquet").exists()
    shown = Avatar.load(folder / "snapshot/avatar.json")
    assert shown.subject == "zoe" and shown.bases and shown.provenance["iteration"] > 0
    left = sorted((folder / "checkpoints").glob("[0-9]*"))
    shutil.copytree(folder, tmp_path / "as_killed")
    train_animatable.main(options)
    assert f"resumed after iteration {int(left[-1].name)}" in capfd.readouterr().err
    assert_same_result(folder, trained / "full")
    assert sorted(path.name for path in folder.iterdir()) == ["avatar", "curves.parquet"]

    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "as_killed", folder)
    newest = folder / "checkpoints" / left[-1].name / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[: rng.randint(0, newest.stat().st_size - 1)])
    train_animatable.main(options)
    assert f"resumed after iteration {int(left[-2].name)}" in capfd.readouterr().err
    assert_same_result(folder, trained / "full")


@pytest.mark.slow
@pytest.mark.parametrize("together", [1, 2])
def test_told_to_end_at_any_moment_it_goes_on_from_there(video, together, tmp_path, capfd):
    """One process, and two under torchrun, of which both and the launcher may be told, or the launcher alone."""
    settings = QUICK | {"cameras_per_step": 2}
    for name in ("stopped", "straight"):
        options = words(video, tmp_path / name, settings, variant="full")
        if name == "straight":
            train_animatable.main(options)
            continue
        launcher = [] if together == 1 else ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
        command = [sys.executable, "-m", *launcher, "avatarpipe.steps.train_animatable", *options]
        folder = tmp_path / name / "checkpoints"
        saved = train_and_stop(command, folder, EVERY, random.Random(together), 0.2)
        train_animatable.main(options)
        assert f"resumed after iteration {saved}" in capfd.readouterr().err
    if together == 1:
        assert_same_result(tmp_path / "stopped", tmp_path / "straight")


def assert_same_tensors(ours: Path, theirs: Path) -> None:
    names = sorted(path.name for path in (theirs / "avatar").glob("*.safetensors"))
    assert names == ["body.safetensors", "projection.safetensors"]
    for name in names:
        assert (ours / "avatar" / name).read_bytes() == (theirs / "avatar" / name).read_bytes(), (
            name
        )


def assert_same_result(ours: Path, theirs: Path) -> None:
    """Every tensor file of the avatars, byte for byte, and every value of the curves."""
    assert_same_tensors(ours, theirs)
    tables = [
        read_table(root / "curves.parquet", ["step", "name", "value"]) for root in (ours, theirs)
    ]
    assert tables[0].equals(tables[1]) and tables[0]["step"].max() == ITERATIONS


def test_a_training_that_found_its_gpu_full_goes_on_from_its_checkpoint(
    video, trained, tmp_path, monkeypatch, capfd
):
    """In the words of torch on an H200 whose memory another program had taken."""
    plain = AnimatableStage.step

    def with_a_full_gpu(stage, step):
        if step == 10:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has a total capacity of 139.80 GiB."
            )
        return plain(stage, step)

    with monkeypatch.context() as patched:
        patched.setattr(AnimatableStage, "step", with_a_full_gpu)
        with pytest.raises(SystemExit) as ended:
            train_animatable.main(words(video, tmp_path))
    said = capfd.readouterr().err
    assert ended.value.code == MACHINE_FAILED and "Traceback" not in said
    assert "no GPU memory left (CUDA out of memory. Tried to allocate 2.00 MiB" in said
    train_animatable.main(words(video, tmp_path))
    assert "resumed after iteration 9" in capfd.readouterr().err
    assert_same_result(trained / "full", tmp_path)
