"""T-shirts, long-sleeved shirts, hoodies and button shirts: hung on the torso and arms, folded, hemmed, painted."""

import numpy as np

from avatarpipe.capture.labels import Label
from avatarpipe.synthetic.cloth import Scene, cleared, displaced, extract, sewn, soft_steps
from avatarpipe.synthetic.fabrics import creased, fabric_color, seam
from avatarpipe.synthetic.fields import distance_field, drape, smooth_min
from avatarpipe.synthetic.figure import JOINT
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.noise import bump, noise, ridges, smoothstep
from avatarpipe.synthetic.sheets import smoothing
from avatarpipe.synthetic.traits import Traits

SLEEVE_END = {"tshirt": 0.68, "longsleeve": 1.93, "hoodie": 1.95, "shirt": 1.95}
_EASE = {
    "tshirt": 0.016,
    "longsleeve": 0.012,
    "hoodie": 0.026,
    "shirt": 0.015,
}  # metres off the body


def upper_field(
    scene: Scene, traits: Traits, lower: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The garment's level set before folds and cuts, and the (S,) samples that it hangs on."""
    figure, rest = scene.figure, scene.sample_rest
    limb = figure.limb(rest, "arm")
    end = SLEEVE_END[traits.upper_kind]
    knee = figure.rest_joints[JOINT["left_knee"], 1]
    worn = (scene.shares["head"] < 0.5) & (scene.shares["hand"] < 0.9) & (rest[:, 1] > knee + 0.15)
    worn &= (scene.shares["arm"] < 0.5) | (limb < end + 0.25)
    body = distance_field(scene.grid, scene.samples, scene.sample_normals, worn)
    ease = scene.grid.blurred(
        body.spread(_ease(figure, traits, rest, limb, scene.shares["arm"]), 0.02), 0.012
    )
    cloth = scene.grid.blurred(body.distance, 0.013) - ease
    arm = scene.grid.blurred(body.spread(scene.shares["arm"].astype(np.float32)), 0.02)
    above = body.spread(-_neck_cut(figure, traits, rest).astype(np.float32), -1.0)
    cap = np.minimum(above - 0.03, 0.05)
    cloth = np.maximum(cloth, cap).astype(np.float32)
    narrowing = (0.42 + 0.35 * arm).astype(np.float32)
    hung = drape(cloth, narrowing * np.float32(scene.grid.spacing))
    gap = 0.055 - 0.03 * arm
    cloth = smooth_min(cloth, np.maximum(hung, body.distance - gap), 0.012)
    if traits.upper_kind == "hoodie":
        cloth = smooth_min(cloth, _hood(scene), 0.03)
    if lower is not None:
        hem = _hem_height(figure, traits)
        height = body.spread(rest[:, 1].astype(np.float32), -9.0)
        cloth = np.minimum(cloth, np.where(height > hem - 0.05, lower - 0.008, 1.0))
    return np.maximum(np.minimum(cloth, body.distance - 0.004), cap).astype(np.float32), worn


def _ease(figure, traits, rest, limb, arm_share) -> np.ndarray:
    """(S,) how far the cloth stands off the skin: little on shoulders, more at the waist and toward the cuff."""
    ease = np.full(len(rest), _EASE[traits.upper_kind])
    shoulder = figure.rest_joints[JOINT["left_shoulder"], 1]
    pelvis = figure.rest_joints[JOINT["pelvis"], 1]
    height = (rest[:, 1] - pelvis) / (shoulder - pelvis)
    ease += 0.012 * smoothstep(height, 0.8, 0.15) * (1 - arm_share)
    ease *= 1.0 - 0.62 * smoothstep(height, 0.86, 1.02) * smoothstep(np.abs(rest[:, 0]), 0.3, 0.16)
    flare = {"tshirt": 0.010}.get(traits.upper_kind, -0.006)
    return ease + arm_share * flare * smoothstep(limb, 0.15, SLEEVE_END[traits.upper_kind])


def _hood(scene: Scene) -> np.ndarray:
    """A hood lying on the upper back: a thick ring around the neck, fuller behind."""
    figure, grid = scene.figure, scene.grid
    neck, head = figure.joints[JOINT["neck"]], figure.joints[JOINT["head"]]
    field = np.full(grid.shape, 1.0, np.float32)
    axes = [grid.origin[k] + grid.spacing * np.arange(grid.shape[k]) for k in range(3)]
    box = tuple(
        slice(*np.searchsorted(axes[k], neck[k] + np.array([-0.22, 0.22]))) for k in range(3)
    )
    x, y, z = np.meshgrid(*(axes[k][box[k]] for k in range(3)), indexing="ij")
    x, z = x - neck[0], z - neck[2] + 0.012
    behind = smoothstep(-z, -0.04, 0.10)
    y = (
        y
        - neck[1]
        - 0.012
        - 0.25 * (head - neck)[1]
        + 0.55 * np.maximum(z, 0)
        + 0.15 * np.maximum(-z, 0)
    )
    ring = np.hypot(np.hypot(x, z * 0.9) - 0.082 - 0.022 * behind, y * (1 - 0.35 * behind))
    field[box] = ring - 0.017 - 0.020 * behind
    return field


def _hem_height(figure, traits: Traits) -> float:
    pelvis = figure.rest_joints[JOINT["pelvis"], 1]
    hip = figure.rest_joints[JOINT["left_hip"], 1]
    return min(pelvis, hip) - {"hoodie": 0.035, "shirt": 0.085}.get(traits.upper_kind, 0.065)


def _neck_cut(figure, traits: Traits, rest: np.ndarray) -> np.ndarray:
    """(N,) metres below the neckline."""
    neck = figure.rest_joints[JOINT["neck"]]
    x, y, z = (rest - neck).T
    if traits.upper_kind == "hoodie":
        return 0.055 - y - 0.75 * np.maximum(z - 0.01, 0) + 1.5 * x**2
    if traits.upper_kind == "shirt":
        slit = 0.6 * smoothstep(np.abs(x), 0.035, 0.0) * np.maximum(z - 0.02, 0)
        return 0.020 - y - 0.45 * z - slit + 2.2 * x**2
    return -0.004 - y - 0.62 * z + 1.5 * x**2


def make_upper(
    scene: Scene, traits: Traits, field: np.ndarray, worn: np.ndarray, below: list
) -> Layer:
    """The garment as a layer; `below` lists surfaces (vertices, faces) that it must stay outside of."""
    figure = scene.figure
    vertices, faces, rest, arm = extract(scene, field, worn)
    limb, around = figure.limb(rest, "arm"), figure.around(rest, "arm")
    on_arm = smoothstep(arm, 0.3, 0.7)
    cuff = (SLEEVE_END[traits.upper_kind] - limb) * 0.27
    hem = (
        rest[:, 1] - _hem_height(figure, traits) + 0.008 * noise(rest * [7, 0, 7], traits.seed + 3)
    )
    height = vertices[:, 1] - figure.joints[JOINT["pelvis"], 1]
    pelvis = figure.rest_joints[JOINT["pelvis"], 1]
    hem = np.minimum(hem, height + pelvis - _hem_height(figure, traits) + 0.012)
    neck = _neck_cut(figure, traits, rest)
    keep = np.minimum.reduce([np.where(arm > 0.3, cuff, 1.0), np.where(arm < 0.5, hem, 1.0), neck])
    folds = _folds(figure, traits, rest, limb, around, on_arm) * smoothstep(keep, -0.01, 0.05)
    amount = folds + _trims(traits, cuff, hem, neck, arm)
    vertices = displaced(vertices, faces, amount)
    for surface in below:
        vertices = cleared(vertices, surface)
    smooth = smoothing(faces, len(vertices))
    keep = soft_steps(smooth, keep, 3)
    carried = np.column_stack([rest, limb, around, arm, cuff, hem, neck, folds])
    vertices, faces, carried = sewn(vertices, faces, carried, keep, 0.0022)
    names = ("limb", "around", "arm", "cuff", "hem", "neck", "fold", "keep", "inside")
    attributes = {"rest": carried[:, :3], **dict(zip(names, carried[:, 3:].T, strict=True))}
    return Layer(
        "upper", Label.UPPER, vertices, faces, attributes, _painter(figure, traits),
        np.where(attributes["inside"] > 0.5, 0.35, 1.15), kind=traits.upper_kind,
    )  # fmt: skip


def _folds(figure, traits, rest, limb, around, on_arm) -> np.ndarray:
    """(V,) metres of folds: hanging ones below the chest, pulls from the armpits, rings at waist and elbow."""
    seed, x, y, z = traits.seed * 31 + 7, *rest.T
    shoulder, pelvis = (figure.rest_joints[JOINT[n], 1] for n in ("left_shoulder", "pelvis"))
    height = (y - pelvis) / (shoulder - pelvis)
    hang = noise(np.column_stack([x * 13, y * 3.2, z * 13]), seed, 2) * smoothstep(height, 0.8, 0.0)
    pull_axis = np.abs(x) * 0.75 + y * 0.66
    across = np.abs(x) * 0.66 - y * 0.75
    pull = ridges(np.column_stack([pull_axis * 5, across * 22, z * 5]), seed + 1, 2) - 0.5
    pull *= bump(height, 0.72, 0.24) * smoothstep(np.abs(x), 0.03, 0.14)
    sag = ridges(np.column_stack([x * 5, y * 21 + 2.0 * np.abs(x), z * 7]), seed + 2, 2) - 0.45
    sag *= bump(height, 0.12, 0.22)
    torso = 0.012 * hang + 0.018 * pull + 0.017 * sag
    twist = limb * 7 + 0.9 * np.cos(around + seed)
    rings = (
        ridges(np.column_stack([twist, 0.9 * np.cos(around), 0.9 * np.sin(around)]), seed + 3, 2)
        - 0.45
    )
    near_elbow = 0.35 + bump(limb, 1.02, 0.28) + 0.8 * bump(limb, 1.8, 0.16)
    sleeve = 0.014 * rings * near_elbow + 0.006 * noise(rest * 16, seed + 4, 2)
    loose = 1.25 if traits.upper_kind == "hoodie" else 1.0
    return loose * ((1 - on_arm) * torso + on_arm * sleeve)


def _trims(traits, cuff, hem, neck, arm) -> np.ndarray:
    """(V,) metres that collar, cuffs and hem stand out, and the pocket of a hoodie."""
    band = 0.03 if traits.upper_kind != "hoodie" else 0.055
    edge = smoothstep(neck, 0.026, 0.018) * (neck > 0)
    out = 0.0016 * np.clip(edge, 0, 1)
    if traits.upper_kind in ("hoodie", "longsleeve", "shirt"):
        out = out + 0.0012 * smoothstep(cuff, band + 0.004, band) * (arm > 0.3)
    if traits.upper_kind == "hoodie":
        out = out - 0.006 * smoothstep(hem, 0.06, 0.0) * (arm < 0.5)
    return out


def _painter(figure, traits: Traits):
    neck = figure.rest_joints[JOINT["neck"]]
    middle = figure.rest_joints[JOINT["spine2"], 2]
    length = np.linalg.norm(
        figure.rest_joints[JOINT["left_elbow"]] - figure.rest_joints[JOINT["left_shoulder"]]
    )
    trim = (
        np.array(traits.upper.third if traits.upper_kind == "tshirt" else traits.upper.base) * 0.82
    )

    def paint(a: dict[str, np.ndarray]) -> np.ndarray:
        x, y, z = a["rest"].T
        sleeve = (a["arm"] > 0.45) & (a["limb"] > 0.04)
        u = np.where(sleeve, a["around"] * 0.055, _around_torso(x, z - middle))
        v = np.where(sleeve, a["limb"] * length, y)
        color = fabric_color(traits.upper, u, v)
        armhole = np.where(a["arm"] > 0.05, (a["limb"] - 0.04) * length, 1.0)
        color = color * seam(armhole)[:, None]
        band = {"tshirt": 0.020, "longsleeve": 0.018, "hoodie": 0.03, "shirt": 0.035}[
            traits.upper_kind
        ]
        for edge, width in (
            (a["neck"], band),
            (np.where(a["arm"] > 0.3, a["cuff"], 1.0), band * 0.9),
        ):
            inside_band = smoothstep(edge, width + 0.001, width - 0.001)
            if edge is a["neck"] or traits.upper_kind in ("hoodie", "longsleeve"):
                color = color + (trim - color) * inside_band[:, None]
            color = color * seam(edge - width, 0.0025)[:, None]
        color = color * seam(np.where(a["arm"] < 0.5, a["hem"], 1.0) - 0.018, 0.0022)[:, None]
        color = color * creased(a["fold"])[:, None]
        color = _details(traits, color, x, y - neck[1], z > neck[2], a)
        return np.where(a["inside"][:, None] > 0.5, color * 0.72, color)

    return paint


def _around_torso(x: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(N,) metres across front or back, running on around the sides."""
    flank = np.clip(0.11 - np.abs(depth), 0.0, 0.11) * smoothstep(np.abs(x), 0.09, 0.16)
    return x + np.sign(x) * flank


def _details(traits, color, x, y, front, a) -> np.ndarray:
    """Placket, buttons and breast pocket of a shirt; pouch, cords and zip of a hoodie; a chest print on plain cloth."""
    torso = front & (a["arm"] < 0.5) & (a["neck"] > 0)
    if traits.upper_kind == "shirt":
        placket = torso & (np.abs(x) < 0.017)
        color = np.where(placket[:, None], color * 0.93, color)
        color = color * np.where(torso, seam(np.abs(x) - 0.017, 0.002), 1.0)[:, None]
        along = (y / 0.082) - np.floor(y / 0.082) - 0.5
        button = torso & (np.hypot(x, along * 0.082) < 0.0062)
        color = np.where(button[:, None], np.array([0.93, 0.91, 0.86]), color)
        px, py = np.abs(x - 0.085) - 0.05, np.abs(y + 0.165) - 0.058
        rim = np.where(torso, np.maximum(px, py), 1.0)
        color = color * seam(rim, 0.0025)[:, None]
    if traits.upper_kind == "hoodie":
        side = np.abs(x) - 0.15 + 0.35 * np.maximum(y + 0.36, -0.06)
        pouch = np.maximum(np.maximum(side, y + 0.30), -0.47 - y)
        color = color * seam(np.where(torso, pouch, 1.0), 0.003)[:, None]
        cord = (
            torso
            & (np.abs(np.abs(x) - 0.035 - 0.004 * np.sin(y * 40)) < 0.0035)
            & (y > -0.22)
            & (y < -0.03)
        )
        color = np.where(cord[:, None], np.array([0.92, 0.91, 0.88]), color)
    if traits.upper.kind == "plain":
        color = _chest_print(traits, color, x, y, torso)
    return color


def _chest_print(traits, color, x, y, torso) -> np.ndarray:
    """Three bars within a ring."""
    radius = np.hypot(x, y + 0.19)
    ring = torso & (np.abs(radius - 0.075) < 0.008)
    bars = torso & (radius < 0.06) & (np.mod(y, 0.03) < 0.014)
    color = np.where(ring[:, None], np.array(traits.upper.second), color)
    return np.where(bars[:, None], np.array(traits.upper.third), color)
