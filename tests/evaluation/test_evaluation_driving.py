"""Where a driven figure stands, from where it is filmed, what is under its feet, and frames that outlive a kill."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras, look_at, orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.evaluation.driving import Take, bodies_in, lowest, raised, some_frames
from avatarpipe.evaluation.floor import Floor, _checks
from avatarpipe.evaluation.reel import Reel
from avatarpipe.evaluation.shots import captured_by, filmed, outermost
from avatarpipe.evaluation.style import PAPER
from avatarpipe.images import read_image, write_image
from avatarpipe.steps.drive import Drive, _projecting

FRAMES = 9


@pytest.fixture
def walk(post):
    """Bodies that go two metres along x and rise, and their way."""
    params = BodyParams.zeros(FRAMES)
    params.transl[:, 0] = torch.linspace(0, 2, FRAMES)
    params.transl[4, 1] = 0.3
    return params


def pixels(cameras: Cameras, k: int, points: np.ndarray) -> np.ndarray:
    seen = (points @ cameras.w2c[k, :3, :3].T + cameras.w2c[k, :3, 3]) @ cameras.K[k].T
    assert (seen[:, 2] > 0).all()
    return seen[:, :2] / seen[:, 2:]


def shots(post, walk, shot: str, **options) -> tuple[Cameras, list[np.ndarray]]:
    bodies = bodies_in(post, walk, range(FRAMES))
    cameras = filmed(shot, bodies, walk.transl.double().numpy(), range(FRAMES), 10.0, 90, **options)
    return cameras, bodies


@pytest.mark.parametrize("shot", ["front", "orbit", "following"])
@pytest.mark.parametrize("aspect", [None, 1.5])
def test_every_shot_holds_the_whole_figure_all_the_time(post, walk, shot, aspect):
    cameras, bodies = shots(post, walk, shot, aspect=aspect)
    assert len(cameras) == FRAMES and cameras.names[3] == "000003" and cameras.height == 90
    size = np.array([cameras.width, cameras.height])
    for k, points in enumerate(bodies):
        at = pixels(cameras, k, points)
        assert (at >= 0).all() and (at <= size).all()
    assert aspect is None or cameras.width == 136


def test_shots_differ_as_they_are_called(post, walk):
    front, orbiting, following = (
        shots(post, walk, shot)[0] for shot in ("front", "orbit", "following")
    )
    assert np.ptp(front.w2c, axis=0).max() == 0
    away = orbiting.centres - orbiting.centres.mean(axis=0)
    angles = np.unwrap(np.arctan2(away[:, 0], away[:, 2]))
    assert np.allclose(np.diff(angles), 2 * np.pi / FRAMES, atol=1e-6)
    assert np.ptp(following.w2c[:, :3, :3], axis=0).max() == 0
    moved = following.centres - following.centres[0]
    assert (
        np.allclose(moved[:, 1:], 0)
        and 1.0 < moved[-1, 0] < 2.0
        and (np.diff(moved[:, 0]) > 0).all()
    )
    assert following.width < front.width  # since it need not hold the whole way


def test_fits_around_the_hull_fit_around_all(post):
    (points,) = bodies_in(post, BodyParams.zeros(), [0])
    corners = outermost([points])
    assert len(corners) < len(points) / 4
    assert np.allclose([corners.min(0), corners.max(0)], [points.min(0), points.max(0)], atol=1e-9)


def test_a_camera_of_the_capture_is_scaled(post_capture):
    capture = Capture.load(post_capture)
    own = capture.cameras()[capture.cameras().names.index("test001")]
    camera = captured_by(capture, "test001", 48)
    assert (camera.height, camera.width) == (48, round(48 * own.width / own.height))
    assert np.array_equal(camera.w2c, own.w2c)
    with pytest.raises(InputError, match=r"camera hall: .* has 5, "):
        captured_by(capture, "hall", 48)


def test_the_floor_is_found_and_the_figure_put_on_it(post, walk):
    bodies = bodies_in(post, walk, range(FRAMES))
    assert lowest(bodies) == pytest.approx(-0.8, abs=0.01)
    assert lowest(bodies_in(post, raised(walk, 0.5), range(FRAMES))) == pytest.approx(
        -0.3, abs=0.01
    )
    assert some_frames(np.array([False, True, True, False, True])) == [1, 2, 4]
    many = some_frames(np.ones(1000, bool))
    assert len(many) == 24 and many[0] == 0 and many[-1] == 999


def test_an_avatar_that_cannot_be_seen_is_named(make_avatar, clouds):
    clouds["outer"].opacities = clouds["outer"].opacities * 0.01
    with pytest.raises(InputError, match=r"post: nothing to frame.*\(layers outer\)"):
        bodies_in(make_avatar(clouds), BodyParams.zeros(), [0], ("outer",))


def test_projection_is_not_switched_on_where_there_is_none(post):
    options = Drive(Path("post"), Path("walk.npz"), Path("drive.json"))
    assert _projecting(post, options) is post
    with pytest.raises(InputError, match="follows poses by skinning alone"):
        _projecting(post, replace(options, projection="on"))


def down(height=40, width=60) -> Cameras:
    """A camera three metres over the origin that looks down, a little tilted."""
    w2c = look_at([0.0, 3.0, 0.2], [0.0, 0.0, 0.0])[None]
    K = np.array([[[50.0, 0, width / 2], [0, 50.0, height / 2], [0, 0, 1]]])
    return Cameras(w2c, K, width, height, ("0",))


def test_the_shadow_is_under_the_figure_and_weaker_where_that_is_higher():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.normal(0, 0.05, 4000), np.zeros(4000), rng.normal(0, 0.05, 4000)])
    floor, camera = Floor((1.0, 1.0, 1.0), 0.0), down()
    bare = floor.behind(camera, np.add(points, [0, 50.0, 0]))
    touching, hanging = (floor.behind(camera, np.add(points, [0, up, 0])) for up in (0.0, 0.5))
    row, column = np.round(pixels(camera, 0, np.zeros((1, 3)))[0] - 0.5).astype(int)[::-1]
    assert touching[row, column].mean() < 0.6 * bare[row, column].mean()
    assert touching[row, column].mean() < hanging[row, column].mean() < bare[row, column].mean()
    assert np.allclose(touching[:5], bare[:5], atol=0.01)
    moved = floor.behind(camera, np.add(points, [0.5, 0, 0]))
    there = np.round(pixels(camera, 0, np.array([[0.5, 0, 0]]))[0] - 0.5).astype(int)[::-1]
    assert np.unravel_index(moved.mean(axis=2).argmin(), moved.shape[:2]) == pytest.approx(
        there, abs=2
    )


def test_the_checks_are_the_mean_over_each_pixel():
    """Against the plain average of many samples a pixel."""
    x, z = np.meshgrid(np.arange(12) * 0.31, np.arange(9) * 0.23)
    found = _checks(np.stack([x, z], axis=-1))
    at = (np.arange(400) + 0.5) / 400 - 0.5
    wave = lambda value: 1 - 2 * (np.floor(value) % 2)  # noqa: E731
    across = wave(x[..., None] + 0.31 * at).mean(axis=-1)
    along = wave(z[..., None] + 0.23 * at).mean(axis=-1)
    assert np.allclose(found, 0.5 - 0.5 * across * along, atol=0.01)


def test_no_floor_is_one_colour_and_no_floor_lies_over_the_horizon():
    points = np.random.default_rng(0).normal(0, 0.2, (500, 3))
    level = orbit([0.0], [0.0], 4.0, 40.0, 30, 40)
    assert np.allclose(Floor((0.2, 0.4, 0.6), None).behind(level, points), [0.2, 0.4, 0.6])
    image = Floor((0.2, 0.4, 0.6), -0.5).behind(level, points)
    assert np.allclose(image[:20], [0.2, 0.4, 0.6]) and np.ptp(image[28:]) > 0.05


def test_a_picture_is_the_figure_over_its_floor(post):
    params = BodyParams.zeros(2)
    cameras = filmed("front", bodies_in(post, params, [0]), params.transl.numpy(), [0], 10.0, 80)
    take = Take(params, cameras, Floor(PAPER, -0.8))
    ((frame, view, cloud),) = take.drawn(post, [1])
    image = take.picture(frame, view, cloud)
    assert (
        frame == 1
        and image.shape == (80, cameras.width, 3)
        and 0 <= image.min() <= image.max() <= 1.001
    )
    solid = view.alpha.numpy() > 0.995
    assert solid.sum() > 300 and np.allclose(image[solid], view.rgb.numpy()[solid], atol=0.01)
    assert np.allclose(image[0, :5], PAPER, atol=1e-6)
    inner = replace(take, layers=("inner",))
    ((_, _, only),) = inner.drawn(post, [0])
    assert len(only) < len(cloud)


def test_frames_stay_while_what_they_show_does(tmp_path):
    reel = Reel(tmp_path, 3)
    reel.resume({"motion": "a"})
    write_image(reel.picture(1), np.full((4, 4, 3), 0.5))
    assert reel.missing() == [0, 2]
    Reel(tmp_path, 3).resume({"motion": "a"})
    assert reel.missing() == [0, 2] and Reel(tmp_path, 3, clouds=True).missing() == [0, 1, 2]
    reel.resume({"motion": "b"})
    assert reel.missing() == [0, 1, 2]
    for frame in range(3):
        write_image(reel.picture(frame), np.full((4, 4, 3), frame / 2))
    assert [image.mean() for image in reel.images()] == [0, 128, 255]
    assert read_image(reel.picture(2)).min() == 1.0
