"""The posed body as a fine mesh, with what garments ask of it: rest positions, limb coordinates, landmarks."""

from dataclasses import dataclass

import igl
import numpy as np

from avatarpipe.body.model import JOINT_NAMES, Body, BodyParams

JOINT = {name: k for k, name in enumerate(JOINT_NAMES)}
_ARM = [k for k, n in enumerate(JOINT_NAMES) if any(s in n for s in ("shoulder", "elbow", "wrist", "index", "middle", "ring", "pinky", "thumb"))]  # fmt: skip
_HAND = [k for k in _ARM if "shoulder" not in JOINT_NAMES[k] and "elbow" not in JOINT_NAMES[k]]
_LEG = [
    k for k, n in enumerate(JOINT_NAMES) if any(s in n for s in ("hip", "knee", "ankle", "foot"))
]
_FOOT = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "foot")]
_HEAD = [JOINT[n] for n in ("head", "jaw", "left_eye", "right_eye")]


@dataclass
class Figure:
    """One person in a pose, root at the origin, no heading: the frame in which garments hang (+Y up, facing +Z)."""

    vertices: np.ndarray  # (V, 3) posed, one Loop subdivision finer than the body file
    faces: np.ndarray  # (F, 3)
    rest: np.ndarray  # (V, 3) the same vertices in T-pose with the subject's shape
    normals: np.ndarray  # (V, 3) posed, unit
    joints: np.ndarray  # (55, 3) posed
    rest_joints: np.ndarray  # (55, 3)
    transforms: np.ndarray  # (55, 4, 4) rest to posed
    arm: np.ndarray  # (V,) share of skinning weight on arms and hands
    leg: np.ndarray
    hand: np.ndarray
    foot: np.ndarray
    head: np.ndarray
    lips: np.ndarray  # (V,) soft mask
    eyes: np.ndarray  # (V,) +1 on the left eyeball, -1 on the right one, 0 elsewhere
    groups: dict[str, np.ndarray]  # other soft masks of the body file by name

    def part(self, weight: np.ndarray) -> np.ndarray:
        """(F,) faces all of whose corners carry at least half of `weight`."""
        return (weight[self.faces] > 0.5).all(axis=1)

    def limb(self, rest: np.ndarray, kind: str) -> np.ndarray:
        """(N,) how far along the nearer arm or leg (N, 3) rest points lie: 0 shoulder or hip, 1 elbow or knee, 2 wrist or ankle."""
        names = ("shoulder", "elbow", "wrist") if kind == "arm" else ("hip", "knee", "ankle")
        along = [self._along(rest, [f"{side}_{n}" for n in names]) for side in ("left", "right")]
        return np.where(rest[:, 0] >= 0, along[0], along[1])

    def _along(self, rest: np.ndarray, chain: list[str]) -> np.ndarray:
        a, b, c = (self.rest_joints[JOINT[name]] for name in chain)
        first = (rest - a) @ (b - a) / ((b - a) @ (b - a))
        second = 1.0 + (rest - b) @ (c - b) / ((c - b) @ (c - b))
        return np.where(second > 1.0, second, np.minimum(first, 1.0))

    def around(self, rest: np.ndarray, kind: str) -> np.ndarray:
        """(N,) angle around the limb's bone, 0 at the front, radians."""
        names = ("shoulder", "wrist") if kind == "arm" else ("hip", "ankle")
        angles = []
        for side in ("left", "right"):
            a, b = (self.rest_joints[JOINT[f"{side}_{n}"]] for n in names)
            axis = (b - a) / np.linalg.norm(b - a)
            front = np.array([0.0, 0.0, 1.0]) - axis[2] * axis
            other = np.cross(axis, front)
            angles.append(np.arctan2((rest - a) @ other, (rest - a) @ front))
        return np.where(rest[:, 0] >= 0, angles[0], -angles[1])


def build_figure(body: Body, params: BodyParams) -> Figure:
    """Pose `body` and refine it once; params hold one body with zero global_orient and transl."""
    coarse = body.vertices(params)[0].double().numpy()
    rest = body.shaped(params)[0].double().numpy()
    weights = body.lbs_weights.double().numpy()
    masks = _masks(body)
    shares = [weights[:, part].sum(axis=1) for part in (_ARM, _LEG, _HAND, _FOOT, _HEAD)]
    eyes = (weights[:, JOINT["left_eye"]] > 0.5) * 1.0 - (weights[:, JOINT["right_eye"]] > 0.5)
    columns = np.column_stack([coarse, rest, *shares, eyes, *masks.values()])
    fine, faces = igl.loop(columns, body.faces, 1)
    fine_masks = dict(zip(masks, fine[:, 12:].T, strict=True))
    joints = body.joints(params)[0, :55].double().numpy()
    rest_joints = (
        body.joints(BodyParams.zeros().replaced(betas=params.betas))[0, :55].double().numpy()
    )
    vertices = np.ascontiguousarray(fine[:, :3])
    return Figure(
        vertices, faces, np.ascontiguousarray(fine[:, 3:6]),
        igl.per_vertex_normals(vertices, faces), joints, rest_joints,
        body.transforms(params)[0].double().numpy(),
        *(fine[:, k] for k in range(6, 11)),
        lips=fine_masks.pop("lips", np.zeros(len(fine))), eyes=fine[:, 11], groups=fine_masks,
    )  # fmt: skip


def _masks(body: Body) -> dict[str, np.ndarray]:
    """Soft masks of the body file: its vertex groups, stored as vertex ids or as (V,) weights."""
    count = len(body.v_template)
    masks = {}
    for name in ("lips", "scalp", "brows", "eyelids", "nails"):
        group = body.extra(f"avatarpipe_groups_{name}")
        if group is None:
            continue
        mask = np.zeros(count)
        if len(group) == count:
            mask[:] = group
        else:
            mask[group] = 1.0
        masks[name] = mask
    return masks
