"""Captures of many frames, of which cameras missed some, in PNG or JPEG, with their background or without."""

import json
import time

import cv2
import numpy as np
import pandas as pd
import pytest

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing, write_frames, write_split, write_views
from avatarpipe.errors import InputError
from avatarpipe.images import write_image, write_labels
from avatarpipe.tables import read_table, write_table

CAMERAS = ("b", "a", "c")
SEEN = [("0", "b"), ("0", "a"), ("0", "c"), ("1", "a"), ("1", "c"), ("3", "b")]


@pytest.fixture
def video(tmp_path):
    """(capture.json, {view: image as stored}): four frames, three cameras, some images missing, JPEG and PNG."""
    path, stored = tmp_path / "ann" / "convert" / "capture.json", {}
    rng = np.random.default_rng(0)
    cameras = orbit([0], [0, 90, 180], 2, 60, 12, 10)
    cameras = type(cameras)(cameras.w2c, cameras.K, 12, 10, CAMERAS)
    with publishing(path) as draft:
        rows = []
        for frame, camera in SEEN[::-1]:  # the order in the table does not matter
            suffix = "jpg" if camera == "a" else "png"
            row = {"frame": frame, "camera": camera, "image": f"images/{frame}/{camera}.{suffix}"}
            row |= {
                "mask": f"masks/{frame}/{camera}.png",
                "boundary": f"edges/{camera}_{frame}.png",
            }
            write_image(draft / row["image"], rng.random((10, 12, 3)))
            stored[frame, camera] = cv2.imread(str(draft / row["image"]))[..., ::-1] / np.float32(
                255
            )
            mask = np.zeros((10, 12))
            mask[3:7, 2:9], mask[3] = 1, 0.5
            write_image(draft / row["mask"], mask)
            write_image(draft / row["boundary"], mask == 0.5)
            rows.append(row)
        Manifest(
            subject="ann", gender="neutral", provenance={}, images="images", masks="masks",
            boundaries="edges", photographs=True,
            **write_frames(draft, BodyParams.zeros(4), list("0123"), range(4)),
            **write_split(draft, cameras, ["a"]), **write_views(draft, pd.DataFrame(rows)),
        ).save(draft / "capture.json")  # fmt: skip
    return path, stored


def test_views_that_exist(video):
    capture = Capture.load(video[0])
    assert capture.cameras().names == CAMERAS and capture.cameras("test").names == ("a",)
    assert list(capture.views().itertuples(index=False, name=None)) == SEEN
    assert list(capture.views("test")["frame"]) == ["0", "1"]
    assert capture.seen("b", "3") and not capture.seen("b", 1) and not capture.seen(0, "2")


def test_images_come_back_on_black_or_as_photographed(video):
    path, stored = video
    capture = Capture.load(path)
    for (frame, camera), image in stored.items():
        assert np.array_equal(capture.photograph(camera, frame), image)
        expected = image * capture.mask(camera, frame)[..., None]
        assert np.array_equal(capture.image(camera, frame), expected)
    assert np.array_equal(capture.boundary("c", "1").any(axis=1), np.arange(10) == 3)
    assert capture.image_path("images", "a", "1").name == "a.jpg"


def test_a_stack_is_of_a_frame_that_all_cameras_saw(video):
    capture = Capture.load(video[0])
    assert np.array_equal(capture.stack("train")[1], capture.image("c"))
    with pytest.raises(InputError, match="camera b has no image of frame 1"):
        capture.stack("train", frame="1")


def test_labels_are_expected_of_the_views_that_exist(video, tmp_path):
    path, _ = video
    capture, target = Capture.load(path), tmp_path / "ann" / "segment" / "capture.json"
    for left_out in ((), SEEN[4:5]):
        with publishing(target) as draft:
            for frame, camera in [view for view in SEEN if view not in left_out]:
                write_labels(draft / "labels" / frame / f"{camera}.png", np.full((10, 12), 3))
            moved = capture.manifest.moved(path.parent, target.parent, labels="labels")
            moved.save(draft / "capture.json")
        if left_out:
            with pytest.raises(InputError, match=r"labels/1/c\.png: missing from labels"):
                Capture.load(target)
        else:
            again = Capture.load(target)
            assert again.labels("b", "3").max() == 3
            assert np.array_equal(again.image("a", "1"), capture.image("a", "1"))


def change_table(path, change):
    table = path.parent / "views.parquet"
    write_table(change(read_table(table)), table)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.assign(frame="7"), "frame 7 is none of the capture's"),
        (lambda t: t.assign(camera="z"), "camera z is none of the capture's"),
        (lambda t: t.iloc[:0], "empty, or a view is listed twice"),
        (lambda t: pd.concat([t, t[:1]]), "empty, or a view is listed twice"),
        (lambda t: t.drop(columns="camera"), "column camera is missing"),
    ],
)
def test_broken_tables(video, change, message):
    change_table(video[0], change)
    with pytest.raises(InputError, match=rf"views\.parquet: {message}"):
        Capture.load(video[0])


def test_the_first_image_of_each_camera_is_looked_at(video):
    write_image(video[0].parent / "images" / "0" / "a.jpg", np.zeros((9, 12, 3)))
    with pytest.raises(InputError, match=r"a\.jpg: 12 x 9 pixels, .* 12 x 10"):
        Capture.load(video[0])


def test_others_when_they_are_read(video):
    capture = Capture.load(video[0])
    (video[0].parent / "images" / "1" / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=r"a\.jpg: truncated"):
        capture.image("a", "1")
    (video[0].parent / "masks" / "1" / "c.png").unlink()
    with pytest.raises(InputError, match=r"c\.png: no such file"):
        capture.image("c", "1")


@pytest.mark.parametrize("value", ["yes", 1, []])
def test_photographs_is_true_or_false(video, value):
    document = json.loads(video[0].read_text()) | {"photographs": value}
    video[0].write_text(json.dumps(document))
    with pytest.raises(InputError, match="photographs must be true or false"):
        Capture.load(video[0])


def test_many_views_open_quickly(tmp_path):
    """2000 frames of 16 cameras, only the first frame of which is there to be looked at."""
    frames = [f"{index:06d}" for index in range(2000)]
    cameras = orbit([0], np.arange(16) * 20, 2, 60, 8, 8)
    rows = [
        {"frame": frame, "camera": camera, **{name: f"{frame}/{camera}.png" for name in ("image", "mask")}}
        for frame in frames for camera in cameras.names
    ]  # fmt: skip
    with publishing(tmp_path / "capture.json") as draft:
        for camera in cameras.names:
            write_image(draft / frames[0] / f"{camera}.png", np.zeros((8, 8, 3)))
        Manifest(
            subject="ann", gender="neutral", provenance={}, images=".", masks=".",
            **write_frames(draft, BodyParams.zeros(2000), frames, range(2000)),
            **write_split(draft, cameras, []), **write_views(draft, pd.DataFrame(rows)),
        ).save(draft / "capture.json")  # fmt: skip
    start = time.process_time()
    capture = Capture.load(tmp_path)
    assert len(capture.views()) == 32000 and capture.seen(15, 1999)
    assert time.process_time() - start < 2.0


def test_a_draft_can_be_continued(tmp_path):
    target = tmp_path / "capture.json"
    with pytest.raises(RuntimeError), publishing(target, resume=True) as draft:
        (draft / "images").mkdir()
        (draft / ".notes").write_text("half")
        raise RuntimeError
    assert not target.exists()
    with publishing(target, resume=True) as draft:
        assert (draft / ".notes").read_text() == "half" and (draft / "images").is_dir()
        (draft / "capture.json").write_text("{}")
    assert {file.name for file in tmp_path.iterdir()} == {"capture.json", "images"}


def test_a_fresh_run_clears_an_unfinished_draft(tmp_path):
    (tmp_path / ".unfinished" / "images").mkdir(parents=True)
    with publishing(tmp_path / "capture.json") as draft:
        (draft / "capture.json").write_text("{}")
    assert [file.name for file in tmp_path.iterdir()] == ["capture.json"]
