"""The skeleton of the subject: how a pose moves each bone out of the canonical pose."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.methods.animatable.kinematics import chain, from_rest

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
    def _rest(self) -> tuple[np.ndarray, np.ndarray]:
        return chain(self.canonical, self.joints, self.parents)

    def bones(self, params: BodyParams) -> torch.Tensor:
        """(55, 16) of each bone from the canonical pose to that of `params` (one body): 9 linear, 3 translation, 4 quaternion.

        The shape in `params` has no say: the avatar keeps its own. Quaternions, wxyz, are on the side of their parents',
        so that a weighted mean of neighbours makes sense.
        """
        pose, transl = (x[0].detach().cpu().numpy() for x in (params.full_pose, params.transl))
        return torch.from_numpy(self.moved(pose, transl)).float()

    def moved(self, pose: np.ndarray, transl: np.ndarray) -> np.ndarray:
        """(55, 16) float64, what `bones` gives, of a pose (165,) and a translation (3,) in metres."""
        pose = pose.astype(np.float64)
        if not self.head_joints:
            pose[HEAD] = 0.0
        moved = from_rest(*chain(pose, self.joints, self.parents), *self._rest, self.parents)
        moved[:, 9:12] += transl
        return moved

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
