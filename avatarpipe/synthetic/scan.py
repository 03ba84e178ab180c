"""What a capture stage would keep of a person: one textured mesh of all that is seen from outside."""

import numpy as np

from avatarpipe.mesh.mesh import Mesh
from avatarpipe.synthetic.bake import Part, baked
from avatarpipe.synthetic.person import Detail, Person
from avatarpipe.synthetic.sheets import smoothing


def visible_parts(person: Person) -> list[Part]:
    """The faces of every layer that anything outside can see, and those beside them."""
    parts = []
    for layer in person.layers.values():
        seen = layer.seen.astype(float)
        seen = (
            smoothing(layer.faces, len(seen)) @ seen
        )  # spans the gaps that a finite number of rays leaves
        faces = layer.faces[(seen[layer.faces] > 0.25).any(axis=1)]
        parts.append(Part(layer, faces))
    return parts


def fused_scan(person: Person, detail: Detail) -> tuple[Mesh, np.ndarray]:
    """The scan in the world frame with vertex labels, and (F,) the chart of each face."""
    mesh, atlas = baked(visible_parts(person), detail.texture, detail.supersample)
    return mesh.transformed(person.to_world), atlas.charts


def split_at_seams(mesh: Mesh, charts: np.ndarray):
    """One UV a vertex, as 4D-Dress stores them: returns vertices, faces, uvs (V, 2), labels (V,)."""
    keys = np.column_stack([mesh.faces.ravel(), np.repeat(charts, 3)])
    unique, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    uvs = mesh.uvs.reshape(-1, 2)[first]
    ids = unique[:, 0]
    return mesh.vertices[ids], inverse.reshape(-1, 3), uvs, mesh.vertex_labels[ids]
