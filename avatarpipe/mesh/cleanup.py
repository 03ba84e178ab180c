"""Small repairs of extracted meshes: components, holes, face count, and a report of what is still open."""

import igl
import numpy as np
import trimesh
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from avatarpipe.errors import InputError
from avatarpipe.mesh.closest import closest_points
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


def fill_small_holes(mesh: Mesh, max_edges: int) -> Mesh:
    """Close every boundary loop of at most `max_edges` edges by a fan around its centre; larger openings stay.

    The centre takes the mean position and colour of its loop, and its first label. ValueError for a mesh with UVs or face
    labels, which the new faces would lack.
    """
    if mesh.uvs is not None or mesh.face_labels is not None:
        raise ValueError("fill_small_holes: new faces would have neither UVs nor labels")
    loops = [loop for loop in igl.boundary_loop_all(mesh.faces) if 3 <= len(loop) <= max_edges]
    fans = [
        np.stack([np.roll(loop, -1), loop, np.full(len(loop), len(mesh.vertices) + i)], axis=1)
        for i, loop in enumerate(loops)
    ]
    return Mesh(
        _with_centres(mesh.vertices, loops),
        np.concatenate([mesh.faces, *fans]),
        vertex_colors=_with_centres(mesh.vertex_colors, loops),
        vertex_labels=_with_first(mesh.vertex_labels, loops),
    )


def _with_centres(values: np.ndarray | None, loops: list[list[int]]) -> np.ndarray | None:
    if values is None:
        return None
    return np.concatenate([values, *(values[loop].mean(axis=0, keepdims=True) for loop in loops)])


def _with_first(labels: np.ndarray | None, loops: list[list[int]]) -> np.ndarray | None:
    if labels is None:
        return None
    return np.concatenate([labels, *(labels[loop[:1]] for loop in loops)])


def decimate(mesh: Mesh, face_count: int) -> Mesh:
    """About `face_count` faces by quadric error; colours and vertex labels from the closest point of the original.

    UVs, texture and face labels are dropped. Raises InputError if the package fast-simplification is not installed.
    """
    try:
        simple = trimesh.Trimesh(
            mesh.vertices, mesh.faces, process=False
        ).simplify_quadric_decimation(face_count=face_count)
    except ImportError as error:
        raise InputError(
            "decimating a mesh needs one more package: pip install fast-simplification"
        ) from error
    _, ids, weights, _ = closest_points(simple.vertices, mesh.vertices, mesh.faces)
    corners = mesh.faces[ids]
    colors, labels = mesh.vertex_colors, mesh.vertex_labels
    if colors is not None:
        colors = np.einsum("nc,nck->nk", weights, colors[corners])
    if labels is not None:
        labels = labels[corners[np.arange(len(corners)), weights.argmax(axis=1)]]
    return Mesh(simple.vertices, simple.faces, vertex_colors=colors, vertex_labels=labels)
