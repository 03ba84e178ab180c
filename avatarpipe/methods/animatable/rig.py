"""The skeleton of the subject: how a pose moves each bone out of the canonical pose."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams

HEAD = slice(66, 75)  # of the 165 numbers of a pose: jaw and eyes
BODY = slice(3, 66)  # what the networks see
_HIPS = 5, 8  # turn of left and right hip about z


def big_pose(betas: torch.Tensor, legs_apart_deg: float = 25.0) -> BodyParams:
    """The canonical pose of animatable avatars: the subject's own shape (10,), arms level, legs apart, at the origin."""
    params = BodyParams.zeros().replaced(betas=betas.detach().cpu().reshape(1, 10).float())
    angle = np.radians(legs_apart_deg)
    params.body_pose[0, _HIPS[0] - 3], params.body_pose[0, _HIPS[1] - 3] = angle, -angle
    return params


@dataclass(frozen=True)
class Rig:
    """Joints of the subject's shape in T-pose, and the canonical pose that bones are measured from."""

    joints: np.ndarray  # (55, 3) float64, metres
    parents: np.ndarray  # (55,) int64, -1 for the root; parents come before their children
    canonical: np.ndarray  # (165,) float64, axis-angle
    head_joints: bool = False

    @staticmethod
    def of(
        body: Body, betas: torch.Tensor, legs_apart_deg: float, head_joints: bool = False
    ) -> "Rig":
        """The rig of `body` in the shape `betas` (10,)."""
        rest = BodyParams.zeros().replaced(betas=betas.detach().cpu().reshape(1, 10).float())
        joints = body.joints(rest)[0, :55].cpu().numpy().astype(np.float64)
        canonical = big_pose(betas, legs_apart_deg).full_pose[0].numpy().astype(np.float64)
        return Rig(joints, body.parents.astype(np.int64), canonical, head_joints)

    @cached_property
    def _from_canonical(self) -> np.ndarray:
        return np.linalg.inv(self._chain(self.canonical))

    def _chain(self, pose: np.ndarray) -> np.ndarray:
        """(55, 4, 4) of each joint's frame: forward kinematics, the root at its rest place."""
        world = np.tile(np.eye(4), (len(self.joints), 1, 1))
        world[:, :3, :3] = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix()
        world[:, :3, 3] = self.joints
        world[1:, :3, 3] -= self.joints[self.parents[1:]]
        for joint in range(1, len(world)):
            world[joint] = world[self.parents[joint]] @ world[joint]
        return world

    def bones(self, params: BodyParams) -> torch.Tensor:
        """(55, 16) of each bone from the canonical pose to that of `params` (one body): 9 linear, 3 translation, 4 quaternion.

        The shape in `params` has no say: the avatar keeps its own. Quaternions, wxyz, are on the side of their parents',
        so that a weighted mean of neighbours makes sense.
        """
        pose = params.full_pose[0].detach().cpu().numpy().astype(np.float64)
        if not self.head_joints:
            pose[HEAD] = 0.0
        moved = self._chain(pose) @ self._from_canonical
        moved[:, :3, 3] += params.transl[0].detach().cpu().numpy()
        quats = self._same_side(Rotation.from_matrix(moved[:, :3, :3]).as_quat(scalar_first=True))
        linear, translation = moved[:, :3, :3].reshape(-1, 9), moved[:, :3, 3]
        return torch.from_numpy(np.concatenate([linear, translation, quats], axis=1)).float()

    def _same_side(self, quats: np.ndarray) -> np.ndarray:
        for joint in range(1, len(quats)):
            if quats[joint] @ quats[self.parents[joint]] < 0:
                quats[joint] = -quats[joint]
        return quats

    def state(self) -> dict[str, torch.Tensor]:
        """Its arrays by name."""
        return {
            name: torch.from_numpy(getattr(self, name))
            for name in ("joints", "parents", "canonical")
        }

    @staticmethod
    def from_state(state: dict[str, torch.Tensor], head_joints: bool) -> "Rig":
        """The inverse of `state`."""
        return Rig(
            *(state[name].cpu().numpy() for name in ("joints", "parents", "canonical")), head_joints
        )
