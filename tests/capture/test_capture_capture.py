import json

import numpy as np
import pytest

from avatarpipe.capture.capture import Capture
from avatarpipe.capture.writing import publishing
from avatarpipe.errors import InputError
from avatarpipe.images import write_image


def edit(path, **changes):
    """Change keys of a manifest; None removes one."""
    document = json.loads(path.read_text()) | changes
    path.write_text(
        json.dumps({key: value for key, value in document.items() if value is not None})
    )


def test_everything_comes_back(video):
    path, stored = video
    capture = Capture.load(path)
    assert (capture.subject, capture.gender) == ("ann", "female")
    assert capture.frame_names == ("00010", "00011") and list(capture.frames["time"]) == [0.0, 0.04]
    assert capture.cameras().names == ("train_000", "train_001", "test_000")
    assert capture.cameras("test").names == ("test_000",)
    assert capture.poses[1].transl.tolist() == [[0, 1, 0]]
    for (kind, frame, camera), expected in stored.items():
        read = {
            "images": capture.image,
            "masks": capture.mask,
            "truth_labels": capture.ground_truth_labels,
        }
        assert np.allclose(read[kind](camera, frame), expected, atol=1e-6)
    assert capture.scan() is None and capture.truth == {}
    assert np.array_equal(capture.normalization, np.eye(4))


def test_a_folder_and_a_manifest_open_the_same_capture(video):
    path, _ = video
    assert Capture.load(path.parent).path == path


def test_positions_and_names_are_the_same(video):
    capture = Capture.load(video[0])
    assert np.array_equal(capture.image(2, 1), capture.image("test_000", "00011"))
    assert np.array_equal(capture.image(-1, -1), capture.image("test_000", "00011"))


@pytest.mark.parametrize("camera, frame", [("train_7", 0), (3, 0), (0, "00012"), (0, 2)])
def test_unknown_camera_or_frame(video, camera, frame):
    with pytest.raises(InputError, match="does not exist; there are"):
        Capture.load(video[0]).image(camera, frame)


def test_stack_holds_a_split_in_order(video):
    path, stored = video
    capture = Capture.load(path)
    images = capture.stack("train", "images", frame="00011")
    assert images.shape == (2, 10, 12, 3) and images.dtype == np.float32
    assert np.allclose(images[1], stored["images", "00011", "train_001"], atol=1e-6)
    assert capture.stack(None, "masks").shape == (3, 10, 12)
    assert capture.stack("test", "truth_labels").dtype == np.uint8


def test_what_is_not_there_yet_is_said_with_the_step_to_run(video):
    capture = Capture.load(video[0])
    with pytest.raises(InputError, match="no labels; run `avatarpipe segment`"):
        capture.labels(0)
    with pytest.raises(InputError, match="no hidden"):
        capture.hidden_image(0, "upper")
    with pytest.raises(InputError, match="use one of train, test"):
        capture.cameras("validation")
    with pytest.raises(InputError, match="no kind 'pictures'"):
        capture.stack("train", "pictures")


def test_missing_image(video):
    path, _ = video
    gone = path.parent / "masks" / "00011" / "train_001.png"
    gone.unlink()
    with pytest.raises(InputError, match=r"00011/train_001\.png: missing from masks"):
        Capture.load(path)


def test_image_of_another_size(video):
    path, _ = video
    write_image(path.parent / "images" / "00010" / "test_000.png", np.zeros((10, 11, 3)))
    with pytest.raises(InputError, match=r"test_000\.png: 11 x 10 pixels, .* 12 x 10"):
        Capture.load(path)


def test_image_of_another_size_in_a_later_frame_is_found_when_read(video):
    path, _ = video
    write_image(path.parent / "images" / "00011" / "test_000.png", np.zeros((9, 12, 3)))
    capture = Capture.load(path)
    with pytest.raises(InputError, match="12 x 9 pixels"):
        capture.image("test_000", "00011")


def test_truncated_image(video):
    path, _ = video
    (path.parent / "images" / "00010" / "test_000.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"test_000\.png: truncated or not a PNG"):
        Capture.load(path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"colour": 1}, "unknown key colour"),
        ({"gender": None}, "key gender is missing"),
        ({"gender": "robot"}, "gender 'robot'"),
        ({"subject": "../../etc"}, "subject '../../etc': only letters"),
        ({"format_version": 2}, "format_version 2, but this avatarpipe reads 1"),
        ({"format": None}, "not a capture manifest"),
        ({"images": 3}, "images must be a path"),
        ({"normalization": [[1, 0], [0, 1]]}, "4 rows of 4"),
        ({"normalization": "no"}, "4 rows of 4"),
        ({"truth": ["a"]}, "truth must give"),
        ({"frames": "gone.parquet"}, r"gone\.parquet: no such file"),
        ({"scan": "gone.ply"}, r"gone\.ply: no such file"),
    ],
)
def test_the_manifest_is_closed(video, changes, message):
    edit(video[0], **changes)
    with pytest.raises(InputError, match=message):
        Capture.load(video[0])


def test_bodies_and_frames_differ_in_number(video):
    path, _ = video
    capture = Capture.load(path)
    capture.poses[0].save(path.parent / "poses.npz")
    with pytest.raises(InputError, match="1 bodies for 2 frames"):
        Capture.load(path)


def test_a_manifest_moved_to_another_folder_means_the_same_files(video, tmp_path):
    path, _ = video
    capture = Capture.load(path)
    target = tmp_path / "ann" / "segment" / "capture.json"
    with publishing(target) as draft:
        capture.manifest.moved(path.parent, target.parent, labels="../render/truth_labels").save(
            draft / "capture.json"
        )
    moved = Capture.load(target)
    assert moved.manifest.images == "../render/images"
    assert np.array_equal(moved.image(0), capture.image(0))
    assert np.array_equal(moved.labels(0), capture.ground_truth_labels(0))


def test_publishing_leaves_the_old_outputs_when_it_fails(video):
    path, _ = video
    before = {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
    with pytest.raises(RuntimeError), publishing(path) as draft:
        (draft / "images").mkdir()
        (draft / "capture.json").write_text("{}")
        raise RuntimeError
    assert {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()} == before


def test_publishing_replaces_whole_folders_and_leaves_strangers(tmp_path):
    target = tmp_path / "capture.json"
    (tmp_path / "notes.txt").write_text("mine")
    for name in ("old", "new"):
        with publishing(target) as draft:
            (draft / "images").mkdir()
            (draft / "images" / name).touch()
            (draft / "capture.json").write_text(name)
    assert target.read_text() == "new" and (tmp_path / "notes.txt").read_text() == "mine"
    assert [file.name for file in (tmp_path / "images").iterdir()] == ["new"]
    assert {file.name for file in tmp_path.iterdir()} == {"capture.json", "images", "notes.txt"}


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / ".partial-abc" / "images").mkdir(parents=True)
    with publishing(tmp_path / "capture.json") as draft:
        (draft / "capture.json").write_text("{}")
    assert [file.name for file in tmp_path.iterdir()] == ["capture.json"]


def test_publishing_takes_a_manifest(tmp_path):
    with pytest.raises(InputError, match=r"must end in \.json"), publishing(tmp_path / "out"):
        pass
