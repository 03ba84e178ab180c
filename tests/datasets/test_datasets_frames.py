"""Frames by number, poses by frame, files by camera."""

import datasets_recordings as made
import numpy as np
import pytest
import torch

from avatarpipe.capture.frames import frame_name, frame_numbers, numbers_in
from avatarpipe.datasets.assembly import apart
from avatarpipe.datasets.choices import camera_positions, of_source
from avatarpipe.datasets.listing import listed_as_missing, numbered_files
from avatarpipe.datasets.smpl_params import frame_count, read_smpl_params, write_smpl_params
from avatarpipe.errors import InputError


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("0", [0]), ("00011", [11]), ("2-5", [2, 3, 4, 5]), ("0-9:4", [0, 4, 8]), ("8,0,4", [0, 4, 8]),
        ("1-3,2-4", [1, 2, 3, 4]), ("all", list(range(12))), (" 1 , 3 ", [1, 3]), ("5-5", [5]),
    ],
)  # fmt: skip
def test_frames(spec, expected):
    assert frame_numbers(spec, range(12)) == expected


@pytest.mark.parametrize(
    "spec, message",
    [
        ("", "is none; give numbers"), ("x", "'x' is none"), ("-3", "'-3' is none"), ("1-", "'1-' is none"),
        ("3-1", "'3-1' is empty"), ("1-3:0", "'1-3:0' is empty"), ("1.5", "is none"), ("12", "12 is not there; the sequence has 12"),
        ("10-20", r"12, 13, 14 and 6 more are not there; .* \(0 to 11\)"), ("1,,2", "'' is none"), ("all,99", "99 is not"),
    ],
)  # fmt: skip
def test_frames_that_are_none(spec, message):
    with pytest.raises(InputError, match=message):
        frame_numbers(spec, range(12))


def test_sequences_may_have_gaps():
    assert frame_numbers("all", [3, 9, 5]) == [3, 5, 9]
    with pytest.raises(InputError, match="4 is not there"):
        frame_numbers("3-5", [3, 9, 5])
    with pytest.raises(InputError, match="has 0 frames"):
        frame_numbers("all", [])


def test_numbers_need_not_be_there():
    assert numbers_in("1400-1402,7") == {7, 1400, 1401, 1402} and numbers_in("") == set()


def test_names_sort_as_numbers_do():
    names = [frame_name(number) for number in (0, 9, 10, 99999)]
    assert names == sorted(names) and len(set(names)) == 4


def test_poses_lie_at_the_rows_of_their_frames(tmp_path):
    poses = made.recording(frames=(2, 3, 6)).poses
    write_smpl_params(tmp_path / "p.npz", poses, [2, 3, 6])
    assert frame_count(tmp_path / "p.npz") == 7
    found = read_smpl_params(tmp_path / "p.npz", [6, 2])
    assert np.array_equal(found.body_pose, poses.body_pose[[2, 0]])
    assert np.array_equal(found.betas, poses.betas[[0, 0]])
    assert np.array_equal(
        read_smpl_params(tmp_path / "p.npz").transl[[0, 4, 5]], poses.transl[[0, 1, 1]]
    )
    with pytest.raises(InputError, match=r"p\.npz: no pose of frame 7; it has 7 rows"):
        read_smpl_params(tmp_path / "p.npz", [7])


def test_only_the_first_shape_counts_and_eyes_may_be_absent(tmp_path):
    write_smpl_params(tmp_path / "p.npz", made.recording().poses)
    arrays = dict(np.load(tmp_path / "p.npz"))
    arrays["betas"] = np.stack([np.full(10, 3.0), np.zeros(10)])
    del arrays["leye_pose"], arrays["reye_pose"]
    np.savez(tmp_path / "p.npz", **arrays)
    found = read_smpl_params(tmp_path / "p.npz")
    assert (found.betas == 3).all() and found.betas.shape == (3, 10) and not found.leye_pose.any()


def test_a_pickle_inside_is_not_run(tmp_path):
    np.savez(tmp_path / "p.npz", transl=np.array([object()], dtype=object))
    with pytest.raises(InputError, match="no npz of number arrays"):
        read_smpl_params(tmp_path / "p.npz")


def test_near_duplicates_are_measured_from_the_last_one_kept():
    poses = made.recording(frames=range(5)).poses
    turned = torch.tensor([0, 0.6, 1.2, 1.4, 2.5])[:, None] * 0.01
    poses = poses.replaced(body_pose=turned.expand(5, 63))
    assert apart(poses, 0.01) == [0, 2, 4]
    assert apart(poses, 0.0) == [0, 1, 2, 3, 4]


def test_cameras_by_name_or_position(tmp_path):
    names = ("22010708", "22010710", "1")
    assert camera_positions("all", names, tmp_path) == [0, 1, 2]
    assert camera_positions([2, 0], names, tmp_path) == [0, 2]
    assert camera_positions([22010710], names, tmp_path) == [1]  # as YAML reads it
    assert camera_positions(1, names, tmp_path) == [2]  # a name before a position
    assert camera_positions("22010708", names, tmp_path) == [0]
    for wrong in ("0", 7, -1):
        with pytest.raises(InputError, match="no camera"):
            camera_positions([wrong], names, tmp_path)


def test_options_for_one_source_or_for_all():
    assert of_source({"a": [1]}, "a", "s", 0) == [1] and of_source({}, "a", "s", 5) == 5
    assert (
        of_source({"a": {"s": 2}}, "a", "s", 0) == 2
        and of_source({"a": {"t": 2}}, "a", "s", 0) == 0
    )


def test_files_by_number(tmp_path):
    for name in ("00000007.jpg", "00000012.PNG", "notes.txt", "x.jpg", "1.jpg.tmp"):
        (tmp_path / name).touch()
    assert {k: p.name for k, p in numbered_files(tmp_path).items()} == {
        7: "00000007.jpg",
        12: "00000012.PNG",
    }
    assert numbered_files(tmp_path / "none") == {}
    (tmp_path / "7.png").touch()
    with pytest.raises(InputError, match="both frame 7"):
        numbered_files(tmp_path)


def test_lists_of_missing_files(tmp_path):
    path = tmp_path / "missing_img_files.txt"
    path.write_text(
        "cam01/00000003.jpg\r\nimages\\cam00\\00000012.jpg\n/data/x/images/cam01/00000004.jpg\n\nother\n"
    )
    assert listed_as_missing(path, ("cam00", "cam01")) == {
        ("cam01", 3),
        ("cam00", 12),
        ("cam01", 4),
    }
    assert listed_as_missing(tmp_path / "none.txt", ()) == set()
