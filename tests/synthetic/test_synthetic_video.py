"""A small synthetic video: one seed, one recording; cloth that is a function of pose, outside of the body, as pictured."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import Label
from avatarpipe.errors import InputError
from avatarpipe.images import read_labels, read_mask
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import render_mesh
from avatarpipe.mesh.signed import signed_distance
from avatarpipe.steps import convert, synthesize_video
from avatarpipe.steps.synthesize_video import SynthesizeVideo
from avatarpipe.synthetic.cast import Cast, posed_bodies
from avatarpipe.synthetic.choreography import NOVEL, TRAINING, dressing_pose, motion
from avatarpipe.synthetic.footage import Footage
from avatarpipe.synthetic.stage import stage_cameras
from avatarpipe.synthetic.traits import sample_traits
from avatarpipe.synthetic.video import Plan

SEED, GENDER = 7, "male"
SMALL = {
    "frames": 3, "novel_frames": 1, "fps": 1, "cameras": 3, "test_cameras": 1, "size": 96,
    "supersample": 1, "detail": "draft", "seed": SEED, "gender": GENDER,
}  # fmt: skip
GARMENTS = ("upper", "lower")


@pytest.fixture(scope="module")
def body_file(free_man_file) -> Path:
    return free_man_file


@pytest.fixture(scope="module")
def body(body_file) -> Body:
    return Body(body_file)


@pytest.fixture(scope="module")
def made(body_file, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("video") / "manifest.json"
    synthesize_video.run(SynthesizeVideo(body=body_file, out=out, **SMALL))
    return out.parent


@pytest.fixture(scope="module")
def manifest(made) -> dict:
    return json.loads((made / "manifest.json").read_text())


@pytest.fixture(scope="module")
def killed(body_file, tmp_path_factory):
    """The same recording by a run that ended after two frames, and by the one after it; which frames were pictured; the cast."""
    out = tmp_path_factory.mktemp("killed") / "manifest.json"
    options = SynthesizeVideo(body=body_file, out=out, **SMALL)
    shoot, shot = Footage.shoot, []

    def counted(footage, frames, workers):
        for frame in shoot(footage, frames, workers):
            shot.append(frame)
            yield frame
            if len(shot) == 2:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Footage, "shoot", counted)
        with pytest.raises(KeyboardInterrupt):
            synthesize_video.run(options)
        assert not out.exists()
        (draft,) = out.parent.glob(".footage-*")
        cast = Cast.load(draft / "cast.npz")
        synthesize_video.run(options)
    return out.parent, shot, cast


@pytest.fixture(scope="module")
def acted(killed, body):
    """The cast, its dressing pose, and the layers in three of the key poses, with cloth and merely skinned."""
    traits = sample_traits(GENDER, SEED)
    _, _, cast = killed
    dressing = dressing_pose(body, traits.betas)
    poses = motion(body, traits.betas, TRAINING, 3, 0.6, 5)
    posed = posed_bodies(body, poses, dressing)
    dressed = [cast.person.layers(one) for one in posed]
    skinned = [cast.person.layers(one, free=True) for one in posed]
    return cast, dressing, poses, dressed, skinned


def _capture(made: Path, body_file: Path) -> Capture:
    out = made / "convert" / "capture.json"
    if not out.exists():
        options = {"dataset": "synthetic-video", "source": "7", "frames": "all", "subject": "vic"}
        convert.run(convert.Convert(root=made, gender=GENDER, body=body_file, out=out, **options))
    return Capture.load(out)


def test_a_killed_run_continues_to_the_same_files(made, killed):
    again, shot, _ = killed
    assert shot == [0, 1, 2, 3]
    names = {path.relative_to(made) for path in made.rglob("*") if "convert" not in path.parts}
    assert names == {path.relative_to(again) for path in again.rglob("*")}
    for name in sorted(names):
        if name.suffix == ".npz":
            with np.load(made / name) as ours, np.load(again / name) as theirs:
                assert all(np.array_equal(ours[key], theirs[key]) for key in ours.files)
        elif (made / name).is_file():
            assert (made / name).read_bytes() == (again / name).read_bytes(), name


def test_cloth_keeps_outside_of_the_body(acted, body):
    cast, _, _, dressed, _ = acted
    faces = cast.person.body_faces
    for layers in dressed:
        count = len(cast.person.body_rest)
        skin = layers["body"][:count]  # Loop subdivision keeps the old vertices first
        for name in GARMENTS:
            outer = layers[name][: len(cast.person.rigs[name].x_rest)]
            depth = signed_distance(outer, skin, faces)
            assert (depth < -0.002).mean() < 0.012, name
        assert len(body.v_template) == count


def test_cloth_does_what_skinning_does_not_and_differently_in_each_pose(acted):
    _, _, _, dressed, skinned = acted
    for name in GARMENTS:
        moved = [a[name] - b[name] for a, b in zip(dressed, skinned, strict=True)]
        lengths = [np.linalg.norm(one, axis=1) for one in moved]
        assert max(one.mean() for one in lengths) > 0.001, name
        assert np.quantile(np.ptp(lengths, axis=0), 0.9) > 0.001, name
    np.testing.assert_allclose(dressed[0]["shoes"], skinned[0]["shoes"])


def test_the_same_pose_has_the_same_cloth_wherever_it_stands(acted, body):
    cast, dressing, poses, dressed, _ = acted
    one = poses[2]
    turn = Rotation.from_rotvec([0, 0.8, 0])
    before = Rotation.from_rotvec(one.global_orient[0].double().numpy())
    orient = torch.as_tensor((turn * before).as_rotvec()[None], dtype=torch.float32)
    moved = one.replaced(global_orient=orient, transl=one.transl + torch.tensor([[0.5, 0.0, -0.2]]))
    layers = cast.person.layers(posed_bodies(body, moved, dressing)[0])
    root = cast.person.rest_joints[0]
    pivot = root + one.transl[0].double().numpy()
    for name in (*GARMENTS, "hair"):
        back = turn.inv().apply(layers[name] - pivot - [0.5, 0.0, -0.2]) + pivot
        assert np.quantile(np.linalg.norm(back - dressed[2][name], axis=1), 0.99) < 2e-4, name


def test_the_pictures_show_the_true_meshes(made, manifest, body, body_file):
    """Body and moving layers, put together from the truth, cover what the masks cover."""
    capture = _capture(made, body_file)
    poses = BodyParams.load(made / "truth/body_poses.npz")
    layers = [np.load(made / f"truth/moving_{n}.npz") for n in ("upper", "lower", "shoe", "hair")]
    for index in (0, 3):
        parts = [Mesh(body.vertices(poses[index])[0].double().numpy(), body.faces)]
        parts += [Mesh(layer["vertices"][index], layer["faces"]) for layer in layers]
        cameras = capture.cameras()
        alpha = render_mesh(Mesh.concatenate(parts), cameras).alpha > 0.5
        for c, camera in enumerate(cameras.names):
            mask = capture.mask(camera, capture.frame_names[index]) > 0.5
            union = (mask | alpha[c]).sum()
            assert (mask & alpha[c]).sum() > 0.97 * union and union > 300
    assert len(layers[0]["vertices"]) == len(manifest["train_frames"] + manifest["novel_frames"])


def test_joints_project_into_the_masks(made, body, body_file):
    capture = _capture(made, body_file)
    cameras = capture.cameras()
    inside = []
    for index, frame in enumerate(capture.frame_names):
        joints = body.joints(capture.poses[index])[0, :22].double().numpy()
        for c, camera in enumerate(cameras.names):
            seen = joints @ cameras.w2c[c, :3, :3].T + cameras.w2c[c, :3, 3]
            x, y = ((seen @ cameras.K[c].T)[:, :2] / seen[:, 2:]).astype(int).T
            inside += list(capture.mask(camera, frame)[y, x] > 0.5)
    assert np.mean(inside) > 0.97


def test_label_maps_cover_the_masks_of_what_is_held_out(made, manifest):
    listed = json.loads((made / "truth/labels.json").read_text())
    (test,) = manifest["test_cameras"]
    assert all(test in views for views in listed.values())
    (novel,) = manifest["novel_frames"]
    assert set(listed[novel]) == {*manifest["train_cameras"], test}
    labels = read_labels(made / "truth" / listed[novel][test])
    mask = read_mask(made / "recording" / test / "mask/pha" / f"{int(novel):08d}.jpg")
    assert ((labels > 0) == (mask > 0.5)).mean() > 0.998
    assert set(np.unique(labels)) == {0, *(int(x) for x in list(Label)[1:6])}


def test_the_capture_knows_what_is_held_out(made, manifest, body_file):
    capture = _capture(made, body_file)
    assert list(capture.cameras("test").names) == manifest["test_cameras"]
    assert list(capture.cameras("train").names) == manifest["train_cameras"]
    split = json.loads((made / manifest["truth"]["split"]).read_text())
    assert split["train_frames"] + split["novel_frames"] == list(capture.frame_names)


def test_novel_poses_are_unlike_all_that_are_trained_on(body):
    betas = sample_traits(GENDER, SEED).betas
    train = motion(body, betas, TRAINING, 48, 5, SEED).body_pose.numpy()
    novel = motion(body, betas, NOVEL, 9, 5, SEED + 1).body_pose.numpy()[1:]
    nearest = np.linalg.norm(novel[:, None] - train[None], axis=2).min(axis=1)
    within = np.linalg.norm(np.diff(train, axis=0), axis=1)
    assert nearest.min() > 0.5 and nearest.mean() > within.mean()


def test_feet_stand_on_the_floor_and_everything_is_in_the_picture(body):
    betas = sample_traits(GENDER, SEED).betas
    poses = motion(body, betas, TRAINING, 6, 1.0, SEED)
    vertices = body.vertices(poses).double().numpy()
    np.testing.assert_allclose(vertices[..., 1].min(axis=1), 0.008, atol=1e-4)
    cameras = stage_cameras(7, 100, vertices.reshape(-1, 3), SEED)
    assert len(set(cameras.names)) == 7 and isinstance(cameras, Cameras)
    for c in range(7):
        seen = vertices.reshape(-1, 3) @ cameras.w2c[c, :3, :3].T + cameras.w2c[c, :3, 3]
        pixels = (seen @ cameras.K[c].T)[:, :2] / seen[:, 2:]
        assert pixels.min() >= 0 and pixels.max() <= 100
        assert np.ptp(pixels[:, 1]) > 55
    heights = cameras.centres[:, 1]
    assert np.ptp(heights) > 1.0 and np.linalg.norm(cameras.centres[:, [0, 2]], axis=1).min() > 1.7


@pytest.mark.parametrize(
    "changes, word",
    [({"fps": 7}, "30"), ({"test_cameras": 3}, "held out"), ({"frames": 1}, "frames")],
)
def test_plans_that_cannot_be_are_refused(changes, word):
    plan = Plan(3, 1, 3, 1, 96, 1, 0.0, 1)
    with pytest.raises(InputError, match=word):
        replace(plan, **changes)


def test_lenses_need_a_layout_that_has_them(body_file, tmp_path):
    options = SynthesizeVideo(body=body_file, out=tmp_path / "manifest.json", **SMALL)
    with pytest.raises(InputError, match="distortion"):
        synthesize_video.run(replace(options, layout="actorshq", distortion=1.0))
