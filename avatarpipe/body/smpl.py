"""From SMPL (24 joints) to the SMPL-X layout, by rule.

Both models stand in the same T-pose, turn about their rest pelvis J0 and share joints 0 to 21. What SMPL lacks is
filled: hands by option, face at rest. What does not carry over is the shape: the coefficients of the two shape spaces mean
different things.
"""

from typing import Literal

import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams

# SMPL's pelvis in T-pose, metres, for the neutral mean shape (J_regressor @ v_template). Male and female differ by about 2 cm.
SMPL_REST_PELVIS = np.array([-0.00179506, -0.22333382, 0.02821918])
HandStyle = Literal["relaxed", "flat"]
_BODY = 63  # body_pose columns of joints 1 to 21; the two hand stubs 22 and 23 follow in SMPL


def smpl_to_smplx(
    global_orient: np.ndarray,
    body_pose: np.ndarray,
    transl: np.ndarray,
    betas: np.ndarray | None,
    body: Body,
    rest_pelvis: np.ndarray | None = None,
    hands: HandStyle = "relaxed",
) -> BodyParams:
    """B bodies in the SMPL-X layout whose pelvis is where SMPL had it and whose joints 1 to 21 turn as SMPL's.

    global_orient: (B, 3), body_pose: (B, 69) or already (B, 63), axis-angle. transl: (B, 3) metres, as SMPL adds it.
    betas: (10,) or (B, 10) coefficients of `body`'s own shape space, or None for its mean shape; never SMPL's own.
    rest_pelvis: (3,) or (B, 3), SMPL's J0 of the source's shape; given, transl' = transl + J0_smpl - J0_body(betas).
    hands: "relaxed" is the mean hand of `body`, "flat" stretched fingers. Raises ValueError on wrong widths.
    """
    orient, pose, transl = (np.asarray(x, np.float64) for x in (global_orient, body_pose, transl))
    count = len(orient)
    if pose.shape not in ((count, 69), (count, _BODY)) or orient.shape != (count, 3):
        raise ValueError(f"expected (B, 3) and (B, 69) poses, got {orient.shape} and {pose.shape}")
    shape = np.zeros((count, 10)) if betas is None else np.broadcast_to(betas, (count, 10))
    params = BodyParams.zeros(count).replaced(
        betas=_float(shape), global_orient=_float(orient), body_pose=_float(pose[:, :_BODY]),
        **rest_hands(body, count, hands),
    )  # fmt: skip
    if rest_pelvis is not None:
        transl = transl + np.asarray(rest_pelvis, np.float64) - rest_pelvis_of(body, shape)
    return params.replaced(transl=_float(np.broadcast_to(transl, (count, 3))))


def rest_hands(body: Body, count: int, hands: HandStyle) -> dict[str, torch.Tensor]:
    """left_hand_pose and right_hand_pose, (count, 45): the mean hand of `body`, or zeros where "flat"."""
    if hands not in ("relaxed", "flat"):
        raise ValueError(f"hands must be relaxed or flat, got {hands!r}")
    poses = {}
    for side in ("left", "right"):
        mean = body.hand_pca(side)[1] if hands == "relaxed" else np.zeros(45)
        poses[f"{side}_hand_pose"] = _float(np.tile(mean, (count, 1)))
    return poses


def rest_pelvis_of(body: Body, betas: np.ndarray) -> np.ndarray:
    """(B, 3) float64 J0 of `body` for each of (B, 10) shapes: where smplx turns the body before it adds transl."""
    shapes, index = np.unique(np.asarray(betas, np.float64), axis=0, return_inverse=True)
    if len(shapes) <= 11:
        return _rest_joints(body, shapes)[index.reshape(-1), 0]
    mean, *unit = _rest_joints(body, np.vstack([np.zeros(10), np.eye(10)]))[:, 0]
    return mean + np.asarray(betas, np.float64) @ (
        np.stack(unit) - mean
    )  # joints are linear in betas


def _rest_joints(body: Body, betas: np.ndarray) -> np.ndarray:
    """(B, 22, 3) float64 body joints of (B, 10) shapes in T-pose."""
    params = BodyParams.zeros(len(betas)).replaced(betas=_float(betas))
    return body.joints(params)[:, :22].double().cpu().numpy()


def shape_of_joints(rest_joints: np.ndarray, body: Body, ridge: float = 1e-5) -> np.ndarray:
    """(10,) betas of `body` whose rest joints best match SMPL's, both seen from the pelvis.

    rest_joints: (24, 3) SMPL's joints in T-pose for the source's shape, metres: J_regressor @ (v_template + shapedirs betas),
    which whoever holds the SMPL file can compute. Linear least squares over joints 1 to 21; `ridge` keeps coefficients that
    joints hardly see (girth) near zero.
    """
    rest = np.asarray(rest_joints, np.float64)
    if rest.shape != (24, 3):
        raise ValueError(f"expected (24, 3) rest joints, got {rest.shape}")
    joints = _rest_joints(body, np.vstack([np.zeros(10), np.eye(10)]))
    offsets = (joints[:, 1:] - joints[:, :1]).reshape(11, -1)
    design = (offsets[1:] - offsets[0]).T
    wanted = (rest[1:22] - rest[0]).reshape(-1) - offsets[0]
    return np.linalg.solve(design.T @ design + ridge * np.eye(10), design.T @ wanted)


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, np.float32))
