import fake_subject
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.params import BodyParams
from avatarpipe.capture.normalization import heading, moved_poses, normalizing_transform


@pytest.fixture
def poses(fake_body):
    fits = [fake_subject.raw_fit(seed) for seed in (0, 1)]
    parts = [dict(fake_subject.decoded(fit, fake_body).items()) for fit in fits]
    return BodyParams(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def rigid(rotvec, translation):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(rotvec).as_matrix(), translation
    return matrix


@pytest.mark.parametrize("rotvec", [(0, 0, 0), (0, 2.5, 0), (0.4, -1.0, 3.0)])
def test_moved_poses_move_every_vertex_by_the_matrix(fake_body, poses, rotvec):
    matrix = rigid(rotvec, [0.5, -1, 2])
    expected = fake_body.vertices(poses).double().numpy() @ matrix[:3, :3].T + matrix[:3, 3]
    found = fake_body.vertices(moved_poses(fake_body, poses, matrix)).double().numpy()
    assert np.abs(found - expected).max() < 2e-6


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.0, 3.1])
def test_heading_is_the_yaw_of_the_root(yaw):
    lean = Rotation.from_rotvec([0.3, 0, 0])
    root = (Rotation.from_rotvec([0, yaw, 0]) * lean).as_rotvec()
    params = BodyParams.zeros().replaced(global_orient=torch.tensor(root[None]).float())
    assert np.isclose(heading(params), yaw, atol=1e-6)


def test_the_first_body_faces_front_at_the_standard_place(fake_body, poses):
    matrix = normalizing_transform(fake_body, poses)
    moved = moved_poses(fake_body, poses, matrix)
    assert abs(heading(moved)) < 1e-6
    assert np.allclose(moved.transl[0], [0, 0.4, 0], atol=1e-6)
    vertices = fake_body.vertices(moved)[0]
    assert vertices.abs().max() < 1
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3)) and np.isclose(
        np.linalg.det(matrix), 1
    )


def test_a_body_that_would_leave_the_cube_is_brought_back(fake_body):
    still = BodyParams.zeros()
    still.body_pose[0, [15 * 3 + 2, 16 * 3 + 2]] = torch.tensor([1.1, -1.1])  # arms up
    moved = moved_poses(fake_body, still, normalizing_transform(fake_body, still))
    vertices = fake_body.vertices(moved)[0]
    assert np.isclose(vertices[:, 1].max(), 1, atol=1e-5) and vertices[:, 1].min() > -1
