"""Motions made here, free of anyone's licence: they loop, need no data, and serve any body in the SMPL-X layout.

    avatarpipe convert-motion --motion procedural:walk --body SMPLX_NEUTRAL.npz --out walk.npz
    avatarpipe convert-motion --motion procedural:dance:7 ...      another seed, another style

Each is written as curves over one loop (phase 0 to 1) of what an animator would set: pelvis, spine, feet on the floor, arms.
"""

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.errors import InputError
from avatarpipe.motions.configured import MADE_HERE
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.rig import Arm, Foot, Frames, Rig

FPS = 30.0
_STANCE = 0.6  # share of a walking cycle that a foot is on the floor


def named(name: str, body: Body | None, fps: float = FPS) -> Motion:
    """The motion of "procedural:NAME" or "procedural:NAME:SEED"; InputError where there is no such name or no body."""
    kind, _, seed = name.removeprefix(MADE_HERE).partition(":")
    if kind not in MOTIONS or not (seed.isdigit() or not seed):
        raise InputError(
            f"motion {name!r}: use procedural:NAME or procedural:NAME:SEED, NAME one of {', '.join(MOTIONS)}."
        )
    if body is None:
        raise InputError(f"motion {name!r}: needs a body, on whose floor it stands.")
    return make(kind, body, int(seed or 0), fps)


def make(kind: str, body: Body, seed: int = 0, fps: float = FPS) -> Motion:
    """One loop of motion `kind`, a key of MOTIONS; frame F would be frame 0 again. Seed 0 is the plain style."""
    build, seconds = MOTIONS[kind]
    rng = np.random.default_rng(seed)
    style = np.ones(6) if seed == 0 else np.clip(rng.normal(1.0, 0.15, 6), 0.65, 1.35)
    count = round(seconds * (1.0 if seed == 0 else rng.uniform(0.9, 1.15)) * fps)
    rig = Rig(body)
    frames = build(rig, np.arange(count) / count, style)
    _settle(rig, frames)
    _lift_feet(rig, frames)
    return Motion(fps, rig.solve(frames))


def _settle(rig: Rig, frames: Frames) -> None:
    """Sink the pelvis, smoothly, where a foot would be out of reach."""
    sink = rig.reachable(frames)
    span = max(3, len(sink) // 12)
    sink = gaussian_filter1d(
        maximum_filter1d(sink, 2 * span + 1, mode="wrap"), span / 2, mode="wrap"
    )
    frames.pelvis[:, 1] -= sink


def _lift_feet(rig: Rig, frames: Frames) -> None:
    """Skin bends at the toes and so comes lower than the bones say: lift each foot by what is left."""
    for side, depth in rig.depth(rig.solve(frames)).items():
        frames.feet[side].lift += depth


def _curve(phase: np.ndarray, keys: dict[float, float]) -> np.ndarray:
    """A smooth loop through values at phases in [0, 1), without overshoot (Fritsch and Carlson 1980)."""
    at, values = np.array(list(keys)), np.array(list(keys.values()))
    around = np.concatenate([at - 1, at, at + 1])
    return PchipInterpolator(around, np.tile(values, 3))(phase % 1.0)


def _wave(phase: np.ndarray, shift: float = 0.0, times: int = 1) -> np.ndarray:
    """A cosine that is 1 at phase `shift`, `times` a loop."""
    return np.cos(2 * np.pi * times * (phase - shift))


def _turns(order: str, *degrees: np.ndarray) -> Rotation:
    return Rotation.from_euler(order, np.radians(np.column_stack(degrees)))


def _arm(count: int, raise_, swing, bend, twist=0.0, collar=-4.0) -> Arm:
    """An Arm from degrees, scalars or stacks."""
    return Arm(
        *(np.radians(np.broadcast_to(x, count)) for x in (raise_, swing, bend, twist, collar))
    )


def _walk(rig: Rig, phase: np.ndarray, style: np.ndarray) -> Frames:
    """On the spot, as on a treadmill: the left heel strikes at 0, the right one at 0.5."""
    still, L = np.zeros(len(phase)), rig.leg
    pelvis = np.column_stack(
        [
            0.022 * style[0] * _wave(phase, 0.3),
            -0.014 * L - 0.014 * L * _wave(phase, 0.06, 2),
            0.008 * _wave(phase, 0.3, 2),
        ]
    )
    yaw = -5.0 * style[1] * _wave(phase, 0.02)
    feet, arms = {}, {}
    for side, sign, start in (("left", 1.0, 0.0), ("right", -1.0, 0.5)):
        feet[side] = _step(
            phase - start, L, style[2], sign * 0.72 * rig.hip_width, sign * np.radians(6)
        )
        back = _wave(phase, start + 0.02)  # 1 where the leg of this side is in front
        arms[side] = _arm(
            len(phase),
            16.0 - 2.0 * back,
            1.0 - 19.0 * style[3] * back,
            20.0 - 10.0 * style[4] * back,
            -14.0,
        )
    spine = _turns("yxz", -yaw * 0.75, still + 1.2, 0.9 * _wave(phase, 0.3))
    hips = _turns("yxz", yaw, still + 2.0, 2.5 * _wave(phase, 0.17))
    neck = _turns(
        "yxz", 0.62 * yaw, still - 2.5 + 0.6 * _wave(phase, 0.1, 2), -1.6 * _wave(phase, 0.3)
    )
    return Frames(pelvis, hips, spine, neck, feet, arms)


def _step(phase: np.ndarray, leg: float, style: float, x: float, out: float) -> Foot:
    """One foot of a walk whose heel strikes at phase 0: heel, sole, ball, swing."""
    phase = phase % 1.0
    reach = 0.31 * leg * (0.5 + 0.5 * style)
    swing = (phase - _STANCE) / (1 - _STANCE)
    slope = (
        -2 * reach / _STANCE * (1 - _STANCE)
    )  # of the stance, per swing: leaves and meets it smoothly
    s = np.clip(swing, 0, 1)
    back = (2 * s**3 - 3 * s**2 + 1) * -reach + (3 * s**2 - 2 * s**3) * reach
    back += slope * (s**3 - 2 * s**2 + s) + slope * (s**3 - s**2)
    z = np.where(swing < 0, reach - 2 * reach * phase / _STANCE, back)
    lift = 0.055 * leg * np.sin(np.pi * s) ** 2
    degrees = _curve(
        phase,
        {0.0: -17, 0.08: -6, 0.14: 0, 0.36: 0, 0.48: 11, 0.6: 38, 0.67: 46, 0.8: 14, 0.92: -14},
    )
    ones = np.ones(len(phase))
    return Foot(np.column_stack([x * ones, z]), lift, np.radians(degrees), out * ones)


def _dance(rig: Rig, phase: np.ndarray, style: np.ndarray) -> Frames:
    """Four beats: the weight goes left and right, knees bounce, heels lift in turn, arms swing across."""
    L, count = rig.leg, len(phase)
    side = _wave(phase, 0.0, 2)  # 1 on the left foot, -1 on the right: two sways a loop
    bounce = _wave(phase, 0.06, 4)
    slow = _wave(phase, 0.1)
    pelvis = np.column_stack(
        [0.07 * style[0] * L * side, -0.05 * L * style[1] - 0.022 * L * bounce, 0.01 * L * slow]
    )
    hips = _turns(
        "yxz", 9 * style[2] * _wave(phase, 0.08, 2), 4 + 2 * bounce, -4.5 * style[0] * side
    )
    spine = _turns(
        "yxz", -7 * style[2] * _wave(phase, 0.03, 2) + 2 * slow, 2 - 1.5 * bounce, 3.2 * side
    )
    neck = _turns("yxz", 5 * _wave(phase, 0.0, 2) - 5 * slow, -2 + 3.5 * bounce, -3 * side)
    feet, arms = {}, {}
    for name, sign in (("left", 1.0), ("right", -1.0)):
        free = np.clip(-sign * side, 0, 1) ** 2  # 1 where the weight is on the other foot
        ground = np.tile([sign * 1.35 * rig.hip_width, 0.0], (count, 1))
        feet[name] = Foot(
            ground, np.zeros(count), np.radians(30 * free), np.full(count, sign * np.radians(14))
        )
        up = 0.5 - 0.5 * sign * _wave(
            phase, 0.06, 2
        )  # the arm over the free foot comes up in front
        arms[name] = _arm(
            count,
            18 + 16 * style[3] * up + 4 * sign * slow,
            -22 + 58 * style[4] * up,
            76 + 46 * style[5] * up,
            -12 - 8 * up,
            -3 + 7 * up,
        )
    return Frames(pelvis, hips, spine, neck, feet, arms)


def _jumping_jack(rig: Rig, phase: np.ndarray, style: np.ndarray) -> Frames:
    """Closed at 0, open at 0.5; in the air before each, knees give on landing."""
    L, count, still = rig.leg, len(phase), np.zeros(len(phase))
    out = _curve(phase, {0.0: 0, 0.1: 0, 0.18: 0.08, 0.4: 1, 0.5: 1, 0.6: 1, 0.68: 0.92, 0.9: 0})
    air = sum(_hop(phase, take_off) for take_off in (0.15, 0.65))  # 0 to 1
    dip = _curve(
        phase,
        {0.0: 1.0, 0.1: 0.75, 0.17: 0.0, 0.36: 0.0, 0.5: 1.0, 0.6: 0.75, 0.67: 0.0, 0.86: 0.0},
    )
    height = 0.09 * L * style[0]
    # Spread legs reach less far down: what the reach costs is taken off here, not left to the settling of one frame.
    spread = 0.46 * L * style[1]
    cost = L - np.sqrt(L**2 - (spread * out) ** 2)
    pelvis = np.column_stack([still, height * air - 0.032 * L * dip - cost - 0.004 * L, still])
    hips, spine = (
        _turns("yxz", still, 2 + 3 * dip, still),
        _turns("yxz", still, 1 + 1.5 * dip, still),
    )
    neck = _turns("yxz", still, -2 - 2 * dip, still)
    feet, arms = {}, {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        x = sign * (0.85 * rig.hip_width + spread * out)
        feet[side] = Foot(
            np.column_stack([x, still]), height * air,
            np.radians(26 * air), sign * np.radians(5 + 13 * out),
        )  # fmt: skip
        arms[side] = _arm(
            count, 14 + 142 * style[2] ** 0.3 * out, 2 + 6 * out, 14 + 16 * out, 0.0, -4 + 24 * out
        )
    return Frames(pelvis, hips, spine, neck, feet, arms)


def _hop(phase: np.ndarray, take_off: float, duration: float = 0.24) -> np.ndarray:
    """Height of a jump over its greatest: a parabola in the air, 0 on the floor."""
    s = (phase - take_off) / duration
    return np.where((s > 0) & (s < 1), 4 * s * (1 - s), 0.0)


def _turn(rig: Rig, phase: np.ndarray, style: np.ndarray) -> Frames:
    """Once around on the spot to the left in twelve small steps, the arms a little out."""
    L, count, still = rig.leg, len(phase), np.zeros(len(phase))
    beats = 6
    around = 360.0 * phase
    pelvis = np.column_stack([still, -0.018 * L - 0.008 * L * _wave(phase, 0.04, 2 * beats), still])
    sway = 0.018 * style[0] * _wave(phase, 0.25 / beats, beats)  # onto the foot that stands
    pelvis += _turns("y", around).apply(np.column_stack([sway, still, still]))
    feet, arms = {}, {}
    for side, sign, start in (("left", 1.0, 0.0), ("right", -1.0, 0.5)):
        local = (phase * beats - start + 0.25) % 1.0
        steps = np.floor(phase * beats - start + 0.25) + start - 0.25
        s = np.clip(local / 0.5, 0, 1)
        eased = s * s * (3 - 2 * s)
        yaw = np.radians(360.0 / beats * (steps + eased)) - np.radians(0.25 * 360 / beats)
        x = sign * 0.95 * rig.hip_width
        ground = np.column_stack([x * np.cos(yaw), -x * np.sin(yaw)])
        lift = 0.05 * L * style[1] * np.sin(np.pi * s) ** 2
        pitch = np.radians(22 * np.sin(np.pi * s) ** 2)
        feet[side] = Foot(ground, lift, pitch, yaw + sign * np.radians(5))
        move = sign * _wave(phase, 0.0, beats)
        arms[side] = _arm(
            count, 20 + 4 * style[2] + 2 * move, 4 + 7 * style[3] * move, 26 + 5 * move, -16.0
        )
    sway_deg = _wave(phase, 0.25 / beats, beats)
    hips = _turns("yxz", around, still + 2, 1.2 * sway_deg)
    spine = _turns("yxz", still + 3.5, still + 1, -0.5 * sway_deg)
    neck = _turns("yxz", still + 6, still - 2, still)
    return Frames(pelvis, hips, spine, neck, feet, arms)


# How each is built, and the seconds of one loop.
MOTIONS: dict[str, tuple[Callable[[Rig, np.ndarray, np.ndarray], Frames], float]] = {
    "walk": (_walk, 1.1),
    "dance": (_dance, 2.4),
    "jumping-jack": (_jumping_jack, 1.4),
    "turn": (_turn, 5.4),
}
