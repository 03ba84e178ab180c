"""Layers bound to the body so that they can follow it: weights, positions at rest, and what each piece of cloth may do."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from avatarpipe.body.model import Body, BodyParams
from avatarpipe.mesh.closest import closest_points
from avatarpipe.prefixes import prefixed, under
from avatarpipe.synthetic.figure import JOINT, Figure
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.materials import Material, material_of
from avatarpipe.synthetic.noise import smoothstep
from avatarpipe.synthetic.sheets import smoothing
from avatarpipe.synthetic.touch import limb_shares

BONES = 6  # that move one vertex; lesser ones are left out
THICKNESS = 0.0022  # metres of a garment's cloth
_THIGH_PULL = 0.35  # share of the thighs' weights that a shirt keeps
_MATERIAL = "material_"  # before names of its numbers
_WEIGHT_STEPS = 10  # over which weights are smoothed along the garment


@dataclass
class Rig:
    """One layer ready to move, arrays only. V vertices: those of the outer sheet where the layer is cloth.

    x_rest is where blended bones of the dressing pose came from: M(dressing)^-1 x, so that x = M(pose) x_rest there.
    """

    name: str
    label: int
    faces: np.ndarray  # (F, 3) of the whole layer; ids from V on are the inner sheet, V + i under i
    is_cloth: bool  # has an inner sheet, wrinkles and slides
    is_skirt: bool
    x_rest: np.ndarray  # (V, 3)
    bones: np.ndarray  # (V, BONES) int64
    weights: np.ndarray  # (V, BONES), rows sum to 1
    unturn: np.ndarray  # (V, 3, 3) linear part of M(dressing)^-1
    corners: np.ndarray  # (V, 3) vertices of the body file whose pose correctives the vertex shares
    barycentric: np.ndarray  # (V, 3)
    loose: np.ndarray  # (V,) metres that cloth or hair may sag
    material: Material

    @cached_property
    def limbs(self) -> np.ndarray:
        """(V, len(LIMBS)) shares of the weights."""
        return limb_shares(self.bones, self.weights)

    @property
    def is_split(self) -> bool:
        """Whether each leg has its own tube."""
        return self.name == "lower" and not self.is_skirt

    @property
    def outer(self) -> np.ndarray:
        """(F', 3) faces of the outer sheet."""
        return self.faces[(self.faces < len(self.x_rest)).all(axis=1)]

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays by name, for an npz."""
        own = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)[:-1]}
        return own | prefixed(_MATERIAL, self.material.arrays())

    @staticmethod
    def of_arrays(arrays: dict[str, np.ndarray]) -> "Rig":
        """The inverse of `arrays`."""
        own = {f.name: arrays[f.name] for f in fields(Rig)[:-1]}
        own |= {"name": str(own["name"]), "label": int(own["label"])}
        own |= {name: bool(own[name]) for name in ("is_cloth", "is_skirt")}
        return Rig(**own, material=Material(**under(_MATERIAL, arrays)))


def rigged(body: Body, params: BodyParams, figure: Figure, layer: Layer) -> Rig:
    """Bind a layer that was made on `figure`, which is `body` under `params`; not for the skin itself."""
    cloth = layer.name in ("upper", "lower")
    count = len(layer.vertices) // 2 if cloth else len(layer.vertices)
    vertices, rest = layer.vertices[:count], layer.attributes["rest"][:count]
    faces = layer.faces[(layer.faces < count).all(axis=1)]
    shaped = body.shaped(params)[0].double().numpy()
    _, ids, barycentric, _ = closest_points(rest, shaped, body.faces)
    corners = body.faces[ids]
    weights = _weights(body, figure, layer, corners, barycentric, count)
    bones, weights = _strongest(_smoothed(weights, faces) if cloth else weights)
    matrices = blended(figure.transforms, bones, weights)
    inverse = np.linalg.inv(matrices)
    x_rest = np.einsum("nij,nj->ni", inverse[:, :3, :3], vertices) + inverse[:, :3, 3]
    return Rig(
        layer.name, int(layer.label), layer.faces, cloth, layer.kind == "skirt", x_rest, bones, weights,
        inverse[:, :3, :3], corners, barycentric, _looseness(figure, layer, vertices, faces),
        material_of(figure, layer, vertices, faces, matrices[:, :3, :3]),
    )  # fmt: skip


def blended(transforms: np.ndarray, bones: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(V, 4, 4) weighted sums of (55, 4, 4) bone transforms (SMPL, eq. 7)."""
    return np.einsum("nk,nkij->nij", weights, transforms[bones])


def _weights(body, figure, layer, corners, barycentric, count: int) -> np.ndarray:
    """(V, 55) of the body's surface where the layer lies; shoes and hair have their own ways."""
    weights = np.einsum("nk,nkj->nj", barycentric, body.lbs_weights.double().numpy()[corners])
    if layer.name == "shoes":
        return _shoe_weights(layer)
    if layer.name == "hair":
        return _hair_weights(figure, layer)
    if layer.name == "upper":
        return _off_the_legs(weights)
    if layer.kind == "skirt":
        return _skirt_weights(figure, layer, weights, count)
    return weights


def _off_the_legs(weights: np.ndarray) -> np.ndarray:
    """A hem hangs from the hips: thighs move it mostly by pushing."""
    legs = [JOINT[f"{side}_{name}"] for side in ("left", "right") for name in ("hip", "knee")]
    weights = weights.copy()
    weights[:, JOINT["pelvis"]] += (1.0 - _THIGH_PULL) * weights[:, legs].sum(axis=1)
    weights[:, legs] *= _THIGH_PULL
    return weights


def _shoe_weights(layer: Layer) -> np.ndarray:
    """Stiff but for the toes."""
    weights = np.zeros((len(layer.vertices), 55))
    toe = smoothstep(layer.attributes["forward"], 0.64, 0.84)
    for side, own in (("left", layer.attributes["rest"][:, 0] > 0), ("right", layer.attributes["rest"][:, 0] <= 0)):  # fmt: skip
        weights[own, JOINT[f"{side}_foot"]] = toe[own]
        weights[own, JOINT[f"{side}_ankle"]] = 1.0 - toe[own]
    return weights


def _hair_weights(figure: Figure, layer: Layer) -> np.ndarray:
    """With the head; what hangs below the jaw goes over to neck and chest."""
    weights = np.zeros((len(layer.vertices), 55))
    y = layer.vertices[:, 1]
    head, neck, chest = (figure.joints[JOINT[n], 1] for n in ("head", "neck", "spine3"))
    on_head = smoothstep(y, neck + 0.25 * (head - neck), head + 0.01)
    on_neck = (1.0 - on_head) * smoothstep(y, chest + 0.3 * (neck - chest), neck)
    for name, share in (("head", on_head), ("neck", on_neck), ("spine3", 1 - on_head - on_neck)):
        weights[:, JOINT[name]] = share
    return weights


def _skirt_weights(figure: Figure, layer: Layer, weights: np.ndarray, count: int) -> np.ndarray:
    """Above the hips as the body; below, both thighs pull, each more on its own side, and the hips hold the rest."""
    x = layer.vertices[:count, 0] - figure.joints[JOINT["pelvis"], 0]
    down = smoothstep(layer.attributes["limb"][:count], -0.15, 0.45)
    left = smoothstep(x, -0.13, 0.13)
    own = np.zeros_like(weights)
    own[:, JOINT["left_hip"]], own[:, JOINT["right_hip"]] = 0.55 * left, 0.55 * (1.0 - left)
    own[:, JOINT["pelvis"]] = 0.45
    return weights * (1.0 - down[:, None]) + own * down[:, None]


def _smoothed(weights: np.ndarray, faces: np.ndarray) -> np.ndarray:
    smooth = smoothing(faces, len(weights))
    for _ in range(_WEIGHT_STEPS):
        weights = smooth @ weights
    return weights


def _strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The BONES largest weights of each row and whose they are."""
    bones = np.argsort(-weights, axis=1, kind="stable")[:, :BONES]
    kept = np.take_along_axis(weights, bones, axis=1)
    return bones, kept / kept.sum(axis=1, keepdims=True)


def _looseness(figure: Figure, layer: Layer, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) metres: how far cloth stands off the skin in the dressing pose, more at open hems and cuffs."""
    if layer.name == "shoes":
        return np.zeros(len(vertices))
    distances = closest_points(vertices, figure.vertices, figure.faces)[3]
    if layer.name == "hair":
        below = figure.joints[JOINT["head"], 1] + 0.03 - vertices[:, 1]
        return 0.12 * np.clip(below, 0.0, 0.3)
    loose = np.clip(distances - 0.009, 0.0, 0.05)
    hem = layer.attributes["hem"][: len(vertices)]
    if layer.name == "upper":
        torso = layer.attributes["arm"][: len(vertices)] < 0.5
        loose = loose + 0.014 * smoothstep(hem, 0.16, 0.0) * torso
        if layer.kind == "tshirt":
            cuff = layer.attributes["cuff"][: len(vertices)]
            loose = loose + 0.008 * smoothstep(cuff, 0.10, 0.0) * ~torso
    smooth = smoothing(faces, len(vertices))
    for _ in range(6):
        loose = smooth @ loose
    return loose
