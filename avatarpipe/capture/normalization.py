"""Where every subject stands: facing +Z, the root translation at (0, 0.4, 0), so that the body fills [-1, 1]^3."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams

# Lifts a body whose pelvis rests at about -0.4 m so that feet and head both stay inside the cube (LayerGS, 1.3).
STANDARD_TRANSL = np.array([0.0, 0.4, 0.0])


def heading(poses: BodyParams) -> float:
    """Yaw in radians about +Y by which the first body is turned away from +Z."""
    forward = Rotation.from_rotvec(_root(poses)[0]).apply([0.0, 0.0, 1.0])
    return float(np.arctan2(forward[0], forward[2]))


def normalizing_transform(body: Body, poses: BodyParams) -> np.ndarray:
    """(4, 4) rigid transform of the world that turns the first body to +Z and brings its root to its place.

    smplx turns a body about its rest pelvis J0(betas), then adds transl, so x' = R (x - J0 - transl) + J0 + transl'.
    Where the body would leave [-1, 1]^3 (a raised arm, a jump) it is moved by no more than it takes to bring it back.
    """
    matrix = _about_pelvis(body, poses)
    vertices = body.vertices(poses[0])[0].double().cpu().numpy()
    matrix[:3, 3] += _into_cube(vertices @ matrix[:3, :3].T + matrix[:3, 3])
    return matrix


def _about_pelvis(body: Body, poses: BodyParams) -> np.ndarray:
    pelvis = rest_pelvis(body, poses)[0]
    rotation = Rotation.from_rotvec([0.0, -heading(poses), 0.0]).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    old = pelvis + poses.transl[0].double().numpy()
    matrix[:3, 3] = pelvis + STANDARD_TRANSL - rotation @ old
    return matrix


def _into_cube(vertices: np.ndarray) -> np.ndarray:
    """(3,) the smallest shift that brings the points into [-1, 1]^3, or centres them along an axis where they are longer."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    shift = np.where(high > 1.0, 1.0 - high, np.where(low < -1.0, -1.0 - low, 0.0))
    return np.where(high - low > 2.0, -(low + high) / 2, shift)


def rest_pelvis(body: Body, poses: BodyParams) -> np.ndarray:
    """(B, 3) J0: the pelvis of each shape in T-pose at the origin, where smplx turns the body."""
    still = BodyParams.zeros(len(poses)).replaced(betas=poses.betas, expression=poses.expression)
    return body.joints(still)[:, 0].double().cpu().numpy()


def moved_poses(body: Body, poses: BodyParams, matrix: np.ndarray) -> BodyParams:
    """The bodies after the rigid `matrix` (4, 4) moved the world: root' = R root, transl' = R (J0 + transl) - J0 + t."""
    rotation, translation = matrix[:3, :3], matrix[:3, 3]
    pelvis = rest_pelvis(body, poses)
    root = Rotation.from_matrix(rotation) * Rotation.from_rotvec(_root(poses))
    transl = (pelvis + poses.transl.double().numpy()) @ rotation.T - pelvis + translation
    return poses.replaced(
        global_orient=torch.from_numpy(root.as_rotvec()).float(),
        transl=torch.from_numpy(transl).float(),
    )


def _root(poses: BodyParams) -> np.ndarray:
    return poses.global_orient.double().cpu().numpy()
