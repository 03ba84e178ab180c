"""Round trips: what the writers of raw scan formats wrote, the readers give back."""

import os
import pickle
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scan_recordings import recording, texture, unlabelled

from avatarpipe.datasets import fourddress, thuman2
from avatarpipe.datasets.multiview import Request
from avatarpipe.datasets.writers import fourddress as fourddress_writer
from avatarpipe.datasets.writers import thuman2 as thuman2_writer
from avatarpipe.datasets.writers.scans import RawScans
from avatarpipe.errors import InputError

SOURCE = "00122/Outer/Take11"
SCALE = 0.5  # a power of two: dividing by it loses nothing


def far(a, b, body) -> float:
    """Largest distance in metres between the posed vertices of two batches."""
    return float((body.vertices(a) - body.vertices(b)).norm(dim=-1).max())


def request(root, body, source=SOURCE, frames="all", gender="male", **options) -> Request:
    return Request(root, source, frames, gender, body, options)


@pytest.fixture(scope="module")
def dressed(fake_body, tmp_path_factory):
    """A sequence of three frames in the layout of 4D-Dress."""
    root = tmp_path_factory.mktemp("4d-dress")
    fourddress_writer.write(root / SOURCE, recording(fake_body, (11, 12, 15)))
    return root


def test_4d_dress_comes_back(dressed, fake_body):
    given = recording(fake_body, (11, 12, 15))
    found = fourddress.read(request(dressed, fake_body))
    assert found.frames == ("00011", "00012", "00015")
    assert np.allclose(found.times, [0, 1 / 30, 4 / 30])
    assert far(found.poses, given.poses, fake_body) < 1e-4
    for index in range(3):
        scan, wanted = found.scan(index), given.scan(index)
        assert np.array_equal(scan.vertices, wanted.vertices)
        assert np.array_equal(scan.faces, wanted.faces) and np.array_equal(scan.uvs, wanted.uvs)
        assert np.array_equal(scan.texture, wanted.texture)
        assert np.array_equal(scan.vertex_labels, wanted.vertex_labels)
    assert "mesh-00012" in found.inputs and all(path.is_file() for path in found.inputs.values())


@pytest.mark.parametrize(
    ("frames", "names"),
    [
        ("12", ("00012",)),
        ("11-12", ("00011", "00012")),
        ("11,15", ("00011", "00015")),
        ("11-15:4", ("00011", "00015")),
    ],
)
def test_a_part_of_the_frames(dressed, fake_body, frames, names):
    found = fourddress.read(request(dressed, fake_body, frames=frames))
    assert found.frames == names and len(found.poses) == len(names) and found.times[0] == 0


def test_frames_a_second(dressed, fake_body):
    assert fourddress.read(request(dressed, fake_body, fps=10)).times == (0.0, 0.1, 0.4)


def test_a_frame_that_is_not_there(dressed, fake_body):
    with pytest.raises(InputError, match=r"basic_info\.pkl: frames '11-13': 13 is not there"):
        fourddress.read(request(dressed, fake_body, frames="11-13"))


def test_the_true_gender_is_asked_for(dressed, fake_body):
    with pytest.raises(InputError, match=r"basic_info\.pkl: the subject is male, but female was"):
        fourddress.read(request(dressed, fake_body, gender="female"))


def test_a_seam_needs_vertices_of_its_own(fake_body, tmp_path):
    given = recording(fake_body)
    scan = given.scan(0)
    scan.uvs[0] += 0.1
    torn = RawScans(given.frames, given.poses, "male", lambda _: scan, fake_body)
    with pytest.raises(InputError, match="two UVs"):
        fourddress_writer.write(tmp_path / SOURCE, torn)


def test_a_hand_beyond_the_coefficients_is_refused(fake_body, tmp_path):
    given = recording(fake_body)
    bent = given.poses.replaced(left_hand_pose=given.poses.left_hand_pose + torch.eye(45)[:1])
    with pytest.raises(InputError, match="left hand: 12 PCA coefficients leave"):
        fourddress_writer.write(
            tmp_path / SOURCE, RawScans(given.frames, bent, "male", given.scan, fake_body)
        )


def write_thuman(root, body, release="2.0", scale=SCALE):
    thuman2_writer.write(root / "scans", root / "fits", "0525", recording(body), scale, release)


def thuman(root, body, **options):
    return thuman2.read(
        request(root, body, "0525", "0", **({"scans": "scans", "fits": "fits"} | options))
    )


@pytest.mark.parametrize("release", ["2.0", "2.1"])
def test_thuman_comes_back_in_metres(fake_body, tmp_path, release):
    write_thuman(tmp_path, fake_body, release)
    given, found = recording(fake_body), thuman(tmp_path, fake_body)
    assert far(found.poses, given.poses, fake_body) < 1e-4
    scan, wanted = found.scan(0), given.scan(0)
    assert np.abs(scan.vertices - wanted.vertices).max() < 1e-7
    assert np.array_equal(scan.faces, wanted.faces) and np.array_equal(scan.uvs, wanted.uvs)
    stream = BytesIO()
    Image.fromarray(texture()).save(stream, "JPEG", quality=thuman2_writer.JPEG_QUALITY, subsampling=0)
    assert np.abs(scan.texture.astype(int) - np.asarray(Image.open(stream))).max() <= 1
    assert scan.vertex_labels is None and found.frames == ("0",)
    assert {"fit", "scan", "material0.jpeg", "material0.mtl"} == set(found.inputs)


def stored(root) -> dict:
    return pickle.loads((root / "fits/0525/smplx_param.pkl").read_bytes())


def test_the_releases_store_their_translation_differently(fake_body, tmp_path):
    """2.0: scan = scale * body + translation; 2.1: scan = scale * (body + transl), by hand on one vertex."""
    for release in ("2.0", "2.1"):
        write_thuman(tmp_path / release, fake_body, release, scale=0.4)
        raw, given = stored(tmp_path / release), recording(fake_body)
        still = given.poses.replaced(transl=torch.zeros(1, 3))
        body = fake_body.vertices(still)[0].double().numpy()
        if release == "2.0":
            placed = 0.4 * body + raw["translation"]
        else:
            placed = 0.4 * (body + raw["transl"])
        assert np.abs(placed - 0.4 * given.scan(0).vertices).max() < 0.4 * 0.005
        found = thuman(tmp_path / release, fake_body)
        assert np.abs(found.poses.transl.numpy() - given.poses.transl.numpy()).max() < 1e-6


def change(root, **changes):
    content = stored(root) | changes
    path = root / "fits/0525/smplx_param.pkl"
    path.write_bytes(pickle.dumps({key: value for key, value in content.items() if value is not None}))


def test_a_body_pose_that_holds_the_root_loses_it(fake_body, tmp_path):
    write_thuman(tmp_path, fake_body)
    before = thuman(tmp_path, fake_body).poses
    pose = stored(tmp_path)["body_pose"]
    change(tmp_path, body_pose=np.hstack([np.full((1, 3), 9.0), pose]))
    assert torch.equal(thuman(tmp_path, fake_body).poses.body_pose, before.body_pose)


def test_full_hands_with_and_without_their_mean(fake_body, tmp_path):
    write_thuman(tmp_path, fake_body, "2.1")
    with_mean = thuman(tmp_path, fake_body).poses.left_hand_pose
    added = thuman(tmp_path, fake_body, flat_hand_mean=False).poses.left_hand_pose
    assert np.allclose(added - with_mean, fake_body.hand_pca("left")[1], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": np.zeros(1)}, "scale must be one number above 0"),
        ({"scale": None}, "scale missing"),
        ({"transl": np.zeros((1, 3))}, "found translation and transl"),
        ({"translation": None}, "found neither"),
        ({"translation": np.full((1, 3), np.nan)}, "translation holds 3 NaN"),
        ({"betas": np.zeros((1, 300))}, r"betas has shape \(1, 300\), expected \(1, 10\)"),
        ({"body_pose": np.zeros((1, 60))}, "body_pose has shape"),
        ({"left_hand_pose": np.zeros((1, 90))}, "left_hand_pose has shape"),
    ],
)
def test_broken_thuman_fits(fake_body, tmp_path, changes, message):
    write_thuman(tmp_path, fake_body)
    change(tmp_path, **changes)
    with pytest.raises(InputError, match=f"smplx_param.pkl: .*{message}"):
        thuman(tmp_path, fake_body)


def test_a_fit_that_runs_code_is_not_loaded(fake_body, tmp_path):
    write_thuman(tmp_path, fake_body)
    marker = tmp_path / "pwned"
    evil = b"cos\nsystem\n(S'touch %s'\ntR." % os.fsencode(marker)
    (tmp_path / "fits/0525/smplx_param.pkl").write_bytes(evil)
    with pytest.raises(InputError, match=r"smplx_param\.pkl: this pickle wants to run"):
        thuman(tmp_path, fake_body)
    assert not marker.exists()


def test_a_truncated_scan_is_named(fake_body, tmp_path):
    write_thuman(tmp_path, fake_body)
    path = tmp_path / "scans/0525/0525.obj"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: int(len(lines) * 0.7)]))
    with pytest.raises(InputError, match=r"0525\.obj: truncated: \d+% of its vertices"):
        thuman(tmp_path, fake_body).scan(0)
    path.write_text("".join(lines)[:-7])
    with pytest.raises(InputError, match=r"0525\.obj: (truncated|not a readable)"):
        thuman(tmp_path, fake_body).scan(0)


def test_a_truncated_texture_is_named(fake_body, tmp_path):
    write_thuman(tmp_path, fake_body)
    path = tmp_path / "scans/0525/material0.jpeg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"material0\.jpeg: truncated"):
        thuman(tmp_path, fake_body).scan(0)


@pytest.mark.parametrize("library", ["/etc/passwd", "../../../etc/passwd", "sub/../../x.mtl"])
def test_a_material_outside_the_folder_is_not_read(fake_body, tmp_path, library):
    write_thuman(tmp_path, fake_body)
    path = tmp_path / "scans/0525/0525.obj"
    path.write_text(path.read_text().replace("material0.mtl", library))
    with pytest.raises(InputError, match=r"0525\.obj: .*leads out of its folder"):
        thuman(tmp_path, fake_body).scan(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "../0525"}, "source '../0525'"),
        ({"source": "0526"}, r"0526.smplx_param\.pkl: no such file"),
        ({"frames": "1"}, "frame 0 only"),
        ({"scans": "../scans"}, "option scans '../scans'"),
        ({"scans": "/etc"}, "option scans"),
        ({"scans": "nowhere"}, r"nowhere.0525.0525\.obj: no such file"),
    ],
)
def test_bad_thuman_requests(fake_body, tmp_path, changes, message):
    write_thuman(tmp_path, fake_body)
    wanted = {"source": "0525", "frames": "0", "scans": "scans", "fits": "fits"} | changes
    with pytest.raises(InputError, match=message):
        thuman2.read(request(tmp_path, fake_body, **wanted))


def test_unlabelled_scans_are_written_without_labels(fake_body, tmp_path):
    fourddress_writer.write(tmp_path / SOURCE, unlabelled(recording(fake_body)))
    assert fourddress.read(request(tmp_path, fake_body)).scan(0).vertex_labels is None
