"""A body as an animator has it: pelvis, spine, arms by direction, and feet that are put somewhere, legs following.

All angles are radians, all stacks have F frames; bones start from the T-pose, whose joints have no rotation.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import JOINT_NAMES, Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.smpl import rest_hands

_JOINT = {name: k for k, name in enumerate(JOINT_NAMES[:22])}
_SIDES = {"left": 1.0, "right": -1.0}
_STRETCH = 0.995  # share of its length that a leg may reach, so that knees never lock or snap


@dataclass
class Foot:
    """Where a foot is. ground: (F, 2) x and z of the ankle when the foot stands flat. lift: (F,) metres off the floor.

    pitch: (F,) heel up where positive (the foot rolls over its ball, toes stay flat), toes up where negative (over the heel).
    yaw: (F,) toes toward +x where positive.
    """

    ground: np.ndarray
    lift: np.ndarray
    pitch: np.ndarray
    yaw: np.ndarray


@dataclass
class Arm:
    """raise_: (F,) upper arm from hanging (0) through sideways (pi/2) to up. swing: (F,) its tilt forward. bend: (F,) of the elbow.

    twist: (F,) of the upper arm about its bone; positive turns a bent forearm up. collar: (F,) shoulder raised.
    """

    raise_: np.ndarray
    swing: np.ndarray
    bend: np.ndarray
    twist: np.ndarray
    collar: np.ndarray


@dataclass
class Frames:
    """One clip, before it is solved. pelvis: (F, 3), its height over that of standing straight in y.

    hips: pelvis in the world. spine: each of the three spine joints. neck: neck and head, each.
    """

    pelvis: np.ndarray
    hips: Rotation
    spine: Rotation
    neck: Rotation
    feet: dict[str, Foot]
    arms: dict[str, Arm] = field(default_factory=dict)


class Rig:
    """The mean shape of a body: its joints in T-pose and the floor under its soles."""

    def __init__(self, body: Body):
        self.body, self.rest, self.parents = body, body.rest_joints()[:22], body.parents[:22]
        self.floor = float(body.v_template[:, 1].min())
        self.soles = {side: self._sole(side) for side in _SIDES}

    @property
    def leg(self) -> float:
        """Length of thigh and shin in metres, by which strides scale."""
        return sum(np.linalg.norm(self._bone(f"left_{a}", f"left_{b}")) for a, b in _LEG)

    @property
    def hip_width(self) -> float:
        """Metres from the middle to a hip joint."""
        return float(abs(self.rest[_JOINT["left_hip"], 0] - self.rest[0, 0]))

    def solve(self, frames: Frames) -> BodyParams:
        """F bodies of the mean shape, floor at y = 0, hands relaxed."""
        local = {"pelvis": frames.hips, "neck": frames.neck, "head": frames.neck}
        local |= dict.fromkeys(("spine1", "spine2", "spine3"), frames.spine)
        standing = self.rest[0] - [0.0, self.floor, 0.0]
        pelvis = frames.pelvis + standing
        for side in _SIDES:
            local |= self._leg(side, frames.feet[side], pelvis, frames.hips)
            local |= _arm(side, frames.arms[side])
        count = len(pelvis)
        pose = np.zeros((count, 22, 3))
        for name, rotation in local.items():
            pose[:, _JOINT[name]] = rotation.as_rotvec()
        return BodyParams.zeros(count).replaced(
            global_orient=_float(pose[:, 0]), body_pose=_float(pose[:, 1:].reshape(count, 63)),
            transl=_float(pelvis - self.rest[0]), **rest_hands(self.body, count, "relaxed"),
        )  # fmt: skip

    def reachable(self, frames: Frames) -> np.ndarray:
        """(F,) how much the pelvis must sink, in metres, for both feet to be in reach; 0 where they are."""
        pelvis = frames.pelvis + self.rest[0] - [0.0, self.floor, 0.0]
        return np.max(
            [self._sink(side, frames.feet[side], pelvis, frames.hips) for side in _SIDES], axis=0
        )

    def depth(self, params: BodyParams) -> dict[str, np.ndarray]:
        """(F,) metres by which the skin of each foot is below the floor; 0 where it is not."""
        owner = self.body.lbs_weights.argmax(dim=1).cpu().numpy()
        height = self.body.vertices(params)[..., 1].double().cpu().numpy()
        return {
            side: np.maximum(
                -height[:, np.isin(owner, [_JOINT[f"{side}_ankle"], _JOINT[f"{side}_foot"]])].min(
                    axis=1
                ),
                0,
            )
            for side in _SIDES
        }

    def _sink(self, side: str, foot: Foot, pelvis: np.ndarray, hips: Rotation) -> np.ndarray:
        gap = self._hip(side, pelvis, hips) - self._ankle(side, foot)
        flat = np.hypot(gap[:, 0], gap[:, 2])
        highest = np.sqrt(np.maximum((_STRETCH * self.leg) ** 2 - flat**2, 0.0))
        return np.maximum(gap[:, 1] - highest, 0.0)

    def _bone(self, joint: str, child: str) -> np.ndarray:
        return self.rest[_JOINT[child]] - self.rest[_JOINT[joint]]

    def _sole(self, side: str) -> np.ndarray:
        """(N, 3) what may touch the floor, from the ankle: the foot's lowest five centimetres."""
        vertices = self.body.v_template.cpu().numpy()
        low = (vertices[:, 1] < self.floor + 0.05) & (vertices[:, 0] * _SIDES[side] > 0)
        return vertices[low] - self.rest[_JOINT[f"{side}_ankle"]]

    def _ball(self, side: str) -> np.ndarray:
        """(3,) from the ankle to the floor under the ball of the foot."""
        offset = self._bone(f"{side}_ankle", f"{side}_foot")
        return np.array([offset[0], self.soles[side][:, 1].min(), offset[2]])

    def _heel(self, side: str) -> np.ndarray:
        """(3,) from the ankle to the floor under the back of the foot."""
        sole = self.soles[side]
        return np.array([0.0, sole[:, 1].min(), sole[:, 2].min()])

    def _ankle_height(self, side: str, pitch: np.ndarray) -> np.ndarray:
        """(F,) metres of the ankle over the floor that a foot of this pitch just touches, its toes bent flat."""
        sole = self.soles[side]
        stiff = sole[sole[:, 2] <= self._ball(side)[2]]
        points = [stiff if angle > 0 else sole for angle in pitch]
        lowest = [
            (y_z[:, 1] * np.cos(angle) - y_z[:, 2] * np.sin(angle)).min()
            for y_z, angle in zip(points, pitch, strict=True)
        ]
        return -np.array(lowest)

    def _hip(self, side: str, pelvis: np.ndarray, hips: Rotation) -> np.ndarray:
        return pelvis + hips.apply(self._bone("pelvis", f"{side}_hip"))

    def _ankle(self, side: str, foot: Foot) -> np.ndarray:
        """(F, 3) with the foot rolled over its ball or heel, which stays where it is."""
        turn = _about("y", foot.yaw)
        pivot = np.where(foot.pitch[:, None] > 0, self._ball(side), self._heel(side))
        rolled = turn.apply(pivot - _about("x", foot.pitch).apply(pivot))
        height = self._ankle_height(side, foot.pitch) + foot.lift
        return np.column_stack(
            [foot.ground[:, 0] + rolled[:, 0], height, foot.ground[:, 1] + rolled[:, 2]]
        )

    def _leg(
        self, side: str, foot: Foot, pelvis: np.ndarray, hips: Rotation
    ) -> dict[str, Rotation]:
        """Two bones to the ankle, the knee in the plane of the leg and of where thigh and foot both face."""
        thigh, shin = (self._bone(f"{side}_{a}", f"{side}_{b}") for a, b in _LEG)
        hip, ankle = self._hip(side, pelvis, hips), self._ankle(side, foot)
        a, b = np.linalg.norm(thigh), np.linalg.norm(shin)
        reach = ankle - hip
        distance = np.minimum(np.linalg.norm(reach, axis=1), 0.999 * (a + b))
        forward = hips.apply([0.0, 0.0, 1.0]) + _about("y", foot.yaw).apply([0.0, 0.0, 1.0])
        axis = _unit(np.cross(forward, reach))  # of the knee: bending turns the shin back about it
        inner = np.arccos(np.clip((a**2 + distance**2 - b**2) / (2 * a * distance), -1, 1))
        upper = Rotation.from_rotvec(-inner[:, None] * axis).apply(_unit(reach))
        lower = _unit(_unit(reach) * distance[:, None] - a * upper)
        above, below = _aimed(thigh, upper, axis), _aimed(shin, lower, axis)
        flat = _about("y", foot.yaw) * _about("x", foot.pitch)
        bent = np.clip(
            1.0 - foot.lift / 0.06, 0.0, 1.0
        )  # toes straighten as the foot leaves the floor
        toes = _about("x", -np.maximum(foot.pitch, 0.0) * bent)
        return {
            f"{side}_hip": hips.inv() * above, f"{side}_knee": above.inv() * below,
            f"{side}_ankle": below.inv() * flat, f"{side}_foot": toes,
        }  # fmt: skip


_LEG = (("hip", "knee"), ("knee", "ankle"))


def _arm(side: str, arm: Arm) -> dict[str, Rotation]:
    """From the T-pose: lowered or raised in the body's own plane, then tilted forward, bent in front."""
    sign = _SIDES[side]
    lifted = arm.raise_ - np.pi / 2 - arm.collar
    swing = _about("x", -arm.swing)
    twist = _about("x", -arm.twist)
    return {
        f"{side}_collar": _about("z", sign * arm.collar),
        f"{side}_shoulder": swing * _about("z", sign * lifted) * twist,
        f"{side}_elbow": _about("y", -sign * arm.bend),
    }


def _about(axis: str, angles: np.ndarray) -> Rotation:
    """(F,) rotations about one axis of the world."""
    return Rotation.from_euler(axis, np.asarray(angles)[:, None])


def _aimed(bone: np.ndarray, direction: np.ndarray, axis: np.ndarray) -> Rotation:
    """(F,) rotations that point `bone` (3,) along `direction` and bring its own hinge, sideways, to `axis`, both (F, 3)."""
    at_rest = _basis(bone[None], np.array([[1.0, 0.0, 0.0]]))
    return Rotation.from_matrix(_basis(direction, axis) @ at_rest.transpose(0, 2, 1))


def _basis(along: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(F, 3, 3) with columns along, side made square to it, and their product."""
    y = _unit(along)
    x = _unit(side - np.sum(side * y, axis=1, keepdims=True) * y)
    return np.stack([y, x, np.cross(y, x)], axis=2)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, np.float32))
