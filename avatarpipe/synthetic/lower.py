"""Trousers and skirts."""

import numpy as np

from avatarpipe.capture.labels import Label
from avatarpipe.synthetic.cloth import Scene, cleared, displaced, extract, sewn, soft_steps
from avatarpipe.synthetic.fabrics import creased, fabric_color, seam, stitches
from avatarpipe.synthetic.fields import distance_field, drape, smooth_min
from avatarpipe.synthetic.figure import JOINT
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.noise import bump, noise, ridges, smoothstep
from avatarpipe.synthetic.sheets import smoothing
from avatarpipe.synthetic.traits import Traits

_SKIRT_END, _TROUSER_END = 0.88, 2.01  # along the leg: 0 hip, 1 knee, 2 ankle


def lower_field(scene: Scene, traits: Traits) -> tuple[np.ndarray, np.ndarray]:
    """The garment's level set before folds and cuts, and the (S,) samples that it hangs on."""
    figure, rest = scene.figure, scene.sample_rest
    waist = _waist_height(figure)
    worn = (rest[:, 1] < waist + 0.12) & (scene.shares["arm"] < 0.3)
    ids = np.flatnonzero(scene.shares["arm"] < 0.3)
    body = distance_field(scene.grid, scene.samples[ids], scene.sample_normals[ids], worn[ids])
    limb = figure.limb(rest, "leg")
    skirt = traits.lower_kind == "skirt"
    ease = (
        0.009
        + (0.0 if skirt else 0.012) * smoothstep(limb, 0.1, 1.2)
        + 0.005 * smoothstep(limb, 1.5, 2.0)
    )
    ease = scene.grid.blurred(body.spread(ease[ids].astype(np.float32), 0.012), 0.012)
    cloth = scene.grid.blurred(body.distance, 0.010) - ease
    step = np.float32(scene.grid.spacing)
    if skirt:
        cloth = smooth_min(cloth, _skirt_cone(scene), 0.03)
        cloth = drape(cloth, np.zeros(cloth.shape, np.float32))
    else:
        hung = drape(cloth, np.full(cloth.shape, 0.55 * step, np.float32))
        cloth = smooth_min(cloth, np.maximum(hung, body.distance - 0.042), 0.012)
    return np.minimum(cloth, body.distance - 0.004).astype(np.float32), worn


def _waist_height(figure) -> float:
    pelvis, spine = (figure.rest_joints[JOINT[n], 1] for n in ("pelvis", "spine2"))
    return pelvis + 0.45 * (spine - pelvis) + 0.01


def _skirt_cone(scene: Scene) -> np.ndarray:
    """A cone from the hips down with pleats, around both legs."""
    figure, grid = scene.figure, scene.grid
    hips = figure.joints[[JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=0)
    knees = figure.joints[[JOINT["left_knee"], JOINT["right_knee"]]]
    centre_low = knees.mean(axis=0)
    x, y, z = (grid.origin[k] + grid.spacing * np.arange(grid.shape[k]) for k in range(3))
    t = (hips[1] - y) / (hips[1] - centre_low[1])
    cx = hips[0] + (centre_low[0] - hips[0]) * t
    cz = hips[2] + (centre_low[2] - hips[2]) * t
    spread = np.ptp(knees, axis=0)
    wide = 0.165 + (0.035 + 0.5 * max(spread[0] - 0.22, 0)) * t
    deep = 0.115 + (0.055 + 0.5 * spread[2]) * t
    dx = (x[:, None] - cx[None])[:, :, None] / wide[None, :, None]
    dz = (z[None, :] - cz[:, None])[None] / deep[None, :, None]
    radius = np.sqrt(dx**2 + dz**2)
    cone = (radius - 1.0) * np.minimum(wide, deep)[None, :, None]
    return np.where((t < 0.05)[None, :, None], 0.1, cone).astype(np.float32)


def make_lower(
    scene: Scene, traits: Traits, field: np.ndarray, worn: np.ndarray, below: list
) -> Layer:
    """The garment as a layer; `below` lists surfaces (vertices, faces) that it must stay outside of."""
    figure = scene.figure
    vertices, faces, rest, _ = extract(scene, field, worn)
    limb, around = figure.limb(rest, "leg"), figure.around(rest, "leg")
    waist = _waist_height(figure) - rest[:, 1]
    skirt = traits.lower_kind == "skirt"
    smooth = smoothing(faces, len(vertices))
    if skirt:
        hips, knees = (figure.joints[JOINT[f"left_{n}"], 1] for n in ("hip", "knee"))
        limb = soft_steps(smooth, (hips - vertices[:, 1]) / (hips - knees), 2)
    hem = ((_SKIRT_END if skirt else _TROUSER_END) - limb) * 0.4
    hem = hem + 0.006 * noise(rest * 8, traits.seed + 5)
    keep = soft_steps(smooth, np.minimum(waist, hem), 3)
    folds = _folds(figure, traits, vertices, rest, limb, around) * smoothstep(waist, 0.0, 0.06)
    amount = folds + 0.0015 * smoothstep(waist, 0.042, 0.036)
    vertices = displaced(vertices, faces, amount)
    for surface in below:
        vertices = cleared(vertices, surface)
    hung = vertices - figure.joints[JOINT["pelvis"]]
    carried = np.column_stack([rest, hung, limb, around, waist, hem, folds])
    vertices, faces, carried = sewn(vertices, faces, carried, keep, 0.0022)
    names = ("limb", "around", "waist", "hem", "fold", "keep", "inside")
    attributes = {
        "rest": carried[:, :3],
        "hung": carried[:, 3:6],
        **dict(zip(names, carried[:, 6:].T, strict=True)),
    }
    return Layer(
        "lower", Label.LOWER, vertices, faces, attributes, _painter(figure, traits),
        np.where(attributes["inside"] > 0.5, 0.35, 0.9), kind=traits.lower_kind,
    )  # fmt: skip


def _folds(figure, traits, vertices, rest, limb, around) -> np.ndarray:
    """(V,) metres of folds: pulls at the crotch, rings behind the knee, a stack above the shoe; pleats on a skirt."""
    seed, (x, y, z) = traits.seed * 17 + 3, rest.T
    if traits.lower_kind == "skirt":
        middle = figure.joints[JOINT["pelvis"]]
        angle = np.arctan2(vertices[:, 0] - middle[0], vertices[:, 2] - middle[2])
        circle = np.column_stack([3.2 * np.cos(angle), 3.2 * np.sin(angle), vertices[:, 1] * 1.5])
        return 0.020 * noise(circle, seed, 2) * smoothstep(limb, -0.1, 0.7)
    circle = 0.8 * np.column_stack([np.cos(around), np.sin(around)])
    rings = (
        ridges(np.column_stack([limb * 8 + 0.8 * np.cos(around + 1), *circle.T]), seed, 2) - 0.45
    )
    stack = (
        ridges(np.column_stack([limb * 15 + 0.5 * np.sin(2 * around), *circle.T]), seed + 1, 2)
        - 0.4
    )
    where = 0.22 + 0.8 * bump(limb, 1.02, 0.2)
    crotch = (
        ridges(
            np.column_stack([np.abs(x) * 12 + y * 12, np.abs(x) * 4 - y * 5, z * 5]), seed + 2, 2
        )
        - 0.45
    )
    soft = noise(np.column_stack([limb * 3, 1.3 * circle[:, 0], 1.3 * circle[:, 1]]), seed + 3, 2)
    return (
        0.015 * rings * where + 0.015 * stack * smoothstep(limb, 1.5, 1.9)
        + 0.013 * crotch * bump(limb, 0.06, 0.22) + 0.005 * soft
    )  # fmt: skip


def _painter(figure, traits: Traits):
    shin = np.linalg.norm(
        figure.rest_joints[JOINT["left_knee"]] - figure.rest_joints[JOINT["left_hip"]]
    )
    hip = figure.rest_joints[JOINT["left_hip"]]
    denim = traits.lower.kind == "denim"
    thread = np.array(traits.lower.third)

    def paint(a: dict[str, np.ndarray]) -> np.ndarray:
        x, y, z = a["rest"].T
        side = np.where(x >= 0, 1.0, -1.0)
        u = side * a["around"] * 0.085
        if traits.lower_kind == "skirt":
            u, y = 0.19 * np.arctan2(a["hung"][:, 0], a["hung"][:, 2]), a["hung"][:, 1]
        color = fabric_color(traits.lower, u, y) * creased(a["fold"])[:, None]
        if denim:
            worn = bump(a["limb"], 0.55, 0.35) * np.maximum(np.cos(a["around"]), 0) ** 2
            worn = worn + 0.5 * bump(a["limb"], 1.05, 0.2) * np.maximum(np.cos(a["around"]), 0)
            fade = worn * (0.8 + 0.5 * noise(a["rest"] * 30, traits.seed, 2))
            color = (
                color
                + (np.array(traits.lower.second) - color) * (0.38 * np.clip(fade, 0, 1))[:, None]
            )
        color = (
            color
            * seam(a["waist"] - 0.040, 0.0025)[:, None]
            * seam(a["hem"] - 0.022, 0.0022)[:, None]
        )
        if traits.lower_kind == "trousers":
            color = _trouser_details(color, a, x, y - hip[1], z > hip[2], thread, denim, shin)
        return np.where(a["inside"][:, None] > 0.5, color * 0.72, color)

    return paint


def _trouser_details(color, a, x, y, front, thread, denim: bool, length: float) -> np.ndarray:
    """Side seams, fly, pockets, belt with buckle and loops."""
    outer = (np.abs(np.abs(a["around"]) - np.pi / 2)) * 0.085
    seam_line = np.where((a["limb"] > -0.1), outer, 1.0)
    color = color * seam(seam_line, 0.0025)[:, None]
    fly = np.where(front & (a["waist"] > 0.04) & (a["waist"] < 0.17), np.abs(x - 0.012), 1.0)
    color = color * seam(fly, 0.002)[:, None]
    curve = np.where(front, np.hypot(np.abs(x) - 0.155, a["waist"] - 0.045) - 0.075, 1.0)
    color = color * seam(np.where(a["waist"] > 0.04, curve, 1.0), 0.003)[:, None]
    px, py = np.abs(np.abs(x) - 0.085) - 0.062, np.abs(a["waist"] - 0.165) - 0.065
    patch = np.where(
        ~front & (a["waist"] > 0.05), np.maximum(px, py + 0.2 * np.abs(np.abs(x) - 0.085)), 1.0
    )
    color = color * seam(patch, 0.0028)[:, None]
    if denim:
        dashes = stitches(seam_line, a["limb"] * length, 0.006) + stitches(
            np.abs(patch), x + y, 0.006
        )
        dashes = (
            dashes + stitches(np.abs(curve), x + y, 0.006) + stitches(a["hem"] - 0.022, x, 0.004)
        )
        color = color + (thread - color) * np.clip(0.75 * dashes, 0, 1)[:, None]
    belt = smoothstep(np.abs(a["waist"] - 0.021), 0.017, 0.0155)
    leather = np.array([0.20, 0.13, 0.09]) * (1.0 + 0.15 * noise(a["rest"] * 200, 5))[:, None]
    color = color + (leather - color) * belt[:, None]
    buckle = front & (np.abs(x) < 0.024) & (np.abs(a["waist"] - 0.021) < 0.019)
    hole = buckle & (np.abs(x) < 0.016) & (np.abs(a["waist"] - 0.021) < 0.011)
    return np.where((buckle & ~hole)[:, None], np.array([0.72, 0.70, 0.66]), color)
