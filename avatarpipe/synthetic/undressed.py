"""Synthetic people without their upper garment, or without any: what a prior on hidden bodies learns from.

They are built, painted and lit like whole people, in a natural standing pose, but coarsely and with colours at vertices:
enough for pictures of a hundred pixels. Then they are bound to the body's surface, as a layered avatar is, so that one
person can be seen in any pose.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from avatarpipe.body.model import Body, BodyParams
from avatarpipe.body.skinning import SurfaceBinding, skinned_motion
from avatarpipe.capture.labels import Label
from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.synthetic.cloth import Scene
from avatarpipe.synthetic.figure import JOINT, Figure, build_figure
from avatarpipe.synthetic.hair import make_hair
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.light import light_layers
from avatarpipe.synthetic.lower import lower_field, make_lower
from avatarpipe.synthetic.person import Detail, body_layer, outer_sheet
from avatarpipe.synthetic.pose import sample_pose
from avatarpipe.synthetic.shoes import make_shoes
from avatarpipe.synthetic.traits import Traits, sample_traits

COARSE = Detail(cloth=0.016, small=0.010, texture=0, supersample=1, rays=16)
_TONES = np.array([
    (0.88, 0.72, 0.63), (0.84, 0.66, 0.55), (0.80, 0.59, 0.45), (0.66, 0.46, 0.34), (0.50, 0.34, 0.25), (0.40, 0.26, 0.19)
])  # fmt: skip


@dataclass
class Undressed:
    """A coloured surface of V vertices in the canonical space, bound to the body."""

    traits: Traits
    trousers: bool  # whether the lower garment is worn
    captured: BodyParams  # the natural pose and the shape, global_orient and transl zero
    canonical: torch.Tensor  # (V, 3) metres, mean shape, canonical pose
    binding: SurfaceBinding
    faces: np.ndarray  # (F, 3)
    colors: np.ndarray  # (V, 3) float32 sRGB, light included
    labels: np.ndarray  # (V,) uint8
    places: "Places"

    def mesh(self, body: Body, params: BodyParams, marked: np.ndarray | None = None) -> Mesh:
        """The person in a pose; `marked` (V,) becomes the vertex labels, 1 where true."""
        motion = skinned_motion(body, self.binding, params)
        vertices = motion.points(self.canonical).double().numpy()
        labels = self.labels if marked is None else marked.astype(np.uint8)
        return Mesh(vertices, self.faces, vertex_colors=self.colors, vertex_labels=labels)

    def covered(self, rng: np.random.Generator) -> np.ndarray:
        """(V,) bool: what an imagined garment hides."""
        return sample_cover(rng, self.trousers).hides(self.places, self.labels)


@dataclass
class Places:
    """Where each vertex lies on the body at rest."""

    arm: np.ndarray  # (V,) share of skinning weight
    leg: np.ndarray
    head: np.ndarray
    along_arm: np.ndarray  # (V,) 0 shoulder, 1 elbow, 2 wrist
    along_leg: np.ndarray  # (V,) 0 hip, 1 knee, 2 ankle
    height: np.ndarray  # (V,) 0 at the pelvis, 1 at the neck
    below_neck: np.ndarray  # (V,) metres below a round neckline


def make_undressed(body: Body, gender: str, seed: int, trousers: bool = True) -> Undressed:
    """The person of a seed without the upper garment; without `trousers` also without trousers or skirt.

    Everything is drawn as for a whole person of that seed, but for the skin's tone, which lies anywhere between the
    palest and the darkest.
    """
    traits = _any_tone(sample_traits(gender, seed), np.random.default_rng([seed, 505]))
    params, _ = sample_pose(body, traits.betas, np.random.default_rng([seed, 77]))
    figure = build_figure(body, params)
    layers = _layers(figure, traits, trousers)
    light_layers(layers, layers[0], COARSE.rays)
    vertices = np.concatenate([layer.vertices for layer in layers])
    binding = _binding(vertices, body, params)
    return Undressed(
        traits, trousers, params, _unposed(vertices, body, binding, params), binding,
        np.concatenate(_renumbered(layers)), np.concatenate([_colors(layer) for layer in layers]),
        np.concatenate([np.full(len(layer.vertices), layer.label, np.uint8) for layer in layers]),
        _places(figure, body, binding, params),
    )  # fmt: skip


def _any_tone(traits: Traits, rng: np.random.Generator) -> Traits:
    along = rng.uniform(0, len(_TONES) - 1)
    tone = [np.interp(along, range(len(_TONES)), column) for column in _TONES.T]
    tone = np.clip(np.array(tone) + rng.normal(0, 0.02) + rng.normal(0, 0.01, 3), 0.05, 0.97)
    return replace(traits, skin=tuple(float(c) for c in tone))


def _layers(figure: Figure, traits: Traits, trousers: bool) -> list[Layer]:
    """The body first, then shoes, hair and, where wanted, the lower garment."""
    scene = Scene.of(figure, COARSE.cloth)
    body, shoes = body_layer(figure, traits), make_shoes(scene, traits, COARSE.small)
    worn = [body, shoes, make_hair(scene, traits, COARSE.small, None)]
    if trousers:
        field, samples = lower_field(scene, traits)
        below = [(figure.vertices, figure.faces), outer_sheet(shoes)]
        worn.append(make_lower(scene, traits, field, samples, below))
    return worn


def _colors(layer: Layer) -> np.ndarray:
    values = {name: np.asarray(value, np.float64) for name, value in layer.attributes.items()}
    return np.clip(layer.paint(values) * layer.shade, 0.0, 1.0).astype(np.float32)


def _renumbered(layers: list[Layer]) -> list[np.ndarray]:
    starts = np.cumsum([0, *(len(layer.vertices) for layer in layers)])
    return [layer.faces + start for layer, start in zip(layers, starts, strict=False)]


def _binding(vertices: np.ndarray, body: Body, params: BodyParams) -> SurfaceBinding:
    posed = body.vertices(params)[0].double().numpy()
    _, faces, weights, _ = closest_points(vertices, posed, body.faces)
    return SurfaceBinding(torch.from_numpy(body.faces[faces]), torch.from_numpy(weights).float())


def _unposed(
    vertices: np.ndarray, body: Body, binding: SurfaceBinding, params: BodyParams
) -> torch.Tensor:
    """(V, 3) the canonical points that the pose takes to `vertices`."""
    motion = skinned_motion(body, binding, params)
    offset = torch.from_numpy(vertices).float() - motion.translation
    return torch.linalg.solve(motion.linear, offset)


def _places(figure: Figure, body: Body, binding: SurfaceBinding, params: BodyParams) -> Places:
    rest = binding.at(body.shaped(params)[0]).double().numpy()
    weights = binding.at(body.lbs_weights).double().numpy()
    heavy = weights.argmax(axis=1)
    arm, leg, head = (np.isin(heavy, joints) for joints in _chains())
    pelvis, neck = (figure.rest_joints[JOINT[name]] for name in ("pelvis", "neck"))
    x, y, z = (rest - neck).T
    return Places(
        arm, leg, head, figure.limb(rest, "arm"), figure.limb(rest, "leg"),
        (rest[:, 1] - pelvis[1]) / (neck[1] - pelvis[1]), -y - 0.6 * z + 1.5 * x**2,
    )  # fmt: skip


def _chains() -> tuple[list[int], list[int], list[int]]:
    """The joints of arms and hands, of legs, and of the head."""
    arm = [
        k
        for name, k in JOINT.items()
        if k >= 25 or any(s in name for s in ("shoulder", "elbow", "wrist"))
    ]
    leg = [
        k for name, k in JOINT.items() if any(s in name for s in ("hip", "knee", "ankle", "foot"))
    ]
    return arm, leg, [JOINT[name] for name in ("head", "jaw", "left_eye", "right_eye")]


@dataclass(frozen=True)
class Cover:
    """An imagined garment: what it hides of a body. Units as in Places; a sleeve or leg of 0 hides no limb."""

    sleeve: float
    hem: float
    neckline: float
    leg: float

    def hides(self, places: Places, labels: np.ndarray) -> np.ndarray:
        """(V,) bool."""
        torso = ~places.arm & (places.height > self.hem) & (places.below_neck > self.neckline)
        arms = places.arm & (places.along_arm < self.sleeve) & (self.sleeve > 0)
        legs = (places.height < 0.2) & ~places.arm & (places.along_leg < self.leg) & (self.leg > 0)
        on_body = (labels == Label.SKIN) | (labels == Label.LOWER)
        return (torso | arms | legs) & ~places.head & on_body


def sample_cover(rng: np.random.Generator, trousers: bool) -> Cover:
    """A shirt of any length, with trousers under which the body is bare also those."""
    legs = 0.0 if trousers or rng.random() < 0.3 else rng.uniform(0.2, 2.0)
    return Cover(rng.uniform(0.3, 1.95), rng.uniform(-0.25, 0.1), rng.uniform(-0.03, 0.06), legs)
