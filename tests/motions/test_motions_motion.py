"""The container: saved and read again, moved, cut, and resampled against closed forms."""

from dataclasses import replace

import motions_writers as writers
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.params import BodyParams
from avatarpipe.errors import InputError
from avatarpipe.motions.interpolation import between_valid
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.read import read_motion


def spinning(rates: np.ndarray, fps: float, frames: int) -> Motion:
    """Joint j turns about a fixed axis by rates[j] (22, 3) radians a second; the body flies at 1, 2, 3 m/s."""
    seconds = torch.arange(frames)[:, None] / fps
    turns = torch.tensor(rates, dtype=torch.float32).reshape(1, -1) * seconds
    return Motion(
        fps,
        BodyParams.zeros(frames).replaced(
            global_orient=turns[:, :3],
            body_pose=turns[:, 3:],
            transl=seconds * torch.tensor([1.0, 2, 3]),
        ),
    )


def angles_apart(a: torch.Tensor, b: np.ndarray) -> float:
    pairs = zip(np.asarray(a).reshape(-1, 3), b.reshape(-1, 3), strict=True)
    return max(
        (Rotation.from_rotvec(x).inv() * Rotation.from_rotvec(y)).magnitude() for x, y in pairs
    )


def test_what_is_saved_is_read(filmed, tmp_path):
    saved = replace(filmed, gender="male", valid=np.array([1, 1, 0, 1, 1], bool))
    saved.save(tmp_path / "m.npz")
    for found in (Motion.load(tmp_path / "m.npz"), read_motion(tmp_path / "m.npz")):
        for name, value in saved.poses.items():
            assert torch.equal(getattr(found.poses, name), value), name
        assert (found.fps, found.gender) == (saved.fps, "male")
        assert (found.valid == saved.valid).all()
        assert np.array_equal(found.K, saved.K) and np.array_equal(found.w2c, saved.w2c)


def test_the_file_is_plain_arrays_under_the_agreed_names(filmed, tmp_path):
    filmed.save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as archive:
        found = {name: archive[name] for name in archive.files}
    assert found["betas"].shape == (10,) and found["cam_K"].shape == (1, 3, 3)
    assert found["cam_w2c"].shape == (5, 4, 4) and found["valid"].dtype == bool
    labels = {
        name: found[name].item()
        for name in ("up", "unit", "body_model", "flat_hand_mean", "format_version")
    }
    assert labels == {
        "up": "y",
        "unit": "m",
        "body_model": "smplx",
        "flat_hand_mean": True,
        "format_version": 1,
    }


def test_a_turned_world_turns_every_vertex(filmed, fake_body):
    """The trap of rotating transl alone: with shape and J0, vertices must be R V + t, and stay in the same pixels."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec([0.4, -1.2, 0.7]).as_matrix()
    matrix[:3, 3] = [0.3, -2.0, 5.0]
    before = fake_body.vertices(filmed.poses).double().numpy()
    found = filmed.rotated(matrix, fake_body)
    after = fake_body.vertices(found.poses).double().numpy()
    assert np.abs(after - (before @ matrix[:3, :3].T + matrix[:3, 3])).max() < 1e-5
    seen = np.einsum("fij,fvj->fvi", filmed.w2c[:, :3, :3], before) + filmed.w2c[:, None, :3, 3]
    again = np.einsum("fij,fvj->fvi", found.w2c[:, :3, :3], after) + found.w2c[:, None, :3, 3]
    assert np.abs(seen - again).max() < 1e-5
    alone = filmed.poses.transl.double().numpy() @ matrix[:3, :3].T + matrix[:3, 3]
    assert np.abs(alone - found.poses.transl.numpy()).max() > 0.1  # what the naive rule is off by


def test_another_shape_keeps_the_pelvis(motion, fake_body):
    other = motion.shaped(np.array([2.0, *[0.0] * 9]), fake_body)
    before, after = (fake_body.joints(m.poses)[:, 0] for m in (motion, other))
    assert torch.allclose(before, after, atol=1e-5) and other.poses.betas[3, 0] == 2.0


def test_grounded_puts_the_lowest_valid_vertex_on_the_floor(motion, fake_body):
    poses = motion.poses.replaced(
        transl=motion.poses.transl + torch.tensor([[0.0, 0, 0]] * 4 + [[0, -5.0, 0]])
    )
    found = replace(motion, poses=poses, valid=np.array([1, 1, 1, 1, 0], bool)).grounded(fake_body)
    assert abs(float(fake_body.vertices(found.poses[[0, 1, 2, 3]])[..., 1].min())) < 1e-5


@pytest.mark.parametrize(
    ("fps", "target"), [(60.0, 25.0), (30.0, 120.0), (120.00004, 30.0), (30.0, 30.0)]
)
def test_resampling_follows_the_arc_and_not_the_nearest_frame(fps, target):
    rates = np.random.default_rng(0).normal(0, 1.0, (22, 3))
    found = spinning(rates, fps, 31).resampled(target)
    assert len(found) == int(30 / fps * target + 1e-6) + 1
    times = np.arange(len(found)) / target
    joints = torch.cat([found.poses.global_orient, found.poses.body_pose], dim=1)
    assert angles_apart(joints, times[:, None] * rates.reshape(1, -1)) < 1e-4
    assert np.allclose(found.poses.transl, times[:, None] * [1.0, 2, 3], atol=1e-5)


def test_resampling_takes_the_short_way_round():
    """170 degrees to -170: 20 degrees apart, through 180, though the numbers jump by 340."""
    poses = BodyParams.zeros(2)
    poses.global_orient[:, 1] = torch.tensor(np.radians([170.0, -170.0]))
    found = Motion(1.0, poses).resampled(2.0).poses.global_orient[1]
    assert np.isclose(np.linalg.norm(found), np.pi, atol=1e-4)


def test_frames_that_are_not_valid_do_not_count():
    clean = spinning(np.full((22, 3), 0.5), 10.0, 9)
    spoiled = clean.poses.replaced(
        transl=clean.poses.transl.clone(), body_pose=clean.poses.body_pose.clone()
    )
    spoiled.transl[4] = 1000.0
    spoiled.body_pose[4] += 2.0
    valid = np.arange(9) != 4
    found = Motion(10.0, spoiled, valid=valid).resampled(20.0)
    assert np.allclose(found.poses.transl, clean.resampled(20.0).poses.transl, atol=1e-5)
    assert np.flatnonzero(~found.valid).tolist() == [7, 8, 9]  # at and beside 0.4 s
    filled = Motion(10.0, spoiled, valid=valid).filled()
    assert np.allclose(filled.poses.body_pose, clean.poses.body_pose, atol=1e-5)
    assert filled.valid.tolist() == valid.tolist()
    with pytest.raises(InputError, match="valid frame"):
        Motion(10.0, spoiled, valid=np.zeros(9, bool)).filled()


def test_between_valid_looks_at_both_neighbours():
    valid = np.array([True, False, True, True])
    assert between_valid(valid, np.array([0, 0.5, 1, 1.5, 2, 2.5, 3])).tolist() == [
        1,
        0,
        0,
        0,
        1,
        1,
        1,
    ]


def test_cameras_are_resampled_on_their_way(filmed):
    found = filmed.resampled(60.0)
    centres = -np.einsum("kji,kj->ki", found.w2c[:, :3, :3], found.w2c[:, :3, 3])
    assert np.allclose(found.w2c[::2], filmed.w2c, atol=1e-9)
    assert np.allclose(centres[1], (centres[0] + centres[2]) / 2)
    assert np.allclose(found.w2c[:, :3, :3] @ found.w2c[:, :3, :3].transpose(0, 2, 1), np.eye(3))


def test_cut_keeps_what_belongs_together(filmed):
    found = filmed.cut(1, -1)
    assert torch.equal(found.poses.transl, filmed.poses.transl[1:4]) and len(found.valid) == 3
    assert np.array_equal(found.w2c, filmed.w2c[1:4])
    with pytest.raises(InputError, match="9:None of a motion of 5 frames"):
        filmed.cut(9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fps": 0.0}, "fps is 0"),
        ({"fps": np.nan}, "fps holds 1 NaN"),
        ({"up": "z"}, "up is 'z', expected 'y'"),
        ({"unit": "cm"}, "unit is 'cm'"),
        ({"flat_hand_mean": False}, "flat_hand_mean is false"),
        ({"format_version": 7}, "format_version 7"),
        ({"gender": "robot"}, "gender 'robot'"),
        ({"body_pose": np.zeros((5, 69))}, r"body_pose has shape \(5, 69\)"),
        ({"valid": np.ones(4)}, "valid has shape"),
        ({"cam_K": np.zeros((3, 3, 3))}, "must have 1 or 5 rows"),
        ({"transl": None}, "transl is missing"),
    ],
)
def test_a_container_that_is_none_is_named(change, says, motion, tmp_path):
    path = tmp_path / "m.npz"
    motion.save(path)
    arrays = dict(np.load(path)) | change
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=rf"m\.npz: .*{says}"):
        Motion.load(path)


def test_impossible_motions_are_refused(motion):
    for wrong in ({"fps": 0.0}, {"valid": np.ones(3)}, {"K": np.zeros((2, 3, 3))}):
        with pytest.raises(ValueError, match="one length"):
            replace(motion, **wrong)


def test_hands_agree_with_smplx_itself(fake_body, fake_body_file, tmp_path):
    """Each source's own smplx model, its own numbers: flat_hand_mean=False adds the mean, full data already hold it."""
    import smplx

    motion = writers.sample_motion(fake_body, pca=True)
    a = {name: torch.tensor(value).float() for name, value in writers.numbers(motion).items()}
    for write, name, flat, pca in [
        (writers.show_pkl, "a.pkl", False, True), (writers.talkshow_265, "b.npy", False, False),
        (writers.motionx_322, "c.npy", True, False),
    ]:  # fmt: skip
        found = read_motion(write(tmp_path / name, motion, fake_body), body=fake_body)
        model = smplx.SMPLX(
            str(fake_body_file), use_pca=pca, num_pca_comps=12, flat_hand_mean=flat, num_betas=10,
            num_expression_coeffs=10, batch_size=5,
        )  # fmt: skip
        hands = {}
        for side in ("left", "right"):
            components, mean = fake_body.hand_pca(side)
            raw = a[f"{side}_hand_pose"].numpy() - (0 if flat else mean)
            hands[f"{side}_hand_pose"] = torch.tensor(
                raw @ np.linalg.pinv(components[:12]) if pca else raw
            ).float()
        others = {key: value for key, value in found.poses.items() if "hand" not in key}
        wanted = model(**others | hands).vertices
        assert torch.allclose(fake_body.vertices(found.poses), wanted, atol=1e-4), name
