"""The engine that makes a capture of multi-view images: pixels, policies, bad files, restarts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import cv2
import datasets_recordings as made
import numpy as np
import pandas as pd
import pytest
from skimage.morphology import dilation, disk, erosion

from avatarpipe.capture.writing import publishing
from avatarpipe.datasets import multiview
from avatarpipe.datasets.multiview import MultiViewSource, Policy, View, convert_views
from avatarpipe.datasets.parallel import AHEAD, in_parallel
from avatarpipe.errors import InputError


def png_source(folder: Path, sizes=((96, 80), (90, 80)), distortion=None, frames=2, radius=4):
    """PNG images of noise with soft masks, cameras of unlike sizes."""
    rng = np.random.default_rng(0)
    raw = made.recording(frames=range(frames), count=len(sizes), distortion=distortion)
    views = []
    for c, (width, height) in enumerate(sizes):
        for f in range(frames):
            image, mask = folder / f"{c}_{f}.png", folder / f"{c}_{f}_mask.png"
            cv2.imwrite(str(image), rng.integers(0, 256, (height, width, 3), np.uint8))
            cv2.imwrite(str(mask), raw.mask(f, c)[:height, :width])
            views.append(View(f, c, image, mask))
    return MultiViewSource(
        raw.cameras, raw.distortion, tuple(f"{f:06d}" for f in range(frames)), tuple(map(float, range(frames))),
        raw.poses, views, [], sizes=np.array(sizes), boundary_radius=radius,
    )  # fmt: skip


@pytest.fixture
def source(tmp_path):
    (tmp_path / "raw").mkdir()
    return png_source(tmp_path / "raw")


@pytest.fixture
def draft(tmp_path):
    (tmp_path / "draft").mkdir()
    return tmp_path / "draft"


def read(path, flag=cv2.IMREAD_UNCHANGED):
    return cv2.imread(str(path), flag)


def calls(monkeypatch):
    """The views that are really converted, as they are."""
    done = []
    convert = multiview.convert_view

    def counted(job, draft):
        done.append((job.frame, job.camera))
        return convert(job, draft)

    monkeypatch.setattr(multiview, "convert_view", counted)
    return done


def test_pixels_are_those_of_cv2_undistort(tmp_path, draft):
    source = png_source(tmp_path, sizes=[(96, 80)] * 2, distortion=made.LENS, radius=3)
    table = convert_views(source, draft, workers=2)
    assert len(table) == 4
    for view, row in zip(
        sorted(source.views, key=lambda v: (v.frame, v.camera)), table.itertuples(), strict=True
    ):
        K = source.cameras.K[view.camera].copy()
        K[:2, 2] -= 0.5
        image, mask = (cv2.undistort(read(path), K, made.LENS) for path in (view.image, view.mask))
        assert np.array_equal(read(draft / row.image), image)
        assert np.array_equal(read(draft / row.mask), mask)
        solid = mask > 128
        band = erosion(solid, disk(3)) ^ dilation(solid, disk(3))
        whole = cv2.undistort(np.full(mask.shape, 255, np.uint8), K, made.LENS) == 255
        assert np.array_equal(read(draft / row.boundary) > 0, band | ~whole)
        assert 20 < band.sum() < 2000


def test_smaller_images_are_padded_and_keep_their_pixels(source, draft):
    table = convert_views(source, draft).set_index(["frame", "camera"])
    for view in source.views:
        row = table.loc[source.frames[view.frame], source.cameras.names[view.camera]]
        width = source.sizes[view.camera][0]
        image, mask, boundary = (read(draft / row[name]) for name in ("image", "mask", "boundary"))
        assert image.shape == (80, 96, 3) and mask.shape == boundary.shape == (80, 96)
        assert np.array_equal(image[:, :width], read(view.image)) and not image[:, width:].any()
        assert np.array_equal(mask[:, :width], read(view.mask)) and not mask[:, width:].any()
        assert (boundary[:, width:] == 255).all()  # nobody saw what is there
        linked = (draft / row["image"]).samefile(view.image)
        assert linked == (width == 96)


def test_negligible_distortion_changes_nothing(source, draft):
    source.distortion[:] = 1e-5
    table = convert_views(source, draft)
    first = source.cameras.names[0]
    assert (draft / table[table["camera"] == first]["image"].iloc[0]).samefile(
        source.views[0].image
    )


@pytest.mark.parametrize("image_format, tolerance", [("png", 0), ("jpg", 8)])
def test_formats_of_what_had_to_change(tmp_path, draft, image_format, tolerance):
    smooth = made.recording(count=1, frames=(0,)).image(0, 0)
    source = png_source(tmp_path, sizes=[(90, 80)], frames=1)
    source.cameras = replace(source.cameras, width=96)
    cv2.imwrite(str(source.views[0].image), smooth[:, :90])
    row = convert_views(source, draft, image_format=image_format).iloc[0]
    assert row["image"] == f"images/000000/22010000.{image_format}" and row["mask"].endswith(".png")
    error = np.abs(read(draft / row["image"])[:, :88].astype(int) - smooth[:, :88])
    assert error.max() <= tolerance
    with pytest.raises(InputError, match="use png or jpg"):
        convert_views(source, draft, image_format="webp")


@pytest.mark.parametrize("distortion", [None, made.LENS])
def test_alpha_is_the_mask_where_there_is_none(tmp_path, draft, distortion):
    source = png_source(tmp_path, sizes=[(96, 80)], frames=1, distortion=distortion)
    bgr = np.full((80, 96, 3), (10, 200, 90), np.uint8)
    mask = read(source.views[0].mask)
    bgr[mask == 0] = (255, 0, 255)  # must not bleed into the subject
    cv2.imwrite(str(source.views[0].image), np.dstack([bgr, mask]))
    source.views = [replace(source.views[0], mask=None)]
    row = convert_views(source, draft).iloc[0]
    image, found = read(draft / row["image"]), read(draft / row["mask"])
    assert image.shape == (80, 96, 3)
    assert np.abs(image[found > 3].astype(int) - (10, 200, 90)).max() <= 1
    assert distortion is not None or np.array_equal(found, mask)


def test_no_alpha_and_no_mask(source, draft):
    source.views = [replace(source.views[0], mask=None)]
    with pytest.raises(InputError, match=r"0_0\.png: no alpha channel"):
        convert_views(source, draft)


# Policies.


def test_missing_views_are_listed(source, tmp_path):
    gone = source.views.pop(1)
    source.missing.append((source.frames[gone.frame], source.cameras.names[gone.camera], "no mask"))
    capture = made.capture(source, tmp_path)
    listed = pd.read_csv(capture.folder / "missing.csv", dtype=str).to_numpy().tolist()
    assert listed == [["000001", "22010000", "no mask"]]
    assert len(capture.views()) == 3 and not capture.seen("22010000", 1) and capture.seen(1, 1)
    with pytest.raises(
        InputError, match=r"camera 22010000 has no image of frame 000001; missing\.csv"
    ):
        capture.image(0, 1)
    with pytest.raises(InputError, match="has no image of frame"):
        capture.stack(frame=1)


def test_missing_views_can_be_refused(source, draft):
    source.missing.append(("000001", "22010000", "no image"))
    with pytest.raises(
        InputError, match=r"1 views are missing, .* 22010000 at frame 000001: no image"
    ):
        convert_views(source, draft, policy=Policy(missing="fail"))
    assert not any(draft.iterdir())


def test_empty_masks(source, draft):
    path = source.views[2].mask
    cv2.imwrite(str(path), np.full((80, 90), 100, np.uint8))
    with pytest.raises(InputError, match=rf"{path.name}: empty mask: no value above 128 .* 100"):
        convert_views(source, draft)
    table = convert_views(source, draft, policy=Policy(empty_masks="skip"))
    assert len(table) == 3 and "the mask is empty" in (draft / "missing.csv").read_text()


def test_nothing_but_empty_masks(source, draft):
    for view in source.views:
        cv2.imwrite(str(view.mask), np.zeros(read(view.mask).shape, np.uint8))
    with pytest.raises(InputError, match="all 4 masks are empty"):
        convert_views(source, draft, policy=Policy(empty_masks="skip"))


def test_policies_are_read_from_options():
    assert Policy.of({"fps": 3}) == Policy("skip", "fail")
    assert Policy.of({"missing": "fail", "empty_masks": "skip"}) == Policy("fail", "skip")
    with pytest.raises(InputError, match="option missing is 'ignore'"):
        Policy.of({"missing": "ignore"})


def test_nothing_to_convert(source, draft):
    source.views = []
    with pytest.raises(InputError, match="none of the wanted frames has an image"):
        convert_views(source, draft)


# Bad files.


@pytest.mark.parametrize("distorted", [False, True])
@pytest.mark.parametrize("kind", ["image", "mask"])
def test_truncated_jpegs(tmp_path, draft, distorted, kind):
    raw = made.recording(count=2, frames=(0, 1), distortion=made.LENS if distorted else None)
    made.WRITERS["avatarrex"].write(tmp_path / "take", raw)
    source = made.READERS["avatarrex"].read(made.request(tmp_path))
    path = getattr(source.views[1], kind)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=rf"{path}: truncated.* Fetch"):
        convert_views(source, draft)
    assert len(list((draft / "boundaries").rglob("*.png"))) == 3  # the others are done


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_files_that_are_no_images(source, draft, content):
    source.views[0].image.write_bytes(content)
    with pytest.raises(InputError, match=r"0_0\.png: truncated or not a PNG or JPEG"):
        convert_views(source, draft)


def test_images_of_another_size_than_the_calibration(source, draft):
    source.sizes[1] = (48, 40)
    with pytest.raises(InputError) as raised:
        convert_views(source, draft)
    assert "1_0.png: 90 x 80 pixels, but the calibration of camera 22010001 is for 48 x 40" in str(
        raised.value
    )
    assert str(raised.value).startswith("2 of 4 views cannot be used")


def test_masks_of_another_size(source, draft):
    cv2.imwrite(str(source.views[0].mask), np.full((40, 48), 255, np.uint8))
    with pytest.raises(
        InputError, match=r"0_0_mask\.png: 48 x 40 pixels, but its image has 96 x 80"
    ):
        convert_views(source, draft)


def test_a_hopeless_dataset_is_given_up_early(tmp_path, draft, monkeypatch):
    source = png_source(tmp_path, frames=60)
    source.sizes[:] = 7
    with pytest.raises(InputError, match="more than 20 of 120 views cannot be used"):
        convert_views(source, draft)


# Restarts.


def interrupted(source, draft, monkeypatch, after: int):
    with monkeypatch.context() as patch:
        convert, count = multiview.convert_view, []

        def stopping(job, folder):
            count.append(job)
            if len(count) > after:
                raise KeyboardInterrupt
            return convert(job, folder)

        patch.setattr(multiview, "convert_view", stopping)
        with pytest.raises(KeyboardInterrupt):
            convert_views(source, draft)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_interrupted_conversion_goes_on(source, draft, monkeypatch, tmp_path):
    interrupted(source, draft, monkeypatch, after=2)
    done = calls(monkeypatch)
    table = convert_views(source, draft)
    assert len(done) <= 3 and len(table) == 4  # the third may have been done but not written down
    (tmp_path / "other").mkdir()
    pd.testing.assert_frame_equal(convert_views(source, tmp_path / "other"), table)
    found, wanted = contents(draft), contents(tmp_path / "other")
    found.pop(".finished.jsonl"), wanted.pop(".finished.jsonl")
    assert found == wanted


@pytest.mark.parametrize(
    "change, again",
    [
        (lambda s: None, 0),
        (lambda s: setattr(s, "boundary_radius", 2), 4),
        (lambda s: s.distortion.__setitem__(1, made.LENS), 2),
        (lambda s: s.sizes.__setitem__((1, 0), 90), 0),
        (lambda s: os.utime(s.views[0].image, (1, 1)), 1),
        (lambda s: cv2.imwrite(str(s.views[3].mask), np.full((80, 90), 255, np.uint8)), 1),
    ],
)
def test_only_what_would_come_out_otherwise_is_done_again(
    source, draft, monkeypatch, change, again
):
    convert_views(source, draft)
    change(source)
    done = calls(monkeypatch)
    convert_views(source, draft)
    assert len(done) == again


def test_another_format_leaves_no_stale_files(source, draft):
    convert_views(source, draft, image_format="png")
    source.views.pop(0)
    table = convert_views(source, draft, image_format="jpg")
    files = {
        str(path.relative_to(draft))
        for kind in ("images", "masks", "boundaries")
        for path in (draft / kind).rglob("*.*")
    }
    assert files == set(table[["image", "mask", "boundary"]].to_numpy().ravel())


def test_half_written_files_are_not_taken_for_whole(source, draft, monkeypatch):
    table = convert_views(source, draft)
    cut = draft / table["boundary"][0]
    cut.write_bytes(cut.read_bytes()[:-4])
    (draft / table["mask"][1]).unlink()
    stray = draft / "images" / "000000" / ".22010000.png"
    stray.write_bytes(b"half")
    with (draft / ".finished.jsonl").open("a") as stream:
        stream.write('{"frame": "0000')
    done = calls(monkeypatch)
    convert_views(source, draft)
    assert len(done) == 2 and not stray.exists()
    done.clear()
    convert_views(source, draft)  # the torn line did not swallow those after it
    assert done == []


def test_a_killed_process_leaves_its_work_to_the_next(tmp_path, monkeypatch):
    """SIGKILL in the middle of a real run, then the same step again."""
    (tmp_path / "raw").mkdir()
    frames = 300
    source = png_source(tmp_path / "raw", frames=frames)
    out = tmp_path / "ann" / "convert"
    code = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        import datasets_recordings as made, test_datasets_conversion as tests
        source = tests.png_source(Path({str(tmp_path / "raw")!r}), frames=0)
        source = tests.listed(source, Path({str(tmp_path / "raw")!r}), {frames})
        made.capture(source, Path({str(tmp_path / "ann")!r}))
    """)
    process = subprocess.Popen([sys.executable, "-c", code])
    journal, deadline = out / ".unfinished" / ".finished.jsonl", time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") > 20:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    assert process.wait(10) == -signal.SIGKILL and not (out / "capture.json").exists()
    finished = len(journal.read_text().splitlines()) - 2
    done = calls(monkeypatch)
    capture = made.capture(source, tmp_path / "ann")
    assert len(capture.views()) == 2 * frames and len(done) <= 2 * frames - finished
    assert not (out / ".unfinished").exists() and not list(out.rglob(".*"))


def listed(source: MultiViewSource, folder: Path, frames: int) -> MultiViewSource:
    """The source whose files `png_source` wrote into `folder` in another process."""
    poses = made.recording(frames=range(frames), count=2).poses
    views = [
        View(f, c, folder / f"{c}_{f}.png", folder / f"{c}_{f}_mask.png")
        for c in range(2)
        for f in range(frames)
    ]
    names = tuple(f"{f:06d}" for f in range(frames))
    return replace(
        source, frames=names, times=tuple(map(float, range(frames))), poses=poses, views=views
    )


def test_a_failed_conversion_publishes_nothing_and_keeps_its_draft(source, tmp_path, monkeypatch):
    broken = source.views[3].image
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    with pytest.raises(InputError, match="truncated"):
        made.capture(source, tmp_path)
    assert not (tmp_path / "convert" / "capture.json").exists()
    broken.write_bytes(whole)
    done = calls(monkeypatch)
    capture = made.capture(source, tmp_path)
    assert done == [("000001", "22010001")] and len(capture.views()) == 4


def test_a_run_killed_while_publishing_starts_over_what_is_gone(source, tmp_path, monkeypatch):
    made.capture(source, tmp_path)
    with (
        pytest.raises(RuntimeError),
        publishing(tmp_path / "convert" / "capture.json", resume=True) as draft,
    ):
        (draft / ".old-images").mkdir()
        raise RuntimeError
    shutil.rmtree(tmp_path / "convert" / "images")
    assert len(made.capture(source, tmp_path).views()) == 4
    assert json.loads((tmp_path / "convert" / "capture.json").read_text())["photographs"] is True


def test_few_items_are_under_way():
    drawn, done = [], []

    def items():
        for item in range(100):
            drawn.append(item)
            yield item

    for result in in_parallel(lambda item: item * 2, items(), workers=3):
        done.append(result)
        assert len(drawn) - len(done) <= AHEAD * 3
    assert done == [2 * item for item in range(100)]
