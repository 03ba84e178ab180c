"""Files that are broken, hostile or of no known kind: one clear error each, and nothing of theirs runs."""

import json
import os
import pickle

import motions_writers as writers
import numpy as np
import pytest
import torch

from avatarpipe.errors import InputError
from avatarpipe.motions.read import READERS, read_motion


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def hostile_storage(marker) -> object:
    """What torch.storage._load_from_bytes would unpickle without asking."""

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (pickle.dumps(Bomb(marker), protocol=2),)

    return Storage()


@pytest.mark.parametrize("name", ["x.pkl", "x.npy"])
@pytest.mark.parametrize("make", [Bomb, hostile_storage])
def test_a_hostile_pickle_never_runs(name, make, fake_body, tmp_path):
    content = {"pred_rotmat": make(tmp_path / "pwned"), "pred_trans": 0, "frame": 0}
    if name.endswith("npy"):
        np.save(tmp_path / name, content, allow_pickle=True)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=rf"{name}: "):
        read_motion(tmp_path / name, body=fake_body)
    assert not (tmp_path / "pwned").exists()


def test_a_hostile_camera_beside_a_track_never_runs(motion, fake_body, tmp_path):
    track = writers.tram(tmp_path / "s", motion, fake_body, np.arange(5), 5, camera=False)
    np.save(
        tmp_path / "s" / "camera.npy", {"world_cam_R": Bomb(tmp_path / "pwned")}, allow_pickle=True
    )
    with pytest.raises(InputError, match=r"camera\.npy: this pickle wants to run"):
        read_motion(track, body=fake_body)
    assert not (tmp_path / "pwned").exists()


WRITTEN = {
    "a.npz": writers.amass_smplx, "b.npy": writers.motionx_322, "c.json": writers.motionx_local,
    "d.pkl": writers.show_pkl, "e.pkl": writers.aist,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_file_is_named(name, share, motion, fake_body, tmp_path):
    path = WRITTEN[name](tmp_path / name, motion, fake_body)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=name):
        read_motion(path, body=fake_body)


def test_nan_is_counted(motion, fake_body, tmp_path):
    path = writers.motionx_322(tmp_path / "x.npy", motion, fake_body)
    rows = np.load(path)
    rows[2, 5:8] = np.nan
    np.save(path, rows)
    with pytest.raises(InputError, match=r"x\.npy: the array holds 3 NaN"):
        read_motion(path, body=fake_body)


def change_npz(path, **changes):
    arrays = {
        name: array
        for name, array in np.load(path, allow_pickle=True).items()
        if array.dtype != object
    }
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"poses": np.zeros((5, 72))}, "poses has 72 columns, expected 156"),
        ({"trans": np.zeros((4, 3))}, r"trans has shape \(4, 3\), expected \(5, 3\)"),
        ({"trans": None}, "trans is missing"),
        ({"mocap_frame_rate": 0.0}, "mocap_frame_rate is 0"),
        ({"gender": "unknown"}, "gender 'unknown'"),
        ({"poses": np.full((5, 165), "a")}, "poses is not an array of numbers"),
    ],
)
def test_bad_amass_is_named(changes, says, motion, fake_body, tmp_path):
    path = writers.amass_smplx(tmp_path / "x.npz", motion, fake_body)
    change_npz(path, **changes)
    with pytest.raises(InputError, match=rf"x\.npz: {says}"):
        read_motion(path, body=fake_body)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"smpl_scaling": np.array([0.0])}, "smpl_scaling is 0"),
        ({"smpl_poses": np.zeros((5, 71))}, r"smpl_poses has shape \(5, 71\)"),
        ({"smpl_trans": np.zeros((4, 3))}, "smpl_trans has shape"),
        ({"smpl_poses": [1, [2, 3]]}, "smpl_poses is not an array of numbers"),
    ],
)
def test_bad_aist_is_named(changes, says, motion, fake_body, tmp_path):
    path = writers.aist(tmp_path / "x.pkl", motion, fake_body)
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | changes))
    with pytest.raises(InputError, match=rf"x\.pkl: {says}"):
        read_motion(path, body=fake_body)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda d: d["annotations"][0].update(image_id=0), "one different whole number a frame"),
        (lambda d: d["annotations"][0].pop("smplx_params"), "annotation 4 has no smplx_params"),
        (
            lambda d: d["annotations"][0]["smplx_params"].pop("lhand_pose"),
            "annotation 4.*lhand_pose is missing",
        ),
        (
            lambda d: d["annotations"][0]["smplx_params"].update(body_pose=[0.0] * 60),
            r"shape \(60,\)",
        ),
        (lambda d: d.update(annotations=[]), "annotations is no list"),
    ],
)
def test_bad_json_is_named(edit, says, motion, fake_body, tmp_path):
    path = writers.motionx_local(tmp_path / "x.json", motion, fake_body)
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=rf"x\.json: .*{says}"):
        read_motion(path, body=fake_body)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"frame": torch.tensor([0, 1, 1, 2, 3])}, "frame is not an increasing list"),
        (
            {"frame": torch.tensor([0, 1, 2, 3, 9])},
            r"cameras of 5 images, but the track has image 9",
        ),
        ({"pred_rotmat": 2 * torch.eye(3).expand(5, 24, 3, 3)}, "no rotations"),
        ({"pred_trans": torch.zeros(4, 1, 3)}, "pred_trans has shape"),
    ],
)
def test_bad_tram_is_named(changes, says, filmed, fake_body, tmp_path):
    path = writers.tram(tmp_path / "s", filmed, fake_body, np.arange(5), 5)
    content = np.load(path, allow_pickle=True).item() | changes
    np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=says):
        read_motion(path, body=fake_body)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.npz", {"a": np.zeros(3)}),
        ("x.npy", np.zeros((4, 100))),
        ("x.json", {"b": 1}),
        ("x.pkl", [1, 2]),
    ],
)
def test_an_unknown_format_lists_what_was_tried(name, content, fake_body, tmp_path):
    path = tmp_path / name
    match name[2:]:
        case "npz":
            np.savez(path, **content)
        case "npy":
            np.save(path, content)
        case "json":
            path.write_text(json.dumps(content))
        case _:
            path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=r"no known motion format") as caught:
        read_motion(path, body=fake_body)
    assert all(f"{reader}: " in str(caught.value) for reader in READERS)


@pytest.mark.parametrize(("start", "says"), [(b"HIERARCHY\nROOT Hips\n", "a BVH file"), (b"Kaydara FBX Binary  ", "an FBX file")])
def test_a_file_with_a_skeleton_of_its_own_is_told_from_a_broken_pickle(start, says, fake_body, tmp_path):
    (tmp_path / "walk.bvh").write_bytes(start)
    with pytest.raises(InputError, match=rf"walk\.bvh: {says}, .* retarget it to SMPL-X"):
        read_motion(tmp_path / "walk.bvh", body=fake_body)


@pytest.mark.parametrize("format", [name for name in READERS if name != "motionx"])
@pytest.mark.parametrize("written", ["b.npy", "c.json", "e.pkl"])
def test_a_wrong_format_is_one_clear_error(format, written, motion, fake_body, tmp_path):
    path = WRITTEN[written](tmp_path / written, motion, fake_body)
    if (format, written) in {("motionx-json", "c.json"), ("aist", "e.pkl")}:
        assert len(read_motion(path, format, fake_body)) == 5
        return
    with pytest.raises(InputError, match=written):
        read_motion(path, format, fake_body)


def test_other_mistakes_are_named(motion, fake_body, tmp_path):
    path = writers.motionx_322(tmp_path / "x.npy", motion, fake_body)
    with pytest.raises(InputError, match="needs a body"):
        read_motion(path)
    with pytest.raises(InputError, match="motion format 'bvh': use one of auto, neutral"):
        read_motion(path, "bvh", fake_body)
    with pytest.raises(InputError, match="fps -3"):
        read_motion(path, body=fake_body, fps=-3.0)
    with pytest.raises(InputError, match="no such file"):
        read_motion(tmp_path / "absent.npz", body=fake_body)
    with pytest.raises(InputError, match=r"no hps/hps_track_2\.npy"):
        read_motion(tmp_path, body=fake_body, person=2)
