"""Skin, face and plain underwear painted on the body."""

import numpy as np

from avatarpipe.synthetic.figure import JOINT, Figure
from avatarpipe.synthetic.hair import above_hairline
from avatarpipe.synthetic.noise import bump, noise, smoothstep
from avatarpipe.synthetic.traits import Traits


def skin_painter(figure: Figure, traits: Traits):
    """The paint of the body layer; it needs the attributes rest, eyes, lips and lid."""
    face = _Face(figure, traits)

    def paint(a: dict[str, np.ndarray]) -> np.ndarray:
        rest = a["rest"]
        color = _tone(traits, rest)
        color = face.flush(color, rest, a["lips"])
        color = face.scalp(color, rest)
        color = face.brows(color, rest)
        color = _lids(color, a["lid"])
        color = _underwear(figure, traits, color, rest)
        return face.eyeballs(color, rest, a["eyes"])

    return paint


def _tone(traits: Traits, rest: np.ndarray) -> np.ndarray:
    base = np.broadcast_to(np.array(traits.skin), rest.shape)
    broad, mottled, pores = (
        noise(rest / 0.16, 11, 2),
        noise(rest / 0.022, 12, 2),
        noise(rest / 0.004, 13, 2),
    )
    color = base * (1.0 + 0.035 * broad + 0.03 * mottled + 0.022 * pores)[:, None]
    return color * (1.0 + np.array([0.02, -0.012, -0.012]) * mottled[:, None])


def _mix(color: np.ndarray, other, amount: np.ndarray) -> np.ndarray:
    return color + (np.asarray(other) - color) * np.clip(amount, 0, 1)[:, None]


def _lids(color: np.ndarray, lid: np.ndarray) -> np.ndarray:
    """lid: (N,) metres from skin to the nearer eyeball: lashes at the rim, a faint shadow around."""
    color = _mix(color, color * [0.80, 0.70, 0.70], 0.6 * smoothstep(lid, 0.014, 0.003))
    return _mix(color, [0.10, 0.07, 0.06], 0.85 * smoothstep(lid, 0.0024, 0.0010))


class _Face:
    """Where things are on this face, in rest coordinates relative to the point between the eyes; d: distance of the eyes."""

    def __init__(self, figure: Figure, traits: Traits):
        self.figure, self.traits = figure, traits
        self.left, self.right = (figure.rest_joints[JOINT[f"{s}_eye"]] for s in ("left", "right"))
        self.middle = 0.5 * (self.left + self.right)
        self.d = self.left[0] - self.right[0]
        head = figure.rest[figure.head > 0.9]
        self.mouth = self.middle - np.array([0, 1.12 * self.d, 0])
        if figure.lips.max() > 0.5:
            self.mouth = figure.rest[figure.lips > 0.5].mean(axis=0)
        near = np.abs(head[:, 0]) < 0.02
        low = head[near & (head[:, 2] > self.middle[2] - 0.03), 1].min()
        self.chin_y = low

    def flush(self, color: np.ndarray, rest: np.ndarray, lips: np.ndarray) -> np.ndarray:
        """Lips, blood in cheeks, nose and ears, and the shade of a beard."""
        x, y, z = ((rest - self.middle) / self.d).T
        front = smoothstep(z, -0.6, 0.0)
        cheek = bump(np.abs(x), 0.62, 0.28) * bump(y, -0.62, 0.3) + 0.7 * bump(x, 0, 0.2) * bump(
            y, -0.66, 0.25
        )
        color = _mix(color, color * [1.05, 0.84, 0.82], 0.55 * cheek * front)
        if self.traits.beard > 0:
            color = self._beard(color, rest)
        female = self.traits.gender == "female"
        tint = np.array([0.90, 0.74, 0.81]) if female else np.array([0.90, 0.76, 0.73])
        crease = noise(np.column_stack([x * 26, y * 3, z * 3]), 17, 2)
        return _mix(color, color * tint * (1 + 0.05 * crease)[:, None], smoothstep(lips, 0.4, 0.9))

    def _beard(self, color, rest):
        x, y, z = ((rest - self.middle) / self.d).T
        mouth = (self.mouth[1] - self.middle[1]) / self.d
        chin = (self.chin_y - self.middle[1]) / self.d
        jaw = smoothstep(y, mouth + 0.38 - 0.1 * np.abs(x), mouth - 0.25) * smoothstep(
            y, chin - 0.55, chin + 0.05
        )
        side = (
            smoothstep(np.abs(x), 0.75, 1.0)
            * smoothstep(y, -0.3, -0.75)
            * smoothstep(y, chin - 0.4, chin)
        )
        moustache = bump(y, mouth + 0.27, 0.14) * smoothstep(np.abs(x), 0.5, 0.32)
        amount = np.clip(jaw + side + moustache, 0, 1) * smoothstep(z, -1.35, -0.8)
        grain = 0.75 + 0.25 * noise(rest / 0.0022, 23, 2)
        strength = 0.18 + 0.5 * self.traits.beard
        return _mix(color, np.array(self.traits.hair) * 0.9 + 0.04, strength * amount * grain)

    def scalp(self, color, rest):
        """Stubble at the roots, so that the hairline is soft and no bare skin shines through the hair."""
        head = smoothstep(rest[:, 1], self.middle[1] - 1.9 * self.d, self.middle[1] - 1.5 * self.d)
        amount = smoothstep(above_hairline(self.figure, self.traits, rest), -0.06, 0.10)
        grain = 0.8 + 0.3 * noise(rest / 0.0025, 29, 2)
        return _mix(color, np.array(self.traits.hair) * 0.85, 0.85 * amount * head * grain)

    def brows(self, color, rest):
        """Two arcs of short hairs above the eyes."""
        x, y, z = ((rest - self.middle) / self.d).T
        t = (np.abs(x) - 0.20) / 0.62
        arc = 0.345 + 0.075 * np.sin(np.clip(t, 0, 1) * 2.4) - 0.12 * np.clip(t - 0.6, 0, 1)
        female = self.traits.gender == "female"
        width = (0.055 if female else 0.085) * (1.0 - 0.55 * np.clip(t, 0, 1) ** 2)
        inside = smoothstep(np.abs(y - arc), width, 0.35 * width)
        inside = (
            inside
            * smoothstep(t, -0.06, 0.08)
            * smoothstep(t, 1.05, 0.85)
            * smoothstep(z, -0.7, -0.3)
        )
        hairs = noise(np.column_stack([x * 34 + y * 30, y * 9, z * 2]), 37, 2)
        return _mix(color, np.array(self.traits.hair) * 0.75, inside * (0.78 + 0.35 * hairs))

    def eyeballs(self, color, rest, eyes):
        """Sclera with a warm rim, a ringed and streaked iris, a pupil and a catch light."""
        centre = np.where(eyes[:, None] > 0, self.left, self.right)
        x, y, z = (rest - centre).T
        angle = np.arctan2(np.hypot(x, y), z)
        ring = np.arctan2(y, x)
        sclera = (
            np.array([0.90, 0.87, 0.84]) * (1 - 0.18 * smoothstep(np.abs(x), 0.006, 0.012))[:, None]
        )
        streaks = noise(np.column_stack([np.cos(ring) * 5, np.sin(ring) * 5, angle * 4]), 41, 2)
        iris = (
            np.array(self.traits.iris)
            * (1.0 + 0.5 * streaks + 0.5 * bump(angle, 0.28, 0.08))[:, None]
        )
        eye = _mix(sclera, np.clip(iris, 0, 1), smoothstep(angle, 0.52, 0.47))
        eye = _mix(eye, [0.09, 0.07, 0.06], 0.75 * bump(angle, 0.49, 0.05))
        eye = _mix(eye, [0.03, 0.03, 0.03], smoothstep(angle, 0.22, 0.19))
        shade = 1.0 - 0.35 * smoothstep(y, 0.0015, 0.007)
        glint = smoothstep(np.hypot(x - 0.0026, y - 0.0030), 0.0017, 0.0009) * (z > 0)
        eye = _mix(eye * shade[:, None], [1.0, 1.0, 1.0], 0.9 * glint)
        return np.where(np.abs(eyes)[:, None] > 0.5, eye, color)


def _underwear(figure: Figure, traits: Traits, color, rest):
    """Briefs, and a plain top on a woman."""
    joints = figure.rest_joints
    hip = joints[[JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=0)
    pelvis_to_chest = joints[JOINT["neck"], 1] - hip[1]
    x, y, _ = (rest - hip).T
    leg_line = -0.035 * pelvis_to_chest / 0.5 - 0.14 + 0.55 * np.abs(x)
    rise = 0.20 * pelvis_to_chest
    body = np.abs(x) < 0.30
    cloth = np.minimum(rise - y, y - leg_line)
    cloth = np.where(body, cloth, -1.0)
    edge = np.abs(y - (rise - 0.022)) < 0.002
    if traits.gender == "female":
        neck = joints[JOINT["neck"]]
        arm_hole = 0.155 - np.abs(x) + 0.5 * np.maximum(0.80 * pelvis_to_chest - y, 0)
        neckline = np.maximum(0.80 * pelvis_to_chest - y, 0.035 - np.abs(np.abs(x) - 0.085))
        below_neck = neck[1] - 0.045 - hip[1] - y
        top = np.minimum.reduce([y - 0.42 * pelvis_to_chest, arm_hole, neckline, below_neck])
        cloth = np.maximum(cloth, np.where(body, top, -1.0))
    female = traits.gender == "female"  # skin-toned, as worn under light clothes
    dye = 0.82 * np.array(traits.skin) + 0.10 if female else np.array([0.24, 0.26, 0.32])
    weave = 1.0 + 0.04 * noise(rest / 0.003, 51, 2)
    weave = weave * np.where(edge, 0.88, 1.0)
    return _mix(color, dye * weave[:, None], smoothstep(cloth, -0.0012, 0.0012))
