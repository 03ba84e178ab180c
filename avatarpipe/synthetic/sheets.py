"""Surface work on cloth: clipping along a function, smoothing, thickness."""

import igl
import numpy as np
import scipy.sparse as sparse


def clip(faces: np.ndarray, columns: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a mesh where the (V,) function `keep` is zero and return (faces, columns) of its positive side.

    columns: (V, C) everything that vertices carry, interpolated along cut edges. The cut follows the zero line exactly.
    """
    keep = np.where(np.abs(keep) < 1e-7, 1e-7, keep)
    positive = keep[faces] > 0
    count = positive.sum(axis=1)
    whole = faces[count == 3]
    one, two = faces[count == 1], faces[count == 2]
    one = _rolled(one, positive[count == 1].argmax(axis=1))  # first corner kept
    two = _rolled(two, (~positive[count == 2]).argmax(axis=1))  # first corner lost
    edges = np.concatenate([one[:, [0, 1]], one[:, [0, 2]], two[:, [0, 1]], two[:, [0, 2]]])
    keys, which = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True)
    t = keep[keys[:, 0]] / (keep[keys[:, 0]] - keep[keys[:, 1]])
    cut = columns[keys[:, 0]] * (1 - t[:, None]) + columns[keys[:, 1]] * t[:, None]
    ids = which.ravel() + len(columns)
    n, m = len(one), len(two)
    ab, ac, de, df = ids[:n], ids[n : 2 * n], ids[2 * n : 2 * n + m], ids[2 * n + m :]
    faces = np.concatenate([
        whole, np.column_stack([one[:, 0], ab, ac]),
        np.column_stack([de, two[:, 1], two[:, 2]]), np.column_stack([de, two[:, 2], df]),
    ])  # fmt: skip
    return compact(faces, np.concatenate([columns, cut]))


def _rolled(faces: np.ndarray, first: np.ndarray) -> np.ndarray:
    rows = np.arange(len(faces))[:, None]
    return faces[rows, (first[:, None] + np.arange(3)) % 3]


def compact(faces: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop unused vertices and faces that name one twice."""
    distinct = (
        (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    )
    used, faces = np.unique(faces[distinct], return_inverse=True)
    return faces.reshape(-1, 3), columns[used]


def largest_pieces(faces: np.ndarray, columns: np.ndarray, share: float = 0.15):
    """Keep connected pieces with at least `share` of the largest one's vertices."""
    count, piece = sparse.csgraph.connected_components(igl.adjacency_matrix(faces))
    sizes = np.bincount(piece, minlength=count)
    big = sizes >= share * sizes.max()
    return compact(faces[big[piece[faces[:, 0]]]], columns)


def smoothing(faces: np.ndarray, vertex_count: int) -> sparse.csr_matrix:
    """(V, V) matrix that replaces each value by the mean of its neighbours and itself."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    rows = np.concatenate([edges[:, 0], edges[:, 1], np.arange(vertex_count)])
    cols = np.concatenate([edges[:, 1], edges[:, 0], np.arange(vertex_count)])
    matrix = sparse.csr_matrix((np.ones(len(rows)), (rows, cols)), (vertex_count, vertex_count))
    matrix.data[:] = 1.0
    return sparse.diags(1.0 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix


def boundary_edges(faces: np.ndarray) -> np.ndarray:
    """(E, 2) directed edges that only one face has."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, first, counts = np.unique(
        np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True
    )
    return edges[first[counts == 1]]


def thicken(vertices: np.ndarray, faces: np.ndarray, thickness: float):
    """A closed cloth of the outer sheet given: an inner sheet follows (ids + V), edges are sewn.

    Returns vertices (2V, 3) and faces.
    """
    count = len(vertices)
    normals = igl.per_vertex_normals(vertices, faces)
    inner = vertices - thickness * np.nan_to_num(normals)
    edges = boundary_edges(faces)
    a, b = edges[:, 0], edges[:, 1]
    rim = np.concatenate(
        [np.column_stack([b, a, a + count]), np.column_stack([b, a + count, b + count])]
    )
    return np.concatenate([vertices, inner]), np.concatenate([faces, faces[:, ::-1] + count, rim])
