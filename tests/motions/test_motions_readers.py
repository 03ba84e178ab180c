"""Round trips: what a format's makers write is read back as the same posed vertices, cameras included."""

from types import SimpleNamespace

import motions_writers as writers
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.errors import InputError
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.read import read_motion


def furthest(body, found: Motion, wanted: Motion) -> float:
    """Metres between two motions at the vertex where they differ most."""
    assert len(found) == len(wanted)
    return float((body.vertices(found.poses) - body.vertices(wanted.poses)).norm(dim=-1).max())


@pytest.mark.parametrize(
    ("write", "name", "absent"),
    [
        (writers.amass_smplx, "x_stageii.npz", ("expression",)),
        (writers.motionx_322, "x.npy", ("leye_pose", "reye_pose")),
        (writers.motionx_local, "x.json", ("leye_pose", "reye_pose")),
        (writers.show_pkl, "x.pkl", ()),
    ],
)
def test_smplx_formats_keep_vertices_to_a_tenth_of_a_millimetre(
    write, name, absent, fake_body, tmp_path
):
    motion = writers.sample_motion(fake_body, pca=True)
    found = read_motion(write(tmp_path / name, motion, fake_body), body=fake_body)
    at_rest = {name: getattr(motion.poses, name) * 0 for name in absent}
    wanted = Motion(30.0, motion.poses.replaced(**at_rest))
    assert furthest(fake_body, found, wanted) < 1e-4
    assert found.fps == 30.0 and found.valid.all()
    for name in ("left_hand_pose", "right_hand_pose", "betas", "expression"):
        assert np.allclose(getattr(found.poses, name), getattr(wanted.poses, name), atol=1e-5), name


def test_smpl_params_keep_everything_but_eyes(motion, fake_body, tmp_path):
    found = read_motion(
        writers.smpl_params(tmp_path / "smpl_params.npz", motion, fake_body), body=fake_body
    )
    for name, value in motion.poses.items():
        wanted = value * 0 if "eye" in name else value
        assert np.allclose(getattr(found.poses, name), wanted, atol=1e-6), name


def test_global_motionx_keeps_its_cameras(filmed, fake_body, tmp_path):
    found = read_motion(
        writers.motionx_global(tmp_path / "x.json", filmed, fake_body), body=fake_body
    )
    still = filmed.poses.leye_pose * 0
    wanted = Motion(30.0, filmed.poses.replaced(leye_pose=still, reye_pose=still))
    assert furthest(fake_body, found, wanted) < 1e-4
    assert np.allclose(found.w2c, filmed.w2c) and np.allclose(found.K, filmed.K)


def test_local_motionx_projects_where_its_own_camera_saw_it(motion, fake_body, tmp_path):
    """The raw numbers through the raw camera, and ours through ours, meet in the same pixels."""
    path = writers.motionx_local(tmp_path / "x.json", motion, fake_body)
    found = read_motion(path, body=fake_body)
    orient, transl = writers.turned(motion, fake_body, writers.FLIP)
    raw = Motion(30.0, motion.poses.replaced(global_orient=_float(orient), transl=_float(transl)))
    in_camera = fake_body.vertices(raw.poses).numpy()[:, ::40]
    ours = fake_body.vertices(found.poses).numpy()[:, ::40]
    again = np.einsum("fij,fvj->fvi", found.w2c[:, :3, :3], ours) + found.w2c[:, None, :3, 3]
    assert np.abs(again - in_camera).max() < 1e-4
    assert np.allclose(found.K[2], [[2500.0, 0, 102 + 48], [0, 5000.0, 50 + 128], [0, 0, 1]])


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float32)


def test_the_265_vector_has_hands_without_their_mean_and_no_place(motion, fake_body, tmp_path):
    for flipped in (False, True):
        path = writers.talkshow_265(tmp_path / f"{flipped}.npy", motion, fake_body, flipped)
        found = read_motion(path, body=fake_body).poses
        for name, value in motion.poses.items():
            wanted = value * 0 if name in ("betas", "transl") else value
            assert np.allclose(getattr(found, name), wanted, atol=1e-5), name


def test_smplh_of_amass_keeps_its_hands_and_pelvis(motion, fake_body, tmp_path):
    found = read_motion(
        writers.amass_smplh(tmp_path / "x_poses.npz", motion, fake_body), body=fake_body
    )
    wanted = writers.bare(motion, fake_body)
    hands = {name: getattr(motion.poses, name) for name in ("left_hand_pose", "right_hand_pose")}
    assert furthest(fake_body, found, Motion(30.0, wanted.poses.replaced(**hands))) < 1e-4
    assert found.gender == "female"


@pytest.mark.parametrize("gender", ["male", b"male", ["male"], "M"])
def test_amass_writes_its_gender_in_many_ways(gender, motion, fake_body, tmp_path):
    path = writers.amass_smplh(tmp_path / "x.npz", motion, fake_body, gender)
    assert read_motion(path, body=fake_body).gender == "male"


@pytest.mark.parametrize("shape3d", [False, True])
@pytest.mark.parametrize("hands", ["relaxed", "flat"])
def test_aist_is_smpl_in_other_units(shape3d, hands, motion, fake_body, tmp_path):
    path = writers.aist(tmp_path / "g.pkl", motion, fake_body, shape3d)
    found = read_motion(path, body=fake_body, hands=hands)
    assert furthest(fake_body, found, writers.bare(motion, fake_body, hands)) < 1e-4
    assert (found.fps, found.gender) == (60.0, "male")


def test_3dpw_gives_either_person_and_the_camera(filmed, fake_body, tmp_path):
    other = writers.sample_motion(fake_body, seed=1)
    valid = np.array([True, True, False, True, True])
    path = writers.threedpw(tmp_path / "x.pkl", [filmed, other], fake_body, valid)
    for person, (wanted, gender) in enumerate([(filmed, "male"), (other, "female")]):
        found = read_motion(path, body=fake_body, person=person)
        assert furthest(fake_body, found, writers.bare(wanted, fake_body)) < 1e-4
        assert found.gender == gender and (found.valid == valid).all()
        assert np.allclose(found.w2c, filmed.w2c) and np.allclose(found.K, filmed.K)
    with pytest.raises(InputError, match=r"person 2 of 2\. Give person 0 to 1"):
        read_motion(path, body=fake_body, person=2)


def test_tram_lands_in_the_world_and_keeps_its_holes(filmed, fake_body, tmp_path):
    images = np.array([1, 2, 5])
    cameras = np.concatenate([filmed.w2c, filmed.w2c[-2:]])
    moved = SimpleNamespace(poses=filmed.poses, w2c=cameras)
    track = writers.tram(tmp_path / "seq", moved, fake_body, images, 7)
    for path in (track, tmp_path / "seq"):
        found = read_motion(path, body=fake_body)
        assert len(found) == 5 and found.valid.tolist() == [True, True, False, False, True]
        seen = Motion(30.0, found.poses[[0, 1, 4]])
        assert furthest(fake_body, seen, writers.bare(filmed.cut(0, 3), fake_body)) < 1e-4
        assert np.allclose(found.w2c, cameras[1:6], atol=1e-5)
        assert np.allclose(found.K[0], [[700, 0, 320], [0, 700, 180], [0, 0, 1]])
    turns = Rotation.from_rotvec(found.poses.global_orient.numpy())
    third = (turns[1].inv() * turns[4]).magnitude() / 3
    assert np.isclose((turns[1].inv() * turns[2]).magnitude(), third, atol=1e-4)


def test_tram_without_cameras_is_the_cameras_frame_turned_upright(motion, fake_body, tmp_path):
    track = writers.tram(tmp_path / "seq", motion, fake_body, np.arange(5), 5, camera=False)
    found = read_motion(track, body=fake_body)
    assert furthest(fake_body, found, writers.bare(motion, fake_body)) < 1e-4 and found.w2c is None


def test_options_overrule_rate_and_axis(motion, fake_body, tmp_path):
    path = writers.motionx_322(tmp_path / "x.npy", motion, fake_body)
    plain = read_motion(path, body=fake_body)
    turned = read_motion(path, body=fake_body, fps=24.0, up="-y")
    assert turned.fps == 24.0
    wanted = fake_body.vertices(plain.poses).numpy() @ writers.FLIP
    assert np.abs(fake_body.vertices(turned.poses).numpy() - wanted).max() < 1e-4
