"""A seeded person dressed for motion: made once, kept as plain arrays, so that any process can pose and picture it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

from avatarpipe.body.model import Body, BodyParams
from avatarpipe.files import atomic_file
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.prefixes import prefixed, under
from avatarpipe.synthetic.bake import Part, baked
from avatarpipe.synthetic.choreography import dressing_pose
from avatarpipe.synthetic.figure import build_figure
from avatarpipe.synthetic.layer import Layer
from avatarpipe.synthetic.light import light_layers
from avatarpipe.synthetic.moving import MovingPerson, Posed
from avatarpipe.synthetic.person import Detail, dressed
from avatarpipe.synthetic.rig import Rig, rigged
from avatarpipe.synthetic.sheets import smoothing
from avatarpipe.synthetic.touch import limb_shares
from avatarpipe.synthetic.traits import Traits

ORDER = ("body", "shoes", "lower", "upper", "hair")
_MARGIN = {
    "body": 9,
    "shoes": 3,
}  # rings of faces kept beyond what is seen when dressed; 4 for the others


@dataclass
class Cast:
    """The person and the one textured mesh that is pictured; vertices of the mesh are a selection of the layers'."""

    person: MovingPerson
    used: dict[str, np.ndarray]  # of each layer, ids of its vertices that the mesh has, in order
    mesh: Mesh  # faces, uvs, texture (paint without light), vertex labels; vertices as dressed
    sheltered: np.ndarray  # (V,) bool, vertices of inner sheets: light is not traced there

    @cached_property
    def smooth(self) -> sparse.csr_matrix:
        """(V, V) means over neighbours on the mesh."""
        return smoothing(self.mesh.faces, len(self.mesh.vertices))

    def posed_mesh(self, layers: dict[str, np.ndarray]) -> np.ndarray:
        """(V, 3) vertices of the mesh from those of the layers."""
        return np.concatenate([layers[name][self.used[name]] for name in ORDER])

    def save(self, path: Path) -> None:
        """All as one npz of plain arrays."""
        arrays = prefixed("used_", self.used)
        for name, rig in self.person.rigs.items():
            arrays |= prefixed(f"rig_{name}_", rig.arrays())
        arrays |= {name: getattr(self.person, name) for name in _PERSON}
        arrays |= {f"mesh_{k}": getattr(self.mesh, k) for k in _MESH}
        with atomic_file(path) as temporary:
            np.savez(temporary, sheltered=self.sheltered, **arrays)

    @staticmethod
    def load(path: Path) -> "Cast":
        """Read what `save` wrote."""
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        rigs = {}
        for name in ORDER[1:]:
            rigs[name] = Rig.of_arrays(under(f"rig_{name}_", arrays))
        mesh = Mesh(**{k: arrays[f"mesh_{k}"] for k in _MESH})
        person = MovingPerson(rigs, *(arrays[name] for name in _PERSON))
        used = {name: arrays[f"used_{name}"] for name in ORDER}
        return Cast(person, used, mesh, arrays["sheltered"])


_PERSON = ("body_faces", "body_rest", "body_limbs", "rest_joints")
_MESH = ("vertices", "faces", "uvs", "texture", "vertex_labels")


def make_cast(body: Body, traits: Traits, detail: Detail) -> tuple[Cast, BodyParams]:
    """Dress, bind and paint the person of `traits`; also the parameters of the dressing pose."""
    params = dressing_pose(body, traits.betas)
    figure = build_figure(body, params)
    layers = dressed(figure, traits, detail)
    light_layers(list(layers.values()), layers["body"], detail.rays)
    rigs = {name: rigged(body, params, figure, layers[name]) for name in ORDER[1:]}
    parts = [_pictured(layers[name]) for name in ORDER]
    mesh, _ = baked(parts, detail.texture, detail.supersample)
    used = {name: np.unique(part.faces) for name, part in zip(ORDER, parts, strict=True)}
    sheltered = [_inner(layers[name])[used[name]] for name in ORDER]
    weights = body.lbs_weights.double().numpy()
    limbs = limb_shares(np.arange(weights.shape[1])[None], weights)
    rest = body.shaped(params)[0].double().numpy()
    person = MovingPerson(rigs, body.faces, rest, limbs, figure.rest_joints)
    return Cast(person, used, mesh, np.concatenate(sheltered)), params


def _inner(layer: Layer) -> np.ndarray:
    inside = layer.attributes.get("inside")
    return np.zeros(len(layer.vertices), bool) if inside is None else inside > 0.5


def _pictured(layer: Layer) -> Part:
    """The faces that any pose may show, unlit, with few texels where nothing is seen when dressed."""
    smooth = smoothing(layer.faces, len(layer.vertices))
    seen = layer.seen.astype(float)
    for _ in range(_MARGIN.get(layer.name, 4)):
        seen = (smooth @ seen > 0).astype(float)
    layer.shade = np.ones((len(layer.vertices), 3))
    layer.detail = np.where(layer.seen, layer.detail, np.minimum(layer.detail, 0.35))
    return Part(layer, layer.faces[(seen[layer.faces] > 0.5).all(axis=1)])


def posed_bodies(body: Body, params: BodyParams, dressing: BodyParams) -> list[Posed]:
    """Skin, bones and pose correctives of every frame, correctives relative to the dressing pose."""
    base = body.vertex_offsets(dressing)[0]
    out = []
    for frame in range(len(params)):
        one = params[frame]
        out.append(
            Posed(
                body.vertices(one)[0].numpy(), body.transforms(one)[0].double().numpy(),
                (body.vertex_offsets(one)[0] - base).double().numpy(),
            )
        )  # fmt: skip
    return out
