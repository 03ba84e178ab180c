"""A pair of low shoes: each grown around the foot at rest, then carried by the ankle."""

import numpy as np
from scipy.spatial import cKDTree

from avatarpipe.capture.labels import Label
from avatarpipe.synthetic.cloth import Scene
from avatarpipe.synthetic.fabrics import seam
from avatarpipe.synthetic.fields import Grid, distance_field, smooth_min
from avatarpipe.synthetic.figure import JOINT
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.noise import noise, smoothstep
from avatarpipe.synthetic.sheets import clip, largest_pieces, smoothing, thicken
from avatarpipe.synthetic.traits import Traits

_SOLE = 0.026  # metres


def make_shoes(scene: Scene, traits: Traits, spacing: float) -> Layer:
    """Both shoes as one layer."""
    pair = [_shoe(scene, side, spacing) for side in ("left", "right")]
    count = len(pair[0][0])
    vertices = np.concatenate([shoe[0] for shoe in pair])
    faces = np.concatenate([pair[0][1], pair[1][1] + count])
    carried = np.concatenate([shoe[2] for shoe in pair])
    names = ("above", "collar", "forward", "inside")
    attributes = {"rest": carried[:, :3], **dict(zip(names, carried[:, 3:].T, strict=True))}
    detail = np.where(attributes["inside"] > 0.5, 0.35, 1.0)
    return Layer(
        "shoes", Label.SHOE, vertices, faces, attributes, _painter(traits), detail, kind="low"
    )


def _shoe(scene: Scene, side: str, spacing: float):
    """Posed vertices, faces, and columns: rest 3, height above ground, distance below the collar, forward 0..1, inner side."""
    figure = scene.figure
    sign = 1.0 if side == "left" else -1.0
    ankle = figure.rest_joints[JOINT[f"{side}_ankle"]]
    worn = (scene.sample_rest[:, 0] * sign > 0) & (scene.sample_rest[:, 1] < ankle[1] + 0.08)
    worn &= scene.shares["leg"] > 0.5
    foot, normals = scene.sample_rest[worn], _rest_normals(scene, worn)
    ground = foot[:, 1].min()
    grid = Grid.around(foot, spacing, 0.05)
    body = distance_field(grid, foot, normals)
    upper = grid.blurred(body.distance, 0.011) - 0.0065
    y = (grid.origin[1] + spacing * np.arange(grid.shape[1]))[None, :, None]
    low = np.where(y < ground + 0.07, upper, 1.0)
    outline = (
        grid.blurred(np.repeat(low.min(axis=1, keepdims=True), grid.shape[1], axis=1), 0.006)
        - 0.005
    )
    sole = np.maximum(outline, np.maximum(y - (ground + _SOLE - 0.006), ground - 0.008 - y))
    field = smooth_min(np.maximum(upper, ground - y), sole, 0.006)
    vertices, faces = grid.surface(
        np.minimum(field, np.maximum(body.distance - 0.003, ground - 0.008 - y))
    )
    faces, vertices = largest_pieces(faces, vertices)
    vertices = smoothing(faces, len(vertices)) @ vertices
    span = foot[foot[:, 1] < ground + 0.05, 2]
    forward = (vertices[:, 2] - span.min()) / np.ptp(span)
    instep = 0.028 * smoothstep(forward, 0.30, 0.60)
    top = ankle[1] + 0.020 - instep + 0.012 * smoothstep(forward, 0.2, 0.0)
    collar = top - vertices[:, 1]
    above = vertices[:, 1] - ground
    columns = np.column_stack([vertices, above, collar, forward])
    faces, columns = clip(
        faces, columns, np.where(forward > 0.62, np.maximum(collar, 0.01), collar)
    )
    faces, columns = largest_pieces(faces, columns)
    rest, faces = thicken(columns[:, :3], faces, 0.0025)
    inside = np.repeat([0.0, 1.0], len(columns))
    posed = rest @ figure.transforms[JOINT[f"{side}_ankle"], :3, :3].T
    posed = posed + figure.transforms[JOINT[f"{side}_ankle"], :3, 3]
    return posed, faces, np.column_stack([rest, np.tile(columns[:, 3:], (2, 1)), inside])


def _rest_normals(scene: Scene, worn: np.ndarray) -> np.ndarray:
    """Normals of samples turned back to the rest pose by the rotation of the nearest leg bone."""
    figure = scene.figure
    bones = [JOINT[f"{side}_{n}"] for side in ("left", "right") for n in ("knee", "ankle")]
    _, nearest = cKDTree(figure.rest_joints[bones] - [0, 0.04, 0]).query(scene.sample_rest[worn])
    rotations = figure.transforms[bones][nearest][:, :3, :3]
    return np.einsum("nba,nb->na", rotations, scene.sample_normals[worn])


def _painter(traits: Traits):
    sole, body = np.array(traits.sole), np.array(traits.shoe)

    def paint(a: dict[str, np.ndarray]) -> np.ndarray:
        above, collar, forward = a["above"], a["collar"], a["forward"]
        count = len(above)
        grain = 1.0 + 0.05 * noise(a["rest"] / 0.004, 3, 2) + 0.05 * noise(a["rest"] / 0.03, 4, 2)
        color = np.broadcast_to(body, (count, 3)) * grain[:, None]
        side = (
            a["rest"][:, 0] - np.where(a["rest"][:, 0] > 0, 1, -1) * np.abs(a["rest"][:, 0]).mean()
        )
        toe = seam((forward - 0.80) * 0.25, 0.0025)
        color = (
            color
            * (toe * seam(collar - 0.014, 0.002) * seam((forward - 0.24) * 0.25, 0.002))[:, None]
        )
        tongue = (np.abs(side) < 0.022) & (forward > 0.36) & (forward < 0.74) & (above > 0.04)
        lace = tongue & (np.mod(forward * 0.25, 0.016) < 0.0075)
        color = np.where(tongue[:, None], color * 0.75, color)
        color = np.where(lace[:, None], 0.25 * color + 0.75 * np.array([0.93, 0.92, 0.90]), color)
        flash = (np.abs(side) > 0.024) & (
            np.abs(above - 0.03 - 0.28 * (0.66 - forward) * 0.25 - 0.012) < 0.006
        )
        flash &= (forward > 0.28) & (forward < 0.66)
        color = np.where(flash[:, None], 0.3 * color + 0.7 * sole, color)
        rubber = smoothstep(above, _SOLE - 0.006, _SOLE - 0.009)
        groove = 0.9 + 0.1 * smoothstep(np.abs(above - 0.010), 0.0, 0.002)
        color = color + (sole * groove[:, None] - color) * rubber[:, None]
        return np.where(a["inside"][:, None] > 0.5, color * 0.45, np.clip(color, 0, 1))

    return paint
