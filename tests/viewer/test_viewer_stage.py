"""What buttons and sliders do, without buttons and sliders."""

import numpy as np
import pytest
import torch
from viewer_parts import waving

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.body.params import BodyParams
from avatarpipe.errors import InputError
from avatarpipe.viewer.figure import Figure
from avatarpipe.viewer.joints import PARTS, place, turn, turned
from avatarpipe.viewer.motions import NONE, MotionShelf
from avatarpipe.viewer.playback import Playback
from avatarpipe.viewer.poses import random_pose


def test_every_joint_is_in_one_part_and_has_its_place_in_the_pose():
    assert sorted(joint for part in PARTS.values() for joint in part) == sorted(JOINT_NAMES)
    for index, joint in enumerate(JOINT_NAMES):
        params = turned(BodyParams.zeros(), joint, [0.1, 0.2, 0.3])
        expected = torch.zeros(165)
        expected[3 * index : 3 * index + 3] = torch.tensor([0.1, 0.2, 0.3])
        assert torch.equal(params.full_pose[0], expected), joint
        assert turn(params, joint) == pytest.approx([0.1, 0.2, 0.3])
    assert place("left_index1") == ("left_hand_pose", 0)


def test_presets_keep_the_pelvis_and_the_shape(stage):
    standing = stage.figure.standing
    for action in (stage.t_pose, stage.random_pose, stage.captured_pose):
        before = stage.figure.version
        action()
        params = stage.figure.params
        assert stage.figure.version > before
        assert torch.equal(params.transl, standing.transl)
        assert torch.equal(params.betas, standing.betas)
    assert torch.equal(params.body_pose, standing.body_pose)  # captured came last
    stage.t_pose()
    assert not stage.figure.params.full_pose.any()


def test_random_poses_differ_and_knees_and_elbows_bend_one_way():
    rng, standing = np.random.default_rng(0), BodyParams.zeros()
    poses = [random_pose(standing, rng) for _ in range(20)]
    assert not torch.equal(poses[0].body_pose, poses[1].body_pose)
    for pose in poses:
        assert turn(pose, "left_knee")[0] >= 0 and turn(pose, "right_knee")[0] >= 0
        assert turn(pose, "left_elbow")[1] <= 0 <= turn(pose, "right_elbow")[1]
        assert pose.full_pose.abs().max() < 2.0


def test_turning_a_joint_moves_what_hangs_on_it(stage):
    stage.choose_part("left arm")
    stage.choose_joint("left_elbow")
    stage.t_pose()
    before = stage.figure.cloud().means
    stage.turn([0.0, -90.0, 0.0])
    moved = (stage.figure.cloud().means - before).norm(dim=1)
    hand = before[:, 0] > 0.6
    assert stage.angles == pytest.approx([0.0, -90.0, 0.0], abs=1e-4)
    assert moved[hand].min() > 0.1 and moved[before[:, 0] < 0.1].max() < 1e-4
    stage.choose_joint("right_elbow")  # not of this part
    assert stage.joint == "left_elbow"


def test_layers_can_be_hidden_all_of_them_too(stage):
    figure = stage.figure
    every = len(figure.cloud())
    figure.choose_layers(["outer"])
    some = figure.cloud()
    assert 0 < len(some) < every and (some.colors[:, 0] > 0.5).all()
    figure.choose_layers([])
    assert figure.cloud() is None
    figure.choose_layers(["outer", "inner", "hat"])
    assert len(figure.cloud()) == every and figure.layers == ("inner", "outer")


def test_look_is_a_factor(stage):
    plain = stage.figure.cloud()
    stage.figure.look(size=0.5)
    stage.figure.look(opacity=0.25)
    cloud = stage.figure.cloud()
    assert torch.allclose(cloud.scales, plain.scales * 0.5)
    assert torch.allclose(cloud.opacities, plain.opacities * 0.25)


def test_canonical_is_what_is_stored_where_the_camera_looks(stage, coated):
    stage.canonical()
    cloud, stored = stage.figure.cloud(), coated.canonical()
    shift = cloud.means - stored.means
    assert shift.std(dim=0).max() < 1e-5
    captured = coated.pose(coated.captured).means
    assert abs(cloud.means[:, 1].max() - captured[:, 1].max()) < 0.1
    stage.t_pose()
    assert not stage.figure.canonical


def test_shape_where_it_has_a_say(stage, animatable):
    assert stage.figure.follows_shape
    before = stage.figure.cloud().means
    stage.shape(0, 3.0)
    assert (stage.figure.cloud().means - before).abs().max() > 0.02
    stage.random_pose()
    assert stage.figure.params.betas[0, 0] == 3.0
    stage.reset_shape()
    assert not stage.figure.params.betas.any()
    stage.put(animatable, stage.found)
    assert not stage.figure.follows_shape
    betas = stage.figure.params.betas.clone()
    stage.shape(0, 3.0)
    assert torch.equal(stage.figure.params.betas, betas)


def test_a_new_state_keeps_the_pose_another_subject_does_not(stage, coated, animatable):
    stage.random_pose()
    stage.figure.choose_layers(["inner"])
    pose = stage.figure.params
    stage.put(coated, stage.found)
    assert stage.figure.params is pose and stage.figure.layers == ("inner",)
    stage.put(animatable, stage.found)
    assert torch.equal(stage.figure.params.full_pose, animatable.captured.full_pose)
    assert stage.figure.layers == ("body",) and len(stage.figure.cloud()) == 300


def test_playback_keeps_time():
    playback = Playback()
    playback.load(waving(10, fps=10.0))
    assert not playback.advance(5.0)  # not playing
    playback.play(100.0)
    assert not playback.advance(100.05) and playback.frame == 0
    assert playback.advance(100.31) and playback.frame == 3
    playback.set_speed(2.0, 100.31)
    assert playback.advance(100.57) and playback.frame == 8
    assert playback.advance(100.72) and playback.frame == 1  # around the corner
    for k in range(10):  # a speed that is being dragged does not hold the motion up
        playback.set_speed(2.0, 100.72 + 0.01 * k)
    assert playback.advance(100.83) and playback.frame == 3
    playback.seek(7, 101.0)
    playback.advance(101.06)
    assert playback.frame == 8
    playback.loop = False
    assert playback.advance(110.0) and playback.frame == 9 and not playback.playing
    playback.play(120.0)  # from the start
    assert playback.frame == 0 and playback.playing
    playback.seek(99, 120.0)
    assert playback.frame == 9


def test_motions_go_in_place_or_along(stage):
    stage.choose_motion("wave.npz", now=0.0)
    motion, standing = waving(), stage.figure.standing
    stage.advance(0.55)
    params = stage.figure.params
    assert stage.playback.frame == 5
    assert torch.allclose(params.body_pose, motion.poses.body_pose[5:6])
    assert torch.equal(params.transl[:, [0, 2]], standing.transl[:, [0, 2]])
    bob = motion.poses.transl[5, 1] - motion.poses.transl[0, 1]
    assert params.transl[0, 1] == pytest.approx(float(standing.transl[0, 1] + bob), abs=1e-6)
    stage.set_in_place(False)
    assert torch.allclose(stage.figure.params.transl, motion.poses.transl[5:6], atol=1e-6)
    stage.turn([0.0, 0.0, 10.0])  # takes over from the motion
    assert not stage.playback.playing


def test_motions_are_offered_and_read_when_asked_for(results, coated, animatable, tmp_path):
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"no motion")
    shelf = MotionShelf((str(bad),), results)
    assert shelf.names[:3] == [NONE, "bad.npz", "wave.npz"]
    assert "walk (made here)" in shelf.names
    assert shelf.read(NONE, coated) is None
    walk = shelf.read("walk (made here)", coated)
    assert walk is shelf.read("walk (made here)", coated) and len(walk) > 10
    assert len(shelf.read("walk (made here)", animatable)) == len(walk)  # by the body it names
    with pytest.raises(InputError, match=r"bad\.npz"):
        shelf.read("bad.npz", coated)
    animatable.provenance["inputs"]["body"]["path"] = "gone.npz"
    with pytest.raises(InputError, match="--body"):
        MotionShelf((), tmp_path).read("dance (made here)", animatable)
    animatable.provenance.clear()
    assert len(MotionShelf((), results).read("wave.npz", animatable)) == 10


def test_two_motions_of_one_name_are_told_apart(results, tmp_path):
    names = [str(results / "motions/wave.npz"), str(tmp_path / "wave.npz")]
    assert set(names) <= set(MotionShelf(tuple(names), tmp_path).names)


def test_what_a_hostile_page_may_send_is_ignored(stage):
    stage.choose_motion("../../etc/passwd")
    stage.choose_part("tail")
    stage.choose_joint("__class__")
    stage.set_speed(-1.0)
    assert (stage.motion_name, stage.part, stage.playback.speed) == (NONE, "left arm", 1.0)


def test_figures_count_their_changes(coated):
    figure = Figure(coated)
    versions = [figure.version]
    for action in (figure.show_canonical, lambda: figure.look(0.5), lambda: figure.shape(1, 1.0)):
        action()
        versions.append(figure.version)
    assert versions == sorted(set(versions))
