"""A whole seeded person: posed, dressed, lit, and placed in the world."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body, BodyParams
from avatarpipe.capture.labels import Label
from avatarpipe.errors import InputError
from avatarpipe.mesh.closest import closest_points
from avatarpipe.synthetic.cloth import Scene
from avatarpipe.synthetic.figure import Figure, build_figure
from avatarpipe.synthetic.hair import make_hair
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.light import light_layers
from avatarpipe.synthetic.lower import lower_field, make_lower
from avatarpipe.synthetic.noise import smoothstep
from avatarpipe.synthetic.pose import HandCoefficients, sample_pose
from avatarpipe.synthetic.shoes import make_shoes
from avatarpipe.synthetic.skin import skin_painter
from avatarpipe.synthetic.traits import Traits, sample_traits
from avatarpipe.synthetic.upper import make_upper, upper_field


@dataclass(frozen=True)
class Detail:
    """How fine a person is made: metres between grid points, texels a side, rays a vertex."""

    cloth: float
    small: float  # shoes and hair
    texture: int
    supersample: int
    rays: int


DETAILS = {
    "full": Detail(0.008, 0.0055, 1024, 2, 44),
    "fine": Detail(0.006, 0.0045, 2048, 2, 96),
    "draft": Detail(0.014, 0.009, 1024, 1, 16),
}


@dataclass
class Person:
    """Layers by name (body, shoes, lower, upper, hair), in the figure's frame until `placed`."""

    traits: Traits
    figure: Figure
    layers: dict[str, Layer]
    params: BodyParams  # with global_orient and transl of the world
    hands: HandCoefficients
    to_world: np.ndarray  # (4, 4) figure's frame to world


def make_person(body: Body, gender: str, seed: int, detail: Detail) -> Person:
    """Everything of one subject. InputError where the body's betas make no body or the gender is unknown."""
    traits = sample_traits(gender, seed)
    rng = np.random.default_rng([seed, 77])
    params, hands = sample_pose(body, traits.betas, rng)
    figure = build_figure(body, params)
    if not 1.0 < np.ptp(figure.rest[:, 1]) < 2.4:
        raise InputError(
            f"{body.path}: seed {seed} gives a body {np.ptp(figure.rest[:, 1]):.2f} m tall; check shapedirs."
        )
    layers = dressed(figure, traits, detail)
    light_layers(list(layers.values()), layers["body"], detail.rays)
    params, to_world = _placed(params, figure, rng)
    return Person(traits, figure, layers, params, hands, to_world)


def dressed(figure: Figure, traits: Traits, detail: Detail) -> dict[str, Layer]:
    """Skin, shoes, garments and hair, unlit, by name."""
    scene = Scene.of(figure, detail.cloth)
    skin = (figure.vertices, figure.faces)
    body = body_layer(figure, traits)
    shoes = make_shoes(scene, traits, detail.small)
    lower, worn = lower_field(scene, traits)
    lower_layer = make_lower(scene, traits, lower, worn, [skin, outer_sheet(shoes)])
    upper, worn = upper_field(scene, traits, lower)
    upper_layer = make_upper(scene, traits, upper, worn, [skin, outer_sheet(lower_layer)])
    hair = make_hair(scene, traits, detail.small, upper)
    named = (body, shoes, lower_layer, upper_layer, hair)
    return {layer.name: layer for layer in named}


def outer_sheet(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """The outer sheet of a garment."""
    outside = (layer.attributes["inside"][layer.faces] < 0.5).all(axis=1)
    return layer.vertices, layer.faces[outside]


def body_layer(figure: Figure, traits: Traits) -> Layer:
    lid = _lid_distance(figure)
    attributes = {"rest": figure.rest, "eyes": figure.eyes, "lips": figure.lips, "lid": lid}
    detail = 1.0 + 1.8 * figure.head * smoothstep(
        figure.rest[:, 2], figure.rest_joints[15, 2] - 0.02, figure.rest_joints[15, 2] + 0.05
    )
    detail += 0.5 * figure.hand
    return Layer(
        "body",
        Label.SKIN,
        figure.vertices,
        figure.faces,
        attributes,
        skin_painter(figure, traits),
        detail,
        kind=traits.gender,
    )


def _lid_distance(figure: Figure) -> np.ndarray:
    """(V,) metres from each vertex of the skin to the nearer eyeball; 1 far from them and on them."""
    ball = np.abs(figure.eyes) > 0.5
    lid = np.ones(len(figure.vertices))
    if not ball.any():
        return lid
    near = np.flatnonzero(
        ~ball
        & (
            cKDTree(figure.vertices[ball]).query(figure.vertices, distance_upper_bound=0.03)[0]
            < 0.03
        )
    )
    eyes = figure.faces[ball[figure.faces].all(axis=1)]
    lid[near] = closest_points(figure.vertices[near], figure.vertices, eyes)[3]
    return lid


def _placed(params: BodyParams, figure: Figure, rng) -> tuple[BodyParams, np.ndarray]:
    """Give the body a heading, a slight lean and a place in the room, as in a capture stage."""
    heading = np.radians(rng.uniform(25, 70) * rng.choice([-1, 1]))
    lean = np.radians(rng.normal(0, 1.0, 2))
    turn = Rotation.from_euler("YXZ", [heading, lean[0], lean[1]])
    ground = figure.vertices[:, 1].min()
    place = np.array(
        [rng.uniform(-0.5, 0.5), -ground + rng.uniform(-0.02, 0.02), rng.uniform(-0.5, 0.5)]
    )
    root = figure.rest_joints[0]
    matrix = np.eye(4)
    matrix[:3, :3] = turn.as_matrix()
    matrix[:3, 3] = root - matrix[:3, :3] @ root + place
    orient = torch.as_tensor(turn.as_rotvec()[None], dtype=torch.float32)
    transl = torch.as_tensor(place[None], dtype=torch.float32)
    return params.replaced(global_orient=orient, transl=transl), matrix
