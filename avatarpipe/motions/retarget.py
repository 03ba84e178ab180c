"""A motion given to another body: its own shape kept, its steps in the length of its own legs, standing where it stood."""

from typing import Literal

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import JOINT_NAMES, Body
from avatarpipe.body.params import BodyParams
from avatarpipe.motions.motion import Motion

Root = Literal["travel", "stay", "source"]
_LEG = [JOINT_NAMES.index(name) for name in ("left_hip", "left_knee", "left_ankle")]
_UPRIGHT = (
    0.2  # share of the chest's direction that must be horizontal for it to say where somebody faces
)


def retargeted(
    motion: Motion,
    captured: BodyParams,
    scale: float = 1.0,
    root: Root = "travel",
    expression: bool = True,
) -> BodyParams:
    """The F bodies of `motion` with the shape of `captured` (one body).

    travel: the first valid frame faces +z at the horizontal place of `captured`, from where the pelvis goes as the motion has
    it, times `scale`. stay: the same without its horizontal way. source: turned and moved by nothing. Height is not settled
    here (an avatar's soles know it, see `evaluation.stage.grounded`): it starts from that of `captured`. expression: whether
    the motion's counts; coefficients of a licensed face mean nothing to the free body.
    """
    poses, count = motion.poses, len(motion)
    changes = {"betas": captured.betas[:1].cpu().repeat(count, 1)}
    if not expression:
        changes["expression"] = torch.zeros(count, 10)
    if root == "source":
        return poses.replaced(**changes)
    first = int(np.argmax(motion.valid))
    turn = Rotation.from_euler("y", -facing(poses[first]))
    orient = turn * Rotation.from_rotvec(poses.global_orient.double().numpy())
    transl = poses.transl.double().numpy()
    way = scale * turn.apply(transl - transl[first])
    if root == "stay":
        way[:, [0, 2]] = 0.0
    places = way + captured.transl[0].double().cpu().numpy()
    return poses.replaced(
        **changes,
        global_orient=torch.from_numpy(orient.as_rotvec()).float(),
        transl=torch.from_numpy(places).float(),
    )


def facing(params: BodyParams) -> float:
    """Radians about +y from +z to where one body faces; 0 where it lies and so faces nowhere."""
    chest = Rotation.from_rotvec(params.global_orient[0].double().numpy()).apply([0.0, 0.0, 1.0])
    if np.hypot(chest[0], chest[2]) < _UPRIGHT:
        return 0.0
    return float(np.arctan2(chest[0], chest[2]))


def leg_ratio(body: Body, betas: torch.Tensor, source: Body, source_betas: torch.Tensor) -> float:
    """How long the legs of `body` with `betas` (1, 10) are, in legs of `source` with its betas."""
    return leg_length(body, betas) / leg_length(source, source_betas)


def leg_length(body: Body, betas: torch.Tensor) -> float:
    """Metres from hip to knee to ankle of a shape (1, 10)."""
    shape = BodyParams.zeros().replaced(betas=betas[:1].cpu()).to(body.device)
    hip, knee, ankle = body.joints(shape)[0, _LEG].double().cpu().numpy()
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
