"""SMPL poses on the SMPL-X layout, against a naive forward kinematics of SMPL's own skeleton."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.params import BodyParams
from avatarpipe.body.smpl import (
    SMPL_REST_PELVIS,
    rest_pelvis_of,
    shape_of_joints,
    smpl_to_smplx,
)


def smpl_source(count: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "global_orient": rng.normal(size=(count, 3)),
        "body_pose": rng.normal(0, 0.3, (count, 69)),
        "transl": rng.normal(size=(count, 3)),
    }


def posed_joints(rest, parents, orient, pose, transl) -> np.ndarray:
    """(22, 3) joints of a skeleton posed as SMPL does: turned about its own rest pelvis, then moved."""
    rotations, places = [Rotation.from_rotvec(orient)], [rest[0] + transl]
    for joint in range(1, 22):
        above, parent = rotations[parents[joint]], parents[joint]
        places.append(places[parent] + above.apply(rest[joint] - rest[parent]))
        rotations.append(above * Rotation.from_rotvec(pose[3 * joint - 3 : 3 * joint]))
    return np.stack(places)


def test_joints_are_where_an_smpl_of_the_same_skeleton_has_them(fake_body):
    """An SMPL with the body's bones but its pelvis elsewhere, as SMPL's is: only its J0 tells the two apart."""
    source = smpl_source()
    shift = SMPL_REST_PELVIS - fake_body.rest_joints()[0]
    smpl_rest = fake_body.rest_joints()[:22] + shift
    params = smpl_to_smplx(**source, betas=None, body=fake_body, rest_pelvis=smpl_rest[0])
    ours = fake_body.joints(params)[:, :22].numpy()
    for k in range(3):
        orient, pose, transl = (source[name][k] for name in source)
        wanted = posed_joints(smpl_rest, fake_body.parents, orient, pose, transl)
        assert np.abs(ours[k] - wanted).max() < 1e-5


def test_without_a_rest_pelvis_transl_is_kept(fake_body):
    source = smpl_source()
    params = smpl_to_smplx(**source, betas=None, body=fake_body)
    assert np.allclose(params.transl, source["transl"], atol=1e-6)


def test_hand_stubs_are_dropped_and_63_columns_pass(fake_body):
    source = smpl_source()
    long = smpl_to_smplx(**source, betas=None, body=fake_body)
    short = smpl_to_smplx(
        **source | {"body_pose": source["body_pose"][:, :63]}, betas=None, body=fake_body
    )
    assert long.body_pose.shape == (3, 63) and torch.equal(long.body_pose, short.body_pose)


def test_hands_are_the_bodys_mean_or_flat(fake_body):
    relaxed = smpl_to_smplx(**smpl_source(), betas=None, body=fake_body)
    flat = smpl_to_smplx(**smpl_source(), betas=None, body=fake_body, hands="flat")
    for side in ("left", "right"):
        mean = fake_body.hand_pca(side)[1]
        assert np.allclose(getattr(relaxed, f"{side}_hand_pose"), np.tile(mean, (3, 1)), atol=1e-6)
        assert not getattr(flat, f"{side}_hand_pose").any()
    with pytest.raises(ValueError, match="relaxed or flat"):
        smpl_to_smplx(**smpl_source(), betas=None, body=fake_body, hands="loose")


def test_the_pelvis_follows_the_shape(fake_body):
    betas = np.zeros((3, 10))
    betas[1, 0] = 2.0
    source = smpl_source()
    params = smpl_to_smplx(**source, betas=betas, body=fake_body, rest_pelvis=SMPL_REST_PELVIS)
    pelvis = fake_body.joints(params)[:, 0].numpy()
    assert np.allclose(pelvis, SMPL_REST_PELVIS + source["transl"], atol=1e-5)
    J0 = rest_pelvis_of(fake_body, betas)
    assert np.abs(J0[0] - J0[1]).max() > 1e-3 and np.allclose(J0[0], J0[2])


def test_many_shapes_have_the_pelvis_of_each(fake_body):
    betas = np.random.default_rng(0).normal(size=(20, 10))
    one_by_one = [rest_pelvis_of(fake_body, row[None])[0] for row in betas]
    assert np.allclose(rest_pelvis_of(fake_body, betas), one_by_one, atol=1e-6)


def test_shape_is_found_again_from_joints(fake_body):
    betas = np.zeros(10)
    betas[:2] = [1.5, -2.0]  # the fake body has two shape directions
    shaped = BodyParams.zeros().replaced(betas=torch.tensor(betas[None], dtype=torch.float32))
    rest = np.add(fake_body.joints(shaped)[0, :24].numpy(), [0.0, 0.13, 0.02])
    assert np.allclose(shape_of_joints(rest, fake_body)[:2], betas[:2], atol=0.05)


def test_wrong_widths_are_refused(fake_body):
    source = smpl_source()
    with pytest.raises(ValueError, match=r"\(B, 69\)"):
        smpl_to_smplx(
            source["global_orient"], source["body_pose"][:, :60], source["transl"], None, fake_body
        )
    with pytest.raises(ValueError, match="rest joints"):
        shape_of_joints(np.zeros((22, 3)), fake_body)
