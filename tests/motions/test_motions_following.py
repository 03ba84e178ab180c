"""Motions on their way to an avatar: smoothed, repaired, given to another body's shape and place."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from motions_writers import sample_motion
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.body.params import BodyParams
from avatarpipe.errors import InputError
from avatarpipe.motions.followed import read_followed
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.retarget import facing, leg_length, leg_ratio, retargeted
from avatarpipe.motions.smoothing import repaired, smoothed


def turning(degrees, axis=(0.0, 1.0, 0.0)) -> Motion:
    """A body that turns about one axis at its root, and walks along x by a metre a frame."""
    angles = np.radians(np.asarray(degrees, float))
    poses = BodyParams.zeros(len(angles)).replaced(
        global_orient=torch.tensor(angles[:, None] * axis).float(),
        transl=torch.tensor([[k, 0.5, 0.0] for k in range(len(angles))]).float(),
    )
    return Motion(30.0, poses)


def test_smoothing_is_the_mean_over_the_window_also_across_half_a_turn():
    """Axis-angle jumps from 179 to -179 degrees there; rotations do not."""
    motion = turning([176.0, 178.0, -178.0, -170.0, -168.0])
    angles = smoothed(motion, 3).poses.global_orient.double().numpy()[:, 1]
    wanted = [(2 * 176 + 178) / 3, (176 + 178 + 182) / 3, (178 + 182 + 190) / 3, (182 + 190 + 192) / 3, (190 + 2 * 192) / 3]  # fmt: skip
    assert np.allclose(np.degrees(angles) % 360, wanted, atol=0.02)
    assert smoothed(motion, 3).poses.transl[:, 0].tolist() == pytest.approx(
        [1 / 3, 1, 2, 3, 11 / 3]
    )


def test_smoothing_keeps_what_does_not_move_and_stills_what_trembles():
    still = turning([33.0] * 7, axis=(0.6, 0.0, 0.8))
    assert torch.allclose(
        smoothed(still, 5).poses.global_orient, still.poses.global_orient, atol=1e-6
    )
    trembling = turning(30 + 5 * np.array([1, -1] * 6))
    assert smoothed(trembling, 1) is trembling
    after = np.degrees(smoothed(trembling, 3).poses.global_orient[2:-2, 1].numpy())
    assert np.ptp(after) < np.ptp(np.degrees(trembling.poses.global_orient.numpy())) / 2.5


@pytest.mark.parametrize("frames", [0, 2, -3])
def test_smoothing_needs_an_odd_number(frames):
    with pytest.raises(InputError, match="an odd number from 1"):
        smoothed(turning([0.0, 1.0]), frames)


def test_repair_changes_the_joints_it_names_and_no_others(fake_body):
    motion = sample_motion(fake_body)
    before = motion.poses.body_pose.view(len(motion), 21, 3).numpy()
    after = repaired(motion, collar=0.25).poses.body_pose.view(len(motion), 21, 3).numpy()
    rows = {name: JOINT_NAMES.index(name) - 1 for name in (
        "left_collar", "right_collar", "left_wrist", "right_wrist", "head",
    )}  # fmt: skip
    change = after - before
    assert np.allclose(change[:, rows["left_collar"]], [0, 0, 0.25])
    assert np.allclose(change[:, rows["right_collar"]], [0, 0, -0.25])
    assert not after[:, [rows["left_wrist"], rows["right_wrist"]]].any()
    assert not after[:, rows["head"], 0].any()
    assert np.array_equal(after[:, rows["head"], 1:], before[:, rows["head"], 1:])
    others = [row for row in range(21) if row not in rows.values()]
    assert np.array_equal(after[:, others], before[:, others])


def subject() -> BodyParams:
    return BodyParams.zeros().replaced(
        betas=torch.arange(10.0)[None], transl=torch.tensor([[2.0, 0.3, -1.0]])
    )


def test_travelling_starts_at_the_subjects_place_facing_z_with_steps_scaled(fake_body):
    """The joints of the retargeted bodies are those of the motion after one rigid turn, about the pelvis."""
    motion = turning([70.0, 90.0, 120.0])
    params = retargeted(motion, subject(), scale=0.5)
    assert torch.equal(params.betas, subject().betas.repeat(3, 1))
    assert facing(params[0]) == pytest.approx(0.0, abs=1e-6)
    assert np.degrees(facing(params[2])) == pytest.approx(50.0, abs=1e-4)
    turn = Rotation.from_euler("y", -70, degrees=True)
    way = 0.5 * turn.apply([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    assert np.allclose(params.transl.numpy(), np.add(way, [2.0, 0.3, -1.0]), atol=1e-6)
    same = BodyParams.zeros().replaced(transl=subject().transl)
    ours = fake_body.joints(retargeted(motion, same))[..., :55, :].numpy()
    theirs = fake_body.joints(motion.poses)[..., :55, :].numpy()
    pelvis = theirs[0, 0]
    turned = turn.apply((theirs - pelvis).reshape(-1, 3)).reshape(theirs.shape)
    assert np.allclose(ours - ours[0, 0], turned, atol=1e-5)


def test_on_the_spot_only_height_changes_and_a_source_stays_as_it_is():
    motion = turning([10.0, 20.0, 30.0])
    motion.poses.transl[:, 1] = torch.tensor([0.5, 0.8, 0.6])
    stay = retargeted(motion, subject(), root="stay").transl.numpy()
    assert np.allclose(stay, [[2, 0.3, -1], [2, 0.6, -1], [2, 0.4, -1]], atol=1e-6)
    source = retargeted(motion, subject(), scale=3.0, root="source")
    assert torch.equal(source.transl, motion.poses.transl)
    assert torch.equal(source.global_orient, motion.poses.global_orient)
    assert torch.equal(source.betas[1:], subject().betas.repeat(2, 1))


def test_the_first_valid_frame_counts_and_the_lying_face_nowhere():
    motion = replace(turning([80.0, 45.0, 50.0]), valid=np.array([False, True, True]))
    params = retargeted(motion, subject())
    assert np.degrees(facing(params[1])) == pytest.approx(0.0, abs=1e-4)
    assert params.transl[1].tolist() == pytest.approx([2.0, 0.3, -1.0])
    assert facing(turning([90.0], axis=(1.0, 0.0, 0.0)).poses) == 0.0


def test_expressions_can_be_left_out():
    motion = turning([0.0, 1.0])
    motion.poses.expression[:] = 2.0
    assert retargeted(motion, subject()).expression.min() == 2.0
    assert not retargeted(motion, subject(), expression=False).expression.any()


def test_legs_are_measured_in_the_shape_given(fake_body):
    shape = torch.zeros(1, 10)
    plain = leg_length(fake_body, shape)
    rest = fake_body.rest_joints()
    assert plain == pytest.approx(np.linalg.norm(rest[4] - rest[1]) + np.linalg.norm(rest[7] - rest[4]), rel=1e-4)  # fmt: skip
    taller = torch.zeros(1, 10)
    taller[0, 0] = 5.0  # the fake body's first beta stretches it along y by 2 % each
    assert leg_ratio(fake_body, taller, fake_body, shape) == pytest.approx(1.1, abs=0.005)


def test_what_cannot_be_followed_is_named(fake_body, tmp_path):
    path = tmp_path / "lost.npz"
    motion = sample_motion(fake_body)
    replace(motion, valid=np.zeros(len(motion), bool)).save(path)
    with pytest.raises(InputError, match=r"lost\.npz: none of its .* frames is valid"):
        read_followed(path)
    motion.save(path)
    with pytest.raises(InputError, match="frame rate above 0"):
        read_followed(path, fps=0.0)
    assert read_followed(path, fps=2 * motion.fps).fps == 2 * motion.fps
    assert len(read_followed(path)) == len(motion)


def test_holes_are_filled_from_both_sides(tmp_path):
    motion = replace(turning([0.0, 90.0, 20.0]), valid=np.array([True, False, True]))
    motion.save(tmp_path / "m.npz")
    followed = read_followed(tmp_path / "m.npz")
    assert np.degrees(followed.poses.global_orient[1, 1].item()) == pytest.approx(10.0, abs=1e-3)
    assert followed.valid.tolist() == [True, False, True]
