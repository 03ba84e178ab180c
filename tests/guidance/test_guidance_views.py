"""Where guidance looks from: right-handed cameras, words that match them, close-ups of the part they name."""

import numpy as np
import pytest
import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.guidance.cameras import (
    WHOLE,
    CameraSettings,
    Zoom,
    Zooms,
    part_centres,
    sample_views,
)
from avatarpipe.guidance.poses import ARMS_LOWERED, CANONICAL, drawn_pose, guidance_poses
from avatarpipe.guidance.randomness import Purpose, device_numbers, numbers, stratified
from avatarpipe.guidance.words import prompt_for, view_word, with_views


@pytest.fixture(scope="module")
def centres(fake_body):
    pose = guidance_poses(BodyParams.zeros())[CANONICAL]
    return part_centres(fake_body.joints(pose)[0].numpy())


def sampled(centres, step=0, count=8, zooms=None, seed=0, settings=None):
    rng = numbers(seed, step, Purpose.VIEWS)
    return sample_views(settings or CameraSettings(), zooms or Zooms(), centres, step, count, 64, rng)


def project(cameras, points: np.ndarray) -> np.ndarray:
    """(C, N, 2) pixels."""
    local = np.einsum("cij,nj->cni", cameras.w2c[:, :3, :3], points) + cameras.w2c[:, None, :3, 3]
    pixels = np.einsum("cij,cnj->cni", cameras.K, local)
    return pixels[..., :2] / pixels[..., 2:]


def test_cameras_are_right_handed_and_upright(centres):
    for step in range(20):
        cameras = sampled(centres, step).cameras
        assert np.allclose(np.linalg.det(cameras.w2c[:, :3, :3]), 1.0)
        low, high = project(cameras, np.array([[0, -0.3, 0], [0, 0.6, 0.0]])).transpose(1, 0, 2)
        assert (low[:, 1] > high[:, 1]).all()


def test_the_left_hand_is_on_the_right_of_a_front_view_and_on_the_left_of_a_back_view(centres):
    for step in range(20):
        views = sampled(centres, step)
        left, right = project(views.cameras, np.array([[0.5, 0.4, 0], [-0.5, 0.4, 0.0]])).transpose(1, 0, 2)
        for word, a, b in zip(views.words, left[:, 0], right[:, 0], strict=True):
            if word != "side view":
                assert (a > b) == (word == "front view")


def test_azimuths_fall_one_in_each_share_of_the_circle_and_words_follow_the_camera(centres):
    for step in range(10):
        views = sampled(centres, step)
        assert sorted(np.floor((views.azimuths + 180) / 45).astype(int)) == list(range(8))
        to_camera = views.cameras.centres - centres[WHOLE]
        angle = np.degrees(np.arctan2(to_camera[:, 0], to_camera[:, 2]))  # from +Z, which the subject faces
        for word, a in zip(views.words, np.abs(angle), strict=True):
            assert word == ("front view" if a < 45 else "side view" if a <= 135 else "back view")


def test_ranges_are_kept_and_filled(centres):
    views = [sampled(centres, step) for step in range(60)]
    elevations = np.concatenate([view.elevations for view in views])
    assert elevations.min() > -30 and elevations.max() < 30
    assert elevations.min() < -28 and elevations.max() > 28 and abs(elevations.mean()) < 3
    away = np.concatenate([np.linalg.norm(v.cameras.centres - centres[WHOLE], axis=1) for v in views])
    assert 1.5 <= away.min() < 1.52 and 1.98 < away.max() <= 2.0
    fov = np.concatenate([2 * np.degrees(np.arctan(32 / v.cameras.K[:, 1, 1])) for v in views])
    assert 40 <= fov.min() < 41 and 69 < fov.max() <= 70


@pytest.mark.parametrize(
    ("azimuth", "word"),
    [
        (0, "front"), (44, "front"), (-44, "front"), (46, "side"), (90, "side"), (-90, "side"), (134, "side"),
        (136, "back"), (180, "back"), (-180, "back"), (-136, "back"), (-134, "side"), (224.9, "back"), (225.1, "side"), (200, "back"),
        (260, "side"), (-100, "side"), (-140, "back"), (316, "front"), (359, "front"), (361, "front"), (-540, "back"), (540, "back"),
    ],
)  # fmt: skip
def test_view_words_at_every_azimuth_and_across_the_wrap(azimuth, word):
    assert view_word(azimuth) == f"{word} view"
    assert view_word(azimuth + 360) == view_word(azimuth - 720) == view_word(azimuth)
    assert view_word(azimuth, 75.0) == "overhead view"


@pytest.mark.parametrize("part", ["head", "upper", "legs"])
def test_zooms_look_at_their_part_in_their_window_as_often_as_asked(centres, fake_body, part):
    zooms = Zooms(**{part: Zoom(0.3, start=100, stop=500)})
    views = {step: sampled(centres, step, 4, zooms) for step in range(0, 600)}
    close = [step for step, view in views.items() if view.part == part]
    assert all(100 <= step < 500 for step in close)
    assert 0.3 * 400 * 0.75 < len(close) < 0.3 * 400 * 1.25
    cameras = views[close[0]].cameras
    assert np.allclose(project(cameras, centres[part][None]), 32.0)
    assert np.linalg.norm(cameras.centres - centres[part], axis=1).max() <= 0.8
    heights = {"head": (0.55, 0.85), "upper": (0.2, 0.6), "legs": (-0.5, 0.1)}[part]
    assert heights[0] < centres[part][1] < heights[1]


def test_a_zoom_on_the_rear_sees_the_back(centres):
    zooms = Zooms(upper=Zoom(1.0, azimuth=(90.0, 270.0)))
    views = sampled(centres, 0, 6, zooms)
    assert (views.cameras.centres[:, 2] < centres["upper"][2]).all()
    assert set(views.words) <= {"side view", "back view"} and "back view" in views.words


def test_two_zooms_share_the_iterations(centres):
    zooms = Zooms(head=Zoom(0.5), legs=Zoom(0.5))
    parts = [sampled(centres, step, 1, zooms).part for step in range(200)]
    assert set(parts) == {"head", "legs"} and 70 < parts.count("head") < 130


def test_what_is_drawn_is_a_function_of_seed_and_step(centres):
    one, same, other_step, other_seed = (
        sampled(centres, step, seed=seed).cameras for step, seed in ((5, 1), (5, 1), (6, 1), (5, 2))
    )
    assert np.array_equal(one.w2c, same.w2c) and np.array_equal(one.K, same.K)
    assert not np.array_equal(one.w2c, other_step.w2c)
    assert not np.array_equal(one.w2c, other_seed.w2c)


def test_streams_differ_by_purpose():
    draws = [numbers(1, 2, purpose).random() for purpose in Purpose]
    draws += [torch.rand(1, generator=device_numbers(1, 2, p, "cpu")).item() for p in Purpose]
    assert len(set(draws)) == len(draws)
    assert torch.rand(1, generator=device_numbers(1, 2, Purpose.NOISE, "cpu")).item() in draws


def test_stratified_numbers_fall_one_in_each_share():
    drawn = stratified(10, np.random.default_rng(0))
    assert sorted(np.floor(drawn * 10).astype(int)) == list(range(10))
    assert not np.array_equal(np.sort(drawn), drawn)


def test_the_second_pose_lowers_both_arms_and_keeps_the_shape(fake_body):
    captured = BodyParams.zeros().replaced(
        betas=torch.full((1, 10), 0.5), body_pose=torch.ones(1, 63), transl=torch.ones(1, 3)
    )
    poses = guidance_poses(captured)
    high, low = (fake_body.joints(poses[name])[0] for name in (CANONICAL, ARMS_LOWERED))
    left, right = 20, 21  # wrists
    assert high[left, 0] > 0.4 and high[right, 0] < -0.4
    for wrist in (left, right):
        assert low[wrist, 1] < high[wrist, 1] - 0.15
    assert torch.allclose(low[left] * torch.tensor([-1.0, 1, 1]), low[right], atol=0.05)
    for pose in poses.values():
        assert torch.equal(pose.betas, captured.betas)
        assert torch.equal(pose.global_orient, torch.zeros(1, 3))


def test_poses_come_as_often_as_asked():
    drawn = [drawn_pose(numbers(0, step, Purpose.POSE), 0.25) for step in range(400)]
    assert 70 < drawn.count(ARMS_LOWERED) < 130
    assert drawn_pose(numbers(0, 1, Purpose.POSE), 1.0) == ARMS_LOWERED
    assert drawn_pose(numbers(0, 1, Purpose.POSE), 0.0) == CANONICAL


def test_prompts_name_the_person_the_clothes_and_the_view():
    assert prompt_for("inner", "upper", "female") == "a photo of a woman wearing pants and a white tank top"
    assert prompt_for("outer", "both", "male") == "a photo of a man wearing a shirt and pants"
    assert prompt_for("single", "lower", "neutral") == "a photo of a person wearing pants"
    assert prompt_for("single", "upper", "male", "a {person} in red") == "a man in red"
    assert with_views("x", ("front view", "back view")) == ["x, front view", "x, back view"]
