import numpy as np
import pytest
from alignment_people import recorded, ring, standing, walking
from scipy.ndimage import distance_transform_edt

from avatarpipe.capture import alignment_views
from avatarpipe.capture.alignment import agreement, best_shift, distance_to, measure, misfit
from avatarpipe.capture.alignment_causes import Tolerance, better, diagnose, warnings
from avatarpipe.capture.capture import Capture
from avatarpipe.synthetic.mistakes import (
    MISTAKES,
    TROUBLE,
    VIDEO_MISTAKES,
    frames_late,
    swapped,
    write_mistaken,
)


@pytest.fixture(scope="module")
def still(fake_body, tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("still"), fake_body, standing(fake_body), ring(6, 288))


@pytest.fixture(scope="module")
def video(fake_body, tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("video"), fake_body, walking(fake_body, 16), ring(4, 192))


def found(capture, body, mistake, folder, frames=4, images=16):
    wrong = Capture.load(write_mistaken(capture, body, mistake, folder))
    table, scene = measure(wrong, body, frames, images)
    return diagnose(wrong, scene, table, {}, Tolerance()), warnings(scene, table, Tolerance())


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_in_a_still_is_named(still, fake_body, tmp_path, name):
    cause, mistake = MISTAKES[name]
    finding, _ = found(still, fake_body, mistake, tmp_path)
    assert finding is not None and finding.cause == cause, finding


@pytest.mark.parametrize("name", ["poses +1 frames", "poses -8 frames"])
def test_shifted_poses_of_a_video_are_named_with_their_frames(video, fake_body, tmp_path, name):
    finding, _ = found(video, fake_body, VIDEO_MISTAKES[name][1], tmp_path)
    shift = -int(name.split()[1])
    assert finding.cause == "frame offset" and f"frame f{shift:+d}" in finding.says


@pytest.mark.parametrize("name", ["cameras in mm, bodies in m", "OpenGL c2w for w2c"])
def test_mistakes_in_a_video_are_named(video, fake_body, tmp_path, name):
    cause, mistake = MISTAKES[name]
    assert found(video, fake_body, mistake, tmp_path)[0].cause == cause


@pytest.mark.parametrize(("name", "warned"), [("nothing", None), ("cameras 1 degree, 1 cm off", "degrees"),
                                              ("cameras 2 degrees, 1 cm off", "degrees"), ("all bodies 1 cm off", "m")])  # fmt: skip
def test_small_trouble_passes_with_a_warning(still, fake_body, tmp_path, name, warned):
    finding, said = found(still, fake_body, TROUBLE[name], tmp_path)
    assert finding is None
    assert (not said) if warned is None else any(warned in line for line in said)


def test_a_right_video_passes(video, fake_body, tmp_path):
    assert found(video, fake_body, frames_late(0), tmp_path) == (None, [])


def test_two_cameras_under_each_others_name_are_named(still, fake_body, tmp_path):
    finding, _ = found(still, fake_body, swapped, tmp_path)
    assert finding.cause == "camera calibration"
    assert any(f"{name} (0." in finding.says for name in still.cameras().names[:2])


def test_the_table_of_a_right_capture(still, fake_body):
    table, _ = measure(still, fake_body)
    assert list(table["camera"]) == list(still.cameras().names)
    assert (table["outside"] < 0.01).all() and (table["agreement"] > 0.8).all()
    assert (table[["keypoints_front", "keypoints_image", "keypoints_mask"]] == 1).all(axis=None)
    assert (table["scale"].between(1.0, 1.08)).all()


def test_agreement_is_tverskys():
    body, mask = np.zeros((4, 5), bool), np.zeros((4, 5), bool)
    body[1:3, 0:3], mask[1:3, 1:5] = True, True
    assert agreement(body, mask) == 4 / (4 + 2 + 0.5 * 4)
    assert np.isnan(agreement(body & False, mask & False)) and agreement(body, ~body) == 0


def test_distance_is_to_the_nearest_pixel_set():
    mask = np.random.default_rng(0).random((30, 40)) > 0.97
    assert np.allclose(distance_to(mask), distance_transform_edt(~mask), atol=1e-3)
    assert (distance_to(mask & False) > 1e6).all()


def test_the_best_shift_against_trying_all():
    rng = np.random.default_rng(1)
    mask = np.zeros((40, 50), bool)
    mask[10:25, 20:34] = rng.random((15, 14)) > 0.3
    body = np.roll(mask, (-4, 7), axis=(0, 1))
    shift, score = best_shift(body, mask)
    tried = {(x, y): agreement(np.roll(body, (y, x), axis=(0, 1)), mask) for x in range(-9, 10) for y in range(-9, 10)}
    assert tuple(shift) == max(tried, key=tried.get) == (-7, 4)
    assert score == pytest.approx(1.0)


def test_a_body_that_stands_out_is_worse_than_clothes_that_do():
    small, large = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    small[20:40, 20:40], large[18:42, 18:42] = True, True
    assert misfit(large, small, 4) > 3 * misfit(small, large, 4) > 0 == misfit(small, small, 4)
    assert misfit(small & False, small, 4) == 24, "a body out of view is the worst of all"


def test_a_difference_counts_only_where_it_is_large_and_sure():
    before = np.array([4.0, 5, 6, 5, 4, 6])
    assert better(before, before / 2, Tolerance()) == pytest.approx(0.5)
    assert better(before, before * 0.8, Tolerance()) is None
    assert better(before, np.array([0.0, 9, 0, 7, 0, 1]), Tolerance()) is None
    assert better(before[:3], before[:3] / 2, Tolerance()) is None
    assert better(before, np.full(6, np.nan), Tolerance()) is None


@pytest.mark.parametrize(("frames", "cameras", "most"), [(1, 72, 24), (100, 16, 96), (5, 3, 96), (2000, 160, 96)])
def test_every_camera_has_its_turn(frames, cameras, most):
    pairs = alignment_views.chosen_pairs(frames, cameras, 12, most)
    assert len(pairs) == len(set(pairs)) <= most
    assert len({frame for frame, _ in pairs}) == min(frames, 12)
    per_frame = most // min(frames, 12)
    assert len({camera for _, camera in pairs}) == min(cameras, most, per_frame * min(frames, 12))


def test_the_window_of_an_empty_mask_is_the_image():
    rows, columns, whole = alignment_views.subject_window(np.zeros((6, 8), bool))
    assert (rows, columns, whole) == (slice(0, 6), slice(0, 8), False)
