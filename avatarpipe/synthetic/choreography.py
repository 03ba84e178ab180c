"""A seeded motion through key poses given by the directions of limbs, and another through poses that the first never takes.

Directions: `lift` degrees away from hanging down (90 level, 180 straight up), `azimuth` degrees from the outer side (0)
toward the front (90), the inner side (180) or the back (-90).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import JOINT_NAMES, Body, BodyParams
from avatarpipe.synthetic.noise import smoothstep
from avatarpipe.synthetic.pose import HAND_COMPONENTS, aim_limbs

_JOINT = {name: k for k, name in enumerate(JOINT_NAMES)}
_LIMBS = ("shoulder", "elbow", "hip", "knee")
_SOLE = 0.008  # metres of sole below the foot
_FLOOR_BLEND = 0.02  # metres over which the weight passes from one foot to the other


@dataclass(frozen=True)
class Key:
    """(lift, azimuth) of upper arms, forearms, thighs and shins, left then right; spine: twist, lean, side, degrees."""

    arm: tuple = ((18, 25), (18, 25))
    forearm: tuple = ((20, 70), (20, 70))
    thigh: tuple = ((6, 15), (6, 15))
    shin: tuple = ((4, -20), (4, -20))
    spine: tuple = (0, 2, 0)
    head: tuple = (0, 0)  # turn, nod
    fist: float = 0.0

    def mirrored(self) -> "Key":
        """Left and right exchanged."""
        twist, lean, side = self.spine
        swapped = {name: getattr(self, name)[::-1] for name in ("arm", "forearm", "thigh", "shin")}
        return replace(
            self, **swapped, spine=(-twist, lean, -side), head=(-self.head[0], self.head[1])
        )


def _both(lift: float, azimuth: float) -> tuple:
    return ((lift, azimuth), (lift, azimuth))


_STEP = Key(
    arm=((24, -60), (26, 65)), forearm=((26, -10), (44, 80)),
    thigh=((25, 85), (16, -75)), shin=((6, 60), (34, -85)), spine=(-6, 3, 0),
)  # fmt: skip
_KNEE = Key(
    arm=((40, 0), (35, 50)), forearm=((60, 60), (75, 85)),
    thigh=((78, 82), (6, 10)), shin=((9, -70), (3, -20)), spine=(3, 3, -2),
)  # fmt: skip
_WAVE = Key(arm=((112, 18), (20, 10)), forearm=((168, 60), (25, 70)), spine=(0, 0, 5), head=(15, 0))
_TWIST = Key(arm=_both(62, 30), forearm=_both(75, 75), spine=(14, 2, 0), head=(10, 0))
_LEAN = Key(
    arm=((28, 10), (150, 20)), forearm=((25, 20), (165, 150)), spine=(0, 0, -9), thigh=_both(9, 5)
)
_CURL = Key(arm=((22, 15), (20, 5)), forearm=((128, 82), (24, 70)), fist=1.0, spine=(3, 1, 0))
TRAINING = (
    Key(),
    Key(arm=_both(45, 5), forearm=_both(45, 15), thigh=_both(9, 8)),
    _STEP, _STEP.mirrored(),
    Key(arm=_both(88, 8), forearm=_both(90, 18), thigh=_both(10, 5)),
    _CURL, _CURL.mirrored(),
    Key(arm=_both(150, 25), forearm=_both(162, 40), spine=(0, -3, 0), head=(0, -8)),
    _TWIST, _TWIST.mirrored(),
    Key(arm=_both(82, 72), forearm=_both(86, 85), thigh=_both(62, 68), shin=_both(36, -82), spine=(0, 8, 0)),
    _KNEE, _KNEE.mirrored(),
    _LEAN, _LEAN.mirrored(),
    Key(arm=_both(48, -35), forearm=((55, 148), (55, 148)), fist=0.5, thigh=_both(8, 5)),
    Key(arm=_both(30, 80), forearm=_both(35, 85), spine=(0, 14, 0), head=(0, 8), thigh=_both(12, -60)),
    _WAVE, _WAVE.mirrored(),
)  # fmt: skip
_PUNCH = Key(
    arm=((84, 84), (42, -10)), forearm=((88, 96), (128, 92)), spine=(-11, 5, 0), fist=1.0,
    thigh=((24, 80), (20, -60)), shin=((10, -80), (30, -80)),
)  # fmt: skip
_KICK = Key(
    arm=((70, -20), (60, 60)), forearm=((70, 0), (95, 80)), spine=(-5, -4, 3),
    thigh=((70, 80), (8, 10)), shin=((52, 84), (5, -40)),
)  # fmt: skip
_LUNGE = Key(
    arm=((105, 10), (60, 70)), forearm=((110, 20), (100, 110)), spine=(4, 6, -5),
    thigh=((52, 25), (34, 5)), shin=((8, 178), (36, 5)),
)  # fmt: skip
NOVEL = (
    Key(), _PUNCH, _PUNCH.mirrored(), _LUNGE, _KICK, _LUNGE.mirrored(), _KICK.mirrored(),
    Key(arm=_both(128, 6), forearm=_both(135, 10), thigh=_both(26, 4), shin=_both(24, 4)),
)  # fmt: skip


def motion(
    body: Body, betas: np.ndarray, keys: tuple[Key, ...], count: int, fps: float, seed: int
) -> BodyParams:
    """`count` bodies at `fps` through `keys` in seeded order, feet on the floor y = 0.

    The keys share the time there is, at least 0.35 s each: a short motion visits only the first of them.
    """
    rng = np.random.default_rng([seed, len(keys), 31])
    order = [0, *(1 + rng.permutation(len(keys) - 1))]
    pace = max((count - 1) / fps / max(len(keys) - 1, 1), 0.35)
    visits = max(2, int(np.ceil((count - 1) / fps / pace - 1e-9)) + 1)
    chosen = [keys[order[k % len(order)]] for k in range(visits)]
    times = np.arange(count) / fps
    curves = PchipInterpolator(pace * np.arange(visits), _knots(chosen, rng), axis=0)(times)
    rest = body.joints(BodyParams.zeros().replaced(betas=_tensor(betas[None])))[0, :55].numpy()
    hands = rng.normal(0.0, 0.25, (2, HAND_COMPONENTS))
    poses = [_pose(body, rest, curve) for curve in curves]
    params = _params(body, betas, np.stack(poses), curves, hands)
    return _on_the_floor(body, params)


def _knots(keys: list[Key], rng: np.random.Generator) -> np.ndarray:
    """(K, 8 * 3 + 3 + 2 + 1 + 1): unit directions, spine, head, fist, heading; each visit a little different."""
    rows = []
    for number, key in enumerate(keys):
        directions = []
        for name in ("arm", "forearm", "thigh", "shin"):
            for (lift, azimuth), side in zip(getattr(key, name), (1.0, -1.0), strict=True):
                wobble = 5.0 if "arm" in name else 2.0
                a, b = np.radians([lift + wobble * rng.normal(), azimuth + wobble * rng.normal()])
                directions += [side * np.sin(a) * np.cos(b), -np.cos(a), np.sin(a) * np.sin(b)]
        heading = 30.0 * np.sin(0.9 * number + rng.uniform(-0.4, 0.4))
        rows.append([*directions, *np.array(key.spine) + rng.normal(0, 1, 3), *key.head, key.fist, heading])  # fmt: skip
    return np.array(rows)


def _pose(body: Body, rest: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """(22, 3) axis-angle of one frame; the root's is its heading."""
    names = [f"{side}_{limb}" for limb in _LIMBS for side in ("left", "right")]
    vectors = curve[:24].reshape(8, 3)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[2:4] = _bent_at_most(vectors[:2], vectors[2:4])
    twist, lean, side = np.radians(curve[24:27])
    bend = Rotation.from_euler("yxz", [twist, lean, side])
    turn, nod = np.radians(curve[27:29])
    local = {f"spine{k}": bend for k in (1, 2, 3)}
    aim_limbs(local, rest, dict(zip(names, vectors, strict=True)), body.parents)
    for side, shin in (
        ("left", vectors[6]),
        ("right", vectors[7]),
    ):  # soles leave the floor with the shin
        level = local[f"{side}_ankle"].as_rotvec() * smoothstep(-shin[1], 0.55, 0.92)
        local[f"{side}_ankle"] = Rotation.from_rotvec(level)
    looking = Rotation.from_euler(
        "yxz", [turn - 1.2 * twist, nod - 1.2 * lean, -0.8 * _side_angle(curve)]
    )
    half = Rotation.from_rotvec(0.5 * looking.as_rotvec())
    local |= {"neck": half, "head": half}
    pose = np.zeros((22, 3))
    for name, rotation in local.items():
        pose[_JOINT[name]] = rotation.as_rotvec()
    pose[0, 1] = np.radians(curve[30])
    return pose


def _bent_at_most(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """(2, 3) unit forearms, bent from the upper arms by less than 115 degrees: the skinning of bodies folds up beyond."""
    along = np.einsum("ni,ni->n", upper, lower)
    angle = np.degrees(np.arccos(np.clip(along, -1.0, 1.0)))
    softer = np.radians(np.where(angle > 95.0, 95.0 + 20.0 * np.tanh((angle - 95.0) / 20.0), angle))
    across = lower - along[:, None] * upper
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    return np.cos(softer)[:, None] * upper + np.sin(softer)[:, None] * across


def _side_angle(curve: np.ndarray) -> float:
    """Radians that each spine joint leans sideways."""
    return float(np.radians(curve[26]))


def _params(body, betas, poses: np.ndarray, curves: np.ndarray, hands: np.ndarray) -> BodyParams:
    count = len(poses)
    params = BodyParams.zeros(count).replaced(
        betas=_tensor(np.repeat(betas[None], count, axis=0)),
        global_orient=_tensor(poses[:, 0]), body_pose=_tensor(poses[:, 1:].reshape(count, 63)),
    )  # fmt: skip
    closing = 0.35 + 0.65 * np.clip(curves[:, 29:30], 0.0, 1.0)
    full = {}
    for side, coefficients in zip(("left", "right"), hands, strict=True):
        _, mean = body.hand_pca(side)
        stray = body.decode_hand(coefficients[None], side) - mean
        stray *= min(1.0, 0.25 / max(np.abs(stray).max(), 1e-9))
        full[f"{side}_hand_pose"] = _tensor(stray + mean * (0.6 + 0.8 * closing))
    return params.replaced(**full)


def _on_the_floor(body: Body, params: BodyParams) -> BodyParams:
    """The lower foot stands on y = 0, at the place where the feet were in the first frame."""
    transl = np.zeros((len(params), 3))
    for frame in range(len(params)):
        posed = params[frame]
        low = body.vertices(posed)[0, :, 1].min().item()
        ankles = body.joints(posed)[0, [_JOINT["left_ankle"], _JOINT["right_ankle"]]].numpy()
        share = 1.0 / (1.0 + np.exp(np.clip((ankles[0, 1] - ankles[1, 1]) / _FLOOR_BLEND, -40, 40)))
        middle = 0.5 * ankles.mean(axis=0) + 0.5 * (share * ankles[0] + (1 - share) * ankles[1])
        transl[frame] = [-0.7 * middle[0], _SOLE - low, -0.7 * middle[2]]
    return params.replaced(transl=_tensor(transl))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array), dtype=torch.float32)


def dressing_pose(body: Body, betas: np.ndarray) -> BodyParams:
    """Arms 45 degrees out, legs a little apart, nothing turned: from here skinning has the shortest way to all poses."""
    key = Key(
        arm=_both(45, 4), forearm=_both(43, 10), thigh=_both(8, 5), shin=_both(6, 0), spine=(0, 0, 0)
    )  # fmt: skip
    still = _knots([key], _Still())[0]
    still[30] = 0.0
    rest = body.joints(BodyParams.zeros().replaced(betas=_tensor(betas[None])))[0, :55].numpy()
    pose = _pose(body, rest, still)
    hands = np.zeros((2, HAND_COMPONENTS))
    return _params(body, betas, pose[None], still[None], hands)


class _Still:
    """A generator that draws nothing but zeros."""

    def normal(self, *args):
        return np.zeros(args[2]) if len(args) > 2 else 0.0

    def uniform(self, low, high):
        return 0.0
