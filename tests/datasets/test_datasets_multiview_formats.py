"""Recordings written as each dataset has them come back as they were, through the capture."""

import json
import shutil
from dataclasses import replace

import cv2
import datasets_recordings as made
import numpy as np
import pandas as pd
import pytest
from datasets_recordings import READERS, WRITERS

from avatarpipe.datasets.writers import actorshq as actorshq_writer
from avatarpipe.errors import InputError

FPS = {"avatarrex": 30, "thuman4.0": 30, "actorshq": 25}
RADIUS = {"avatarrex": 5, "thuman4.0": 3, "actorshq": 4}
CALIBRATED = {"avatarrex": "calibration_full.json", "thuman4.0": "calibration.json"}


@pytest.fixture(scope="module", params=READERS)
def dataset(request):
    return request.param


@pytest.fixture(scope="module")
def original():
    return made.recording(frames=(0, 1, 2))


@pytest.fixture(scope="module")
def written(tmp_path_factory, dataset, original):
    """Root of the dataset with the recording "take"; read only."""
    root = tmp_path_factory.mktemp("raw")
    WRITERS[dataset].write(root / "take", original)
    return root


@pytest.fixture
def copied(written, tmp_path):
    """A private copy, to be broken."""
    shutil.copytree(written, tmp_path / "raw")
    return tmp_path / "raw"


def jpeg(path):
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1] / 255


def test_round_trip(dataset, original, written, fake_body, tmp_path):
    source = READERS[dataset].read(made.request(written))
    capture = made.capture(source, tmp_path)
    assert np.abs(capture.cameras().w2c - original.cameras.w2c).max() < 1e-6
    assert np.abs(capture.cameras().K - original.cameras.K).max() < 1e-6
    assert (capture.cameras().width, capture.cameras().height) == (96, 80)
    found, wanted = (made.vertices(fake_body, poses) for poses in (capture.poses, original.poses))
    assert (found - wanted).norm(dim=-1).max() < 1e-4
    assert capture.frame_names == ("000000", "000001", "000002")
    assert np.allclose(capture.frames["time"], np.arange(3) / FPS[dataset])
    assert len(capture.views()) == 9 and source.missing == []
    assert source.boundary_radius == RADIUS[dataset]
    for view in source.views:
        name, frame = source.cameras.names[view.camera], source.frames[view.frame]
        assert np.array_equal(capture.photograph(name, frame), jpeg(view.image).astype(np.float32))
        assert capture.image_path("images", name, frame).samefile(view.image)
        assert (
            np.abs(capture.mask(name, frame) * 255 - original.mask(view.frame, view.camera)).max()
            < 16
        )


def test_images_are_on_black_in_memory(dataset, written, tmp_path):
    capture = made.capture(READERS[dataset].read(made.request(written)), tmp_path)
    image, mask, photograph = capture.image(1, 1), capture.mask(1, 1), capture.photograph(1, 1)
    if dataset == "actorshq":  # removed already
        assert np.array_equal(image, photograph) and photograph[mask == 0].max() < 0.2
    else:
        assert (
            np.allclose(image, photograph * mask[..., None]) and photograph[mask == 0].mean() > 0.2
        )


def test_the_capture_holds_out_cameras_by_name_or_position(dataset, written, tmp_path):
    name = READERS[dataset].read(made.request(written)).cameras.names[2]
    for held_out in (name, 2, [2], {"take": [name]}):
        source = READERS[dataset].read(
            made.request(written, test_cameras=held_out, cameras=[0, name])
        )
        assert source.test_cameras == (name,) and len(source.cameras) == 2
    capture = made.capture(source, tmp_path)
    assert capture.cameras("test").names == (name,) and len(capture.cameras("train")) == 1
    assert set(capture.views("test")["camera"]) == {name}


def test_frames_and_near_duplicates_are_chosen_by_options(dataset, copied):
    def frames(spec="all", **options):
        return READERS[dataset].read(made.request(copied, frames=spec, **options)).frames

    assert frames("0,2") == ("000000", "000002")
    assert frames(exclude="1-7") == ("000000",) and frames(exclude={"other": "1"}) == frames()
    assert frames(exclude={"take": "0"}) == frames(exclude=0) == ("000001", "000002")
    path = next(copied.rglob("smpl_params.npz"))
    arrays = dict(np.load(path))
    arrays["body_pose"][1] = arrays["body_pose"][0] + 0.01
    arrays["body_pose"][2] = arrays["body_pose"][0] + 0.016
    np.savez(path, **arrays)
    assert frames(near_duplicates=0.015) == ("000000", "000002")
    assert frames(near_duplicates=0.02) == ("000000",) and len(frames()) == 3
    with pytest.raises(InputError, match="leaves none"):
        frames("1", exclude="0-2")


def test_faces_can_be_neutral(dataset, written, original):
    full = READERS[dataset].read(made.request(written)).poses
    assert np.allclose(full.jaw_pose, original.poses.jaw_pose) and full.expression.abs().max() > 0
    neutral = READERS[dataset].read(made.request(written, face="neutral")).poses
    assert neutral.jaw_pose.abs().max() == 0 and neutral.expression.abs().max() == 0
    assert np.allclose(neutral.body_pose, original.poses.body_pose)
    with pytest.raises(InputError, match="option face is 'calm'"):
        READERS[dataset].read(made.request(written, face="calm"))


def test_poses_are_of_their_frame_whatever_is_missing(dataset, tmp_path):
    late = made.recording(frames=(4, 6, 7), missed={(0, 1), (2, 0)})
    WRITERS[dataset].write(tmp_path / "take", late)
    source = READERS[dataset].read(made.request(tmp_path, frames="all"))
    assert source.frames == ("000004", "000006", "000007")
    assert np.allclose(source.poses.transl, late.poses.transl)
    listed = {(frame, camera) for frame, camera, _ in source.missing}
    names = source.cameras.names
    assert listed == {("000004", names[1]), ("000007", names[0])} and len(source.views) == 7
    if dataset != "actorshq":
        assert source.missing[0][2] == "listed in missing_img_files.txt"


@pytest.mark.parametrize("name", ["avatarrex", "thuman4.0"])
def test_distortion_is_taken_out(name, tmp_path):
    bent = made.recording(frames=(0,), count=2, width=240, height=200, distortion=made.LENS)
    WRITERS[name].write(tmp_path / "take", bent)
    source = READERS[name].read(made.request(tmp_path))
    assert np.allclose(source.distortion, made.LENS)
    capture = made.capture(source, tmp_path)
    assert np.abs(capture.cameras().K - bent.cameras.K).max() < 1e-6
    for camera in range(2):
        inner = np.s_[20:-20, 20:-20]
        wanted = bent.image(0, camera)[inner] / 255.0
        error = np.abs(capture.photograph(camera)[inner] - wanted)
        bent_error = np.abs(jpeg(source.views[camera].image)[inner] - wanted)
        assert error.mean() < 0.004 and error.max() < 0.02 and bent_error.mean() > 0.03
        mask_error = np.abs(capture.mask(camera) - bent.mask(0, camera) / 255.0)
        assert mask_error.mean() < 0.004


def test_actorshq_lies_flat_or_by_scale(tmp_path):
    original = made.recording()
    actorshq_writer.write(tmp_path / "flat" / "take", original, scale=None)
    actorshq_writer.write(tmp_path / "native" / "take", original, scale="2x")
    read = READERS["actorshq"].read
    flat = read(made.request(tmp_path / "flat"))
    native = read(made.request(tmp_path / "native", scale="2x"))
    assert (
        np.array_equal(flat.cameras.K, native.cameras.K)
        and len(flat.views) == len(native.views) == 9
    )
    with pytest.raises(InputError, match=r"4x/calibration\.csv: no such file"):
        read(made.request(tmp_path / "native"))
    with pytest.raises(InputError, match="option scale is '3x'"):
        read(made.request(tmp_path / "native", scale="3x"))


def test_actorshq_filters_do_not_look_at_the_path(tmp_path):
    """The published reader leaves frames out of a folder called actor06, and none out of Actor06."""
    for name in ("actor06", "Actor06"):
        actorshq_writer.write(
            tmp_path / name / "Sequence1", made.recording(frames=(0, 1400), count=2)
        )
        options = {"exclude": {"Actor06/Sequence1": "1400-1530"}}
        asked = replace(made.request(tmp_path), source=f"{name}/Sequence1", options=options)
        assert len(READERS["actorshq"].read(asked).frames) == (2 if name == "actor06" else 1)


def test_actorshq_cannot_hold_distortion(tmp_path):
    with pytest.raises(ValueError, match="no distortion"):
        actorshq_writer.write(tmp_path, made.recording(distortion=made.LENS))


# What is broken, one clear error each.


def edit_calibration(root, name, change):
    path = root / "take" / CALIBRATED[name]
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def first(document):
    return next(iter(document.values()))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.pop(next(iter(d))), r"json: no camera \w+, but the dataset has a folder"),
        (lambda d: d.update({"cam77": first(d)}), "no images of camera cam77, which"),
        (lambda d: first(d).update(R=[1, 0, 0, 0, 1, 0, 0, 0.1, 1]), "R is no rotation: .* 0.1"),
        (lambda d: first(d).update(R=[1, 0, 0, 0, 1, 0, 0, 0, -1]), "the determinant is -1"),
        (lambda d: first(d).update(R=[1, 2]), "R must be 9 finite numbers"),
        (lambda d: first(d).update(T=[0, float("nan"), 0]), "T must be 3 finite numbers"),
        (lambda d: first(d).pop("K"), "K is missing"),
        (lambda d: first(d).update(imgSize=[40, 33]), "K is for another image size"),
        (lambda d: first(d).update(K=[50, 9, 40, 0, 50, 40, 0, 0, 1]), "skew of 9"),
        (lambda d: d.update({"../up": first(d)}), r"camera '\.\./up': only letters"),
        (lambda d: d.clear(), "a record for each camera"),
    ],
)
@pytest.mark.parametrize("dataset", CALIBRATED, indirect=True)
def test_broken_calibrations(dataset, copied, change, message):
    edit_calibration(copied, dataset, change)
    with pytest.raises(InputError, match=message) as raised:
        READERS[dataset].read(made.request(copied))
    assert "calibration" in str(raised.value)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.iloc[1:], "no camera Cam001, but the dataset has a folder"),
        (lambda t: t.assign(px=7), "K is for another image size"),
        (lambda t: t.assign(fx=-1), "K is no camera matrix"),
        (lambda t: t.assign(rx="x"), "a cell that is empty or no number"),
        (lambda t: t.assign(tz=None), "a cell that is empty or no number"),
        (lambda t: t.drop(columns="py"), "column py is missing"),
        (lambda t: pd.concat([t, t]), "two cameras share one name"),
    ],
)
@pytest.mark.parametrize("dataset", ["actorshq"], indirect=True)
def test_broken_actorshq_calibrations(copied, change, message):
    path = copied / "take" / "4x" / "calibration.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"calibration\.csv.*{message}"):
        READERS["actorshq"].read(made.request(copied))


def edit_poses(root, **changes):
    path = next(root.rglob("smpl_params.npz"))
    arrays = dict(np.load(path)) | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    "changes, frames, message",
    [
        (
            {"transl": np.array([[0, 0, 0], [0, np.nan, 0], [0, 0, 0]])},
            "all",
            "transl holds NaN .* the first 1",
        ),
        ({"body_pose": np.zeros((2, 63))}, "all", "unlike numbers of frames: .*body_pose 2"),
        ({"body_pose": np.zeros((3, 66))}, "all", r"body_pose has shape \(3, 66\)"),
        ({"transl": np.full((3, 3), "x")}, "all", "no npz of number arrays"),
        ({"jaw_pose": None}, "all", "jaw_pose is missing"),
        ({}, "0-5", "frames '0-5': 3, 4, 5 are not there; the sequence has 3 frames"),
    ],
)
def test_broken_poses(dataset, copied, changes, frames, message):
    edit_poses(copied, **changes)
    with pytest.raises(InputError, match=message):
        READERS[dataset].read(made.request(copied, frames=frames))


def test_nan_at_a_frame_that_is_not_asked_for(dataset, copied):
    edit_poses(copied, transl=np.array([[0, 0, 0], [0, np.nan, 0], [0, 0, 0]]))
    assert len(READERS[dataset].read(made.request(copied, frames="0,2")).frames) == 2


def test_more_images_than_poses(dataset, copied):
    path = next(copied.rglob("smpl_params.npz"))
    arrays = dict(np.load(path))
    np.savez(path, **{name: value[:2] for name, value in arrays.items()})
    with pytest.raises(InputError, match=r"poses of 2 frames, but there are images up to frame 2"):
        READERS[dataset].read(made.request(copied))
    assert len(READERS[dataset].read(made.request(copied, frames="0-1")).frames) == 2


def test_truncated_poses(dataset, copied):
    path = next(copied.rglob("smpl_params.npz"))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"smpl_params\.npz: truncated"):
        READERS[dataset].read(made.request(copied))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cameras": ["cam9"]}, "no camera 'cam9'; it has 3"),
        ({"test_cameras": [3]}, "no camera 3; it has 3"),
        ({"test_cameras": [0], "cameras": [1, 2]}, "is none of the cameras chosen"),
        ({"test_cameras": [0, 1, 2]}, "leave no camera to train on"),
    ],
)
def test_cameras_that_are_none(dataset, written, options, message):
    with pytest.raises(InputError, match=message):
        READERS[dataset].read(made.request(written, **options))


@pytest.mark.parametrize("source", ["../raw/take", "/etc", "take/..", "", "none"])
def test_a_source_cannot_leave_the_root(dataset, written, source):
    asked = replace(made.request(written), source=source)
    with pytest.raises(InputError, match=r"source|no such folder"):
        READERS[dataset].read(asked)
