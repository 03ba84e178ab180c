"""PeopleSnapshot: written and read back through SMPL; the video is decoded once; shapes from SMPL files; bad files are named."""

import os
import pickle
import sys
from dataclasses import replace
from types import ModuleType

import cv2
import datasets_recordings as demo
import h5py
import numpy as np
import pytest
import torch
from scipy.sparse import csc_matrix

from avatarpipe.body.params import BodyParams
from avatarpipe.datasets import people_snapshot, video
from avatarpipe.datasets.smpl_rest import rest_joints
from avatarpipe.datasets.writers import people_snapshot as writer
from avatarpipe.errors import InputError

LENSES = {"pinhole": None, "lens": demo.LENS}


def recording(count=4, lens=None):
    """What SMPL can say: flat hands, a resting face; one body that keeps its shape."""
    raw = demo.recording(tuple(range(count)), count=1, distortion=lens)
    rest = ("left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose", "expression")
    poses = raw.poses.replaced(
        **{name: torch.zeros_like(getattr(raw.poses, name)) for name in rest}
    )
    return replace(raw, poses=poses)


def read(tmp_path, body, raw=None, frames="all", **options):
    betas = {} if raw is None else {"betas": raw.poses.betas[0].tolist()}
    return people_snapshot.read(
        demo.request(tmp_path, body, frames, **({"hands": "flat"} | betas | options))
    )


def in_camera(w2c, vertices):
    return vertices.numpy() @ w2c[:3, :3].T + w2c[:3, 3]


@pytest.mark.parametrize("lens", LENSES)
def test_round_trip(tmp_path, fake_body, lens):
    raw = recording(lens=LENSES[lens])
    writer.write(tmp_path / "take", raw, fake_body)
    source = read(tmp_path, fake_body, raw)
    assert np.abs(source.cameras.K - raw.cameras.K).max() < 1e-6
    np.testing.assert_array_equal(source.distortion, raw.distortion)
    np.testing.assert_allclose(source.cameras.w2c[0], np.diag([1, -1, -1, 1]), atol=1e-6)
    found = in_camera(source.cameras.w2c[0], demo.vertices(fake_body, source.poses))
    wanted = in_camera(raw.cameras.w2c[0], demo.vertices(fake_body, raw.poses))
    assert np.abs(found - wanted).max() < 1e-4
    np.testing.assert_allclose(source.times, np.arange(4) / 30)
    captured = demo.capture(source, tmp_path)
    assert captured.frame_names == ("000000", "000001", "000002", "000003")
    for f in range(4):
        image = cv2.imread(str(captured.image_path("images", 0, f)))[..., ::-1].astype(int)
        mask = cv2.imread(str(captured.image_path("masks", 0, f)), cv2.IMREAD_GRAYSCALE)
        off = np.abs(image - raw.image(f, 0))[8:-8, 8:-8]
        assert off.max() == 0 if lens == "pinhole" else np.median(off) <= 2
        if lens == "pinhole":
            np.testing.assert_array_equal(mask, (raw.mask(f, 0) > 127) * np.uint8(255))


def test_only_wanted_frames_are_unpacked_and_only_once(tmp_path, fake_body, monkeypatch):
    raw = recording(6)
    writer.write(tmp_path / "take", raw, fake_body)
    source = read(tmp_path, fake_body, raw, frames="1-5:2")
    decoded = []
    frames = video.frames

    def counted(path, wanted):
        for number, pixels in frames(path, wanted):
            decoded.append(number)
            yield number, pixels

    monkeypatch.setattr(video, "frames", counted)
    views = source.unpack(tmp_path / "draft")
    assert decoded == [1, 3, 5] and [view.frame for view in views] == [0, 1, 2]
    for view, number in zip(views, (1, 3, 5), strict=True):
        np.testing.assert_array_equal(cv2.imread(str(view.image))[..., ::-1], raw.image(number, 0))
    views[1].image.unlink()
    assert source.unpack(tmp_path / "draft") == views
    assert decoded == [1, 3, 5, 3]
    film = tmp_path / "take/take.mp4"
    os.utime(film, (1, 1))
    source.unpack(tmp_path / "draft")
    assert decoded == [1, 3, 5, 3, 1, 3, 5]


def test_poses_are_upright_with_the_default_axes(tmp_path, fake_body):
    """A body that stands before an upright camera is upright, though the files are y down."""
    raw = recording(1)
    raw = replace(
        raw, poses=raw.poses.replaced(global_orient=torch.zeros(1, 3), transl=torch.zeros(1, 3))
    )
    writer.write(tmp_path / "take", raw, fake_body)
    with h5py.File(tmp_path / "take/reconstructed_poses.hdf5") as file:
        assert abs(abs(file["pose"][0, 0]) - np.pi) < 0.1
    joints = fake_body.joints(read(tmp_path, fake_body, raw).poses)[0]
    assert joints[15, 1] - joints[0, 1] > 0.3


def smpl_arrays(body, betas):
    """A file in SMPL's layout whose 24 joints are those of `body` with `betas`, reached by the SMPL shape (1, 0, ...)."""
    still = BodyParams.zeros(2)
    still.betas[1] = torch.as_tensor(betas)
    joints = body.joints(still)[:, :22].double().numpy()
    joints = np.concatenate([joints, joints[:, 20:22]], axis=1)
    shapes = np.zeros((24, 3, 10))
    shapes[..., 0] = joints[1] - joints[0]
    return {"v_template": joints[0], "shapedirs": shapes, "J_regressor": np.eye(24)}, joints[1]


def test_each_source_may_have_its_own_betas(tmp_path, fake_body):
    writer.write(tmp_path / "take", recording(1), fake_body)
    betas = {"take": [0.5] * 10, "other": [3.0] * 10}
    source = people_snapshot.read(demo.request(tmp_path, fake_body, betas=betas, smpl=None))
    assert source.poses.betas.tolist() == [[0.5] * 10]


def test_the_shape_comes_from_a_smpl_file(tmp_path, fake_body):
    raw = recording(2)
    writer.write(tmp_path / "take", raw, fake_body)
    wanted = np.array([1.5, -1, *[0] * 8], np.float32)
    arrays, joints = smpl_arrays(fake_body, wanted)
    np.savez(tmp_path / "SMPL_neutral.npz", **arrays)
    with h5py.File(tmp_path / "take/reconstructed_poses.hdf5", "a") as file:
        file["betas"][0] = 1.0
    source = people_snapshot.read(
        demo.request(tmp_path, fake_body, smpl=str(tmp_path / "SMPL_{gender}.npz"))
    )
    np.testing.assert_allclose(source.poses.betas[0, :2], wanted[:2], atol=0.05)
    np.testing.assert_allclose(
        rest_joints(tmp_path / "SMPL_neutral.npz", np.eye(10)[0]), joints, atol=1e-6
    )


def test_betas_of_the_consensus_are_taken_where_the_poses_have_none(tmp_path, fake_body):
    raw = recording(2)
    writer.write(tmp_path / "take", raw, fake_body)
    arrays, _ = smpl_arrays(fake_body, np.array([1.5, -1, *[0] * 8], np.float32))
    np.savez(tmp_path / "smpl.npz", **arrays)
    with h5py.File(tmp_path / "take/reconstructed_poses.hdf5", "a") as file:
        del file["betas"]
    (tmp_path / "take/consensus.pkl").write_bytes(
        pickle.dumps({"betas": np.eye(10)[0]}, protocol=2)
    )
    source = people_snapshot.read(
        demo.request(tmp_path, fake_body, smpl=str(tmp_path / "smpl.npz"))
    )
    assert source.poses.betas[0, 0] == pytest.approx(1.5, abs=0.05)
    assert source.inputs["smpl"] == tmp_path / "smpl.npz"
    assert source.inputs["shape"] == tmp_path / "take/consensus.pkl"


@pytest.fixture
def chumpy(monkeypatch):
    """A class that pickles as chumpy's does; chumpy itself need not be there."""
    module = ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.x = x

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return Ch


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_smpl_pickle_is_read_without_its_libraries(tmp_path, fake_body, chumpy, protocol):
    arrays, joints = smpl_arrays(fake_body, np.ones(10, np.float32))
    content = {
        "v_template": chumpy(arrays["v_template"]),
        "shapedirs": chumpy(arrays["shapedirs"]),
        "J_regressor": csc_matrix(arrays["J_regressor"]),
    }
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    sys.modules["chumpy.ch"].Ch = None
    np.testing.assert_allclose(rest_joints(tmp_path / "smpl.pkl", np.eye(10)[0]), joints, atol=1e-6)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch /tmp/owned",)


def pickled(name, content):
    return lambda folder: (folder / name).write_bytes(pickle.dumps(content, protocol=2))


def camera(**changes):
    def spoil(folder):
        content = pickle.loads((folder / "camera.pkl").read_bytes())
        content = {k: v for k, v in (content | changes).items() if v is not None}
        (folder / "camera.pkl").write_bytes(pickle.dumps(content, protocol=2))

    return spoil


def hdf5(name, key, change):
    def spoil(folder):
        with h5py.File(folder / name, "a") as file:
            array = change(file[key][()])
            del file[key]
            file[key] = array

    return spoil


def truncate(name, keep):
    def spoil(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])

    return spoil


def link_elsewhere(folder):
    with h5py.File(folder / "masks.hdf5", "a") as file:
        del file["masks"]
        file["masks"] = h5py.ExternalLink(str(folder / "reconstructed_poses.hdf5"), "pose")


def nan_pose(pose):
    pose[1, 5] = np.nan
    return pose


def longer(folder):
    for name, key in (
        ("reconstructed_poses.hdf5", "pose"),
        ("reconstructed_poses.hdf5", "trans"),
        ("masks.hdf5", "masks"),
    ):
        hdf5(name, key, lambda array: np.concatenate([array, array]))(folder)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (pickled("camera.pkl", {"camera_f": Hostile()}), "wants to run"),
        (pickled("camera.pkl", [1, 2]), "expected a dict"),
        (camera(camera_k=None), "camera_k missing"),
        (camera(camera_c=np.array([500.0, 500.0])), "another image size"),
        (camera(camera_f=np.array([np.nan, 1])), "camera_f holds 1 NaN"),
        (camera(width=48, height=40, camera_c=np.array([24.0, 20])), "masks of 96 x 80"),
        (hdf5("reconstructed_poses.hdf5", "pose", nan_pose), "pose holds NaN"),
        (hdf5("reconstructed_poses.hdf5", "pose", lambda x: x[:, :66]), r"pose has shape"),
        (hdf5("reconstructed_poses.hdf5", "trans", lambda x: x[:2]), "4 poses, but 2 translations"),
        (hdf5("masks.hdf5", "masks", lambda x: x[:3]), "3 masks for 4 poses"),
        (hdf5("masks.hdf5", "masks", lambda x: x * 0), "empty mask"),
        (longer, "ends after 4 frames"),
        (link_elsewhere, "no array"),
        (truncate("masks.hdf5", 0.5), "truncated or not HDF5"),
        (truncate("take.mp4", 0.3), "truncated or not a video"),
        (lambda folder: (folder / "take.mp4").unlink(), "take.mp4: no such file"),
        (lambda folder: (folder / "camera.pkl").unlink(), "camera.pkl: no such file"),
    ],
)
def test_a_bad_recording_is_named(tmp_path, fake_body, spoil, said):
    raw = recording()
    writer.write(tmp_path / "take", raw, fake_body)
    spoil(tmp_path / "take")
    with pytest.raises(InputError) as raised:
        demo.capture(read(tmp_path, fake_body, raw), tmp_path)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hands": "open"}, "option hands"),
        ({"betas": [1, 2]}, "betas has shape"),
        ({"smpl": "nowhere.npz"}, "nowhere.npz: no such file"),
    ],
)
def test_bad_options_are_named(tmp_path, fake_body, options, said):
    writer.write(tmp_path / "take", recording(1), fake_body)
    with pytest.raises(InputError) as raised:
        people_snapshot.read(demo.request(tmp_path, fake_body, **options))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "content", [{"v_template": np.zeros((5, 3))}, {"v_template": Hostile()}, [1]]
)
def test_what_is_no_smpl_file_is_named(tmp_path, content):
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=r"smpl\.pkl"):
        rest_joints(tmp_path / "smpl.pkl", np.zeros(10))
