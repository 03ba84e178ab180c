import os
import pickle
import shutil

import fake_subject
import numpy as np
import pytest

from avatarpipe.capture.labels import Label
from avatarpipe.datasets.fourddress import find, read_atlas, read_fit, read_labels, read_scan
from avatarpipe.errors import InputError

SOURCE = "00001/Inner/Take1"


def find_one(root, source, frames, gender=None):
    (recording,) = find(root, source, frames, gender)
    return recording


@pytest.fixture
def recording(fake_raw, tmp_path):
    """A private copy, to be broken."""
    shutil.copytree(fake_raw, tmp_path / "raw")
    return find_one(tmp_path / "raw", SOURCE, "11")


def change(path, **changes):
    content = pickle.loads(path.read_bytes()) | changes
    fake_subject.dump(path, {key: value for key, value in content.items() if value is not None})


def test_the_fit_is_decoded_with_the_hand_mean(fake_raw, fake_body):
    found = read_fit(find_one(fake_raw, SOURCE, "00011"), fake_body)
    expected = fake_subject.decoded(fake_subject.raw_fit(), fake_body)
    for (name, value), (_, wanted) in zip(found.items(), expected.items(), strict=True):
        assert np.allclose(value, wanted, atol=1e-6), name
    assert found.left_hand_pose.abs().max() > 0.1


@pytest.mark.parametrize("comps", [1, 6, 24, 45])
def test_any_number_of_hand_components(recording, fake_body, comps):
    fit = fake_subject.raw_fit(hand_comps=comps)
    fake_subject.dump(recording.files()["fit"], fit)
    found = read_fit(recording, fake_body)
    assert np.allclose(found.right_hand_pose, fake_subject.decoded(fit, fake_body).right_hand_pose)


def test_the_scan_is_exact_and_its_texture_upright(fake_raw, fake_body):
    recording = find_one(fake_raw, SOURCE, "11")
    scan, raw = read_scan(recording), pickle.loads(recording.files()["mesh"].read_bytes())
    assert np.array_equal(scan.vertices, raw["vertices"].astype(np.float64))
    assert np.array_equal(scan.faces, raw["faces"])
    expected = fake_subject.dressed_labels(fake_body) + 1
    assert np.array_equal(scan.vertex_labels, expected)
    # texel under each vertex, read as images are: v up, top row first
    corner = scan.faces[:, 0]
    u, v = scan.uvs[:, 0, 0], scan.uvs[:, 0, 1]
    height, width = scan.texture.shape[:2]
    texels = scan.texture[((1 - v) * height).astype(int), (u * width).astype(int)]
    assert np.array_equal(texels, fake_subject.COLOURS[expected[corner] - 1])


def test_labels_are_translated(tmp_path):
    fake_subject.dump(tmp_path / "l.pkl", {"scan_labels": np.arange(6)})
    wanted = [Label.SKIN, Label.HAIR, Label.SHOE, Label.UPPER, Label.LOWER, Label.OUTER]
    assert read_labels(tmp_path / "l.pkl", 6).tolist() == wanted


def test_labels_are_optional(recording):
    recording.files()["labels"].unlink()
    assert read_scan(recording).vertex_labels is None


@pytest.mark.parametrize(
    "source",
    [
        "../../etc",
        "..",
        "00001/../Take1",
        "/etc/x/y",
        "00001/Inner",
        "00001/Inner/Take1/..",
        "a/b\n/c",
        "00001//Take1",
    ],
)
def test_a_source_cannot_leave_the_root(fake_raw, source):
    with pytest.raises(InputError, match="source"):
        find_one(fake_raw, source, "11")


@pytest.mark.parametrize("frame", ["12", "00012", "x", "-1", "../11", "111111", "1.5"])
def test_frames_that_are_none(fake_raw, frame):
    with pytest.raises(InputError, match="frame"):
        find_one(fake_raw, SOURCE, frame)


def test_unknown_recording(fake_raw):
    with pytest.raises(InputError, match=r"Take2: no such folder.*as root"):
        find_one(fake_raw, "00001/Inner/Take2", "11")


@pytest.mark.parametrize("role", ["mesh", "atlas", "fit", "basic_info"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "malicious"])
def test_broken_files_are_named(recording, fake_body, role, damage, tmp_path):
    path, marker = recording.files()[role], tmp_path / "pwned"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % os.fsencode(marker))
    with pytest.raises(InputError, match=path.name):
        again = find_one(tmp_path / "raw", SOURCE, "11")
        read_scan(again)
        read_fit(again, fake_body)
    assert not marker.exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"vertices": np.full((9, 3), np.nan)}, "vertices holds 27 NaN"),
        ({"vertices": np.zeros((5, 2))}, r"vertices has shape \(5, 2\)"),
        ({"vertices": "many"}, "vertices is not an array of numbers"),
        ({"vertices": np.zeros((9, 3))}, "faces are none, or name vertices outside 0 to 8"),
        ({"faces": np.zeros((0, 3), int)}, "faces are none"),
        ({"uvs": np.zeros((3, 2))}, "uvs has shape"),
        ({"uvs": None}, "uvs missing"),
    ],
)
def test_broken_meshes(recording, changes, message):
    change(recording.files()["mesh"], **changes)
    with pytest.raises(InputError, match=f"mesh-f00011.pkl: {message}"):
        read_scan(recording)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"betas": np.zeros(9)}, r"betas has shape \(9,\), expected \(10,\)"),
        ({"body_pose": np.zeros(66)}, r"body_pose has shape \(66,\), expected \(63,\)"),
        ({"transl": np.array([0, np.inf, 0])}, "transl holds 1 NaN"),
        ({"left_hand_pose": np.zeros(46)}, "left_hand_pose has shape .*1 to 45 PCA"),
        ({"right_hand_pose": np.zeros(0)}, "right_hand_pose has shape"),
        ({"jaw_pose": None}, "jaw_pose missing"),
        ({"global_orient": "front"}, "global_orient is not an array"),
    ],
)
def test_broken_fits(recording, fake_body, changes, message):
    change(recording.files()["fit"], **changes)
    with pytest.raises(InputError, match=f"smplx.pkl: {message}"):
        read_fit(recording, fake_body)


def test_label_count_mismatch(recording):
    change(recording.files()["labels"], scan_labels=np.zeros(17, int))
    with pytest.raises(
        InputError, match=r"label-f00011\.pkl: 17 labels for a scan of \d+ vertices"
    ):
        read_scan(recording)


def test_unknown_labels(tmp_path):
    fake_subject.dump(tmp_path / "l.pkl", {"scan_labels": np.array([0, 6, -1])})
    with pytest.raises(InputError, match="other than 0 to 5"):
        read_labels(tmp_path / "l.pkl", 3)


@pytest.mark.parametrize(
    "atlas",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 3), np.uint8),
     {"atlas": 1}, None],
)  # fmt: skip
def test_corrupt_atlas(tmp_path, atlas):
    fake_subject.dump(tmp_path / "a.pkl", atlas)
    with pytest.raises(InputError, match=r"a\.pkl: corrupt atlas"):
        read_atlas(tmp_path / "a.pkl")


@pytest.mark.parametrize("info", [{"scan_frames": []}, {"rotation": None}, ["00011"]])
def test_basic_info_without_frames(recording, info, tmp_path):
    fake_subject.dump(recording.files()["basic_info"], info)
    with pytest.raises(InputError, match="scan_frames is missing or empty"):
        find_one(tmp_path / "raw", SOURCE, "11")
