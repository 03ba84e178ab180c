"""Motions made here, on any body: feet on the floor, smooth, and the last frame runs into the first."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.errors import InputError
from avatarpipe.motions.procedural import FPS, MOTIONS, make
from avatarpipe.motions.read import read_motion
from avatarpipe.motions.rig import Foot, Rig

# Degrees that a joint may turn from the T-pose about any axis: knees bend one way, and nothing twists off.
_LIMITS = {
    "knee": 120,
    "hip": 75,
    "ankle": 65,
    "elbow": 135,
    "spine": 20,
    "neck": 25,
    "collar": 35,
    "foot": 60,
}


@pytest.fixture(
    scope="module", params=[(kind, seed) for kind in MOTIONS for seed in (0, 5)], ids=str
)
def made(request, fake_body):
    return request.param[0], make(*request.param[:1], fake_body, request.param[1])


def test_feet_are_on_the_floor(made, fake_body):
    kind, motion = made
    lowest = fake_body.vertices(motion.poses)[..., 1].min(dim=1).values.numpy()
    assert lowest.min() > -0.008, "a foot goes through the floor"
    airborne = lowest > 0.008
    assert airborne.mean() < 0.5 if kind == "jumping-jack" else not airborne.any()
    assert (lowest.max() > 0.03) == (kind == "jumping-jack")


def test_it_loops_without_a_jump(made, fake_body):
    """From the last frame to the first is a step like those beside it."""
    _, motion = made
    joints = fake_body.joints(motion.poses)[:, :22].numpy()
    steps = np.linalg.norm(np.diff(joints, axis=0, append=joints[:1]), axis=2).max(axis=1)
    assert steps[-1] < 1.3 * max(steps[0], steps[-2]) + 0.004
    assert steps.max() < 9.0 / FPS, "a joint moves faster than people can"


def test_joints_stay_within_what_people_can_do(made):
    _, motion = made
    pose = motion.poses.body_pose.numpy().reshape(-1, 21, 3)
    for joint, name in enumerate(JOINT_NAMES[1:22]):
        limit = next((degrees for part, degrees in _LIMITS.items() if part in name), 175)
        assert np.degrees(np.linalg.norm(pose[:, joint], axis=1)).max() <= limit, name
        if "knee" in name:
            assert pose[:, joint, 0].min() > -0.05, f"{name} bends forward"


def test_standing_feet_do_not_turn_or_slide(fake_body):
    """In the dance both balls of the feet stay where they are while heels lift."""
    motion = make("dance", fake_body)
    balls = fake_body.joints(motion.poses)[:, [10, 11]].numpy()
    assert np.ptp(balls[..., [0, 2]], axis=0).max() < 0.03


def test_the_turn_goes_once_around_to_the_left(fake_body):
    motion = make("turn", fake_body)
    facing = Rotation.from_rotvec(motion.poses.global_orient.numpy()).apply([0.0, 0.0, 1.0])
    yaw = np.unwrap(np.arctan2(facing[:, 0], facing[:, 2]))
    assert (np.diff(yaw) > 0).all()
    assert np.isclose(yaw[-1] - yaw[0] + np.mean(np.diff(yaw)), 2 * np.pi, atol=0.05)


def test_arms_and_legs_swing_against_each_other(fake_body):
    joints = fake_body.joints(make("walk", fake_body).poses).numpy()
    index = {name: k for k, name in enumerate(JOINT_NAMES)}
    hand, foot = (joints[:, index[f"left_{part}"], 2] for part in ("wrist", "ankle"))
    assert np.corrcoef(hand, foot)[0, 1] < -0.8


def test_seeds_differ_and_repeat(fake_body):
    first, again, other = (
        read_motion(name, body=fake_body)
        for name in ("procedural:walk:3", "procedural:walk:3", "procedural:walk:4")
    )
    assert np.array_equal(first.poses.body_pose, again.poses.body_pose)
    assert (
        len(first) != len(other)
        or np.abs(first.poses.body_pose - other.poses.body_pose).max() > 0.01
    )


def test_a_planted_ankle_is_reached_exactly(fake_body):
    """The leg's two bones meet the ankle that the foot asks for, to the millimetre."""
    from avatarpipe.motions.procedural import _walk  # the frames before they are solved

    rig, phase = Rig(fake_body), np.arange(12) / 12
    frames = _walk(rig, phase, np.ones(6))
    frames.pelvis[:, 1] -= rig.reachable(frames)
    joints = fake_body.joints(rig.solve(frames)).double().numpy()
    for side, joint in (("left", 7), ("right", 8)):
        assert np.abs(joints[:, joint] - rig._ankle(side, frames.feet[side])).max() < 1e-3


def test_a_foot_rolls_about_what_stays_on_the_floor(fake_body):
    rig, zeros = Rig(fake_body), np.zeros(3)
    foot = Foot(np.zeros((3, 2)), zeros, np.radians([0.0, 30.0, -15.0]), zeros)
    flat, raised, toes_up = rig._ankle("left", foot)
    assert raised[1] > flat[1] + 0.02 and raised[2] > flat[2], "a raised heel goes up and forward"
    assert toes_up[2] < flat[2] + 0.02


@pytest.mark.parametrize(
    "name", ["procedural:fly", "procedural:walk:x", "procedural:", "procedural:walk:-1"]
)
def test_unknown_names_list_the_known(name, fake_body):
    with pytest.raises(InputError, match="walk, dance, jumping-jack, turn"):
        read_motion(name, body=fake_body)


def test_a_body_is_needed():
    with pytest.raises(InputError, match="needs a body"):
        read_motion("procedural:walk")
