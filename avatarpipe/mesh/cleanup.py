"""Extracted meshes: their components, and a report of what is still open."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from avatarpipe.mesh.mesh import Mesh


def face_components(mesh: Mesh) -> np.ndarray:
    """(F,) int: which connected component a face belongs to; faces that share a vertex are connected."""
    count = len(mesh.vertices)
    a, b = mesh.faces[:, [0, 1]].ravel(), mesh.faces[:, [1, 2]].ravel()
    graph = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1][mesh.faces[:, 0]]


def keep_large_components(mesh: Mesh, min_faces: int = 0, largest: int | None = None) -> Mesh:
    """The components of at least `min_faces` faces, and of these only the `largest` ones if a number is given."""
    component = face_components(mesh)
    sizes = np.bincount(component)
    order = np.argsort(-sizes, kind="stable")
    kept = order[sizes[order] >= max(min_faces, 1)][:largest]
    return mesh.submesh(np.isin(component, kept))


def watertight_report(mesh: Mesh) -> dict[str, bool | int | float]:
    """Whether every edge has two faces that agree on outside, and the numbers that say how far from that.

    Keys: is_watertight, boundary_edges (one face), nonmanifold_edges (three or more), components, euler (vertices in use
    - edges + faces), volume in cubic metres (meaningful where watertight; negative if faces point inward), vertices,
    faces.
    """
    edges = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    unique, uses = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    directed = np.unique(edges, axis=0)
    corners = mesh.vertices[mesh.faces]
    triple = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    paired = bool(len(edges)) and bool((uses == 2).all()) and len(directed) == len(edges)
    return {
        "is_watertight": paired,
        "boundary_edges": int((uses == 1).sum()),
        "nonmanifold_edges": int((uses > 2).sum()),
        "components": len(np.unique(face_components(mesh))),
        "euler": len(np.unique(mesh.faces)) - len(unique) + len(mesh.faces),
        "volume": float(triple.sum() / 6.0),
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
    }
