"""The skinning weights of grid nodes at a surface: what makes trilinear samples at its vertices come out as its own weights."""

import numba
import numpy as np
from scipy import sparse

from avatarpipe.mesh.closest import closest_points

REACH = 1.75  # grid spacings, over sqrt(3): all corners of every cell that the surface passes lie within
CORRECTIONS = 12  # more hardly lower the error at the vertices


def nodes_near_surface(
    shape: tuple[int, int, int], low: np.ndarray, high: np.ndarray, vertices: np.ndarray, faces: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(N, 3) indices of the nodes within REACH of a surface (vertices (V, 3), faces (F, 3)), and their weights (N, J).

    low, high: (3,) where the outermost of `shape` nodes lie; the surface may reach beyond, no face of it by more than REACH. The
    weights (V, J) of the closest point come first, then corrections towards what the vertices want: sampling smooths, most
    where fingers are thinner than a cell.
    """
    spacing = (high - low) / (np.array(shape) - 1)
    reach = REACH * spacing.max()
    near = np.zeros(shape, bool)
    _mark_boxes(near, (vertices[faces] - low) / spacing, reach / spacing)
    nodes = np.argwhere(near)
    _, face_ids, barycentric, distances = closest_points(low + nodes * spacing, vertices, faces)
    kept = distances <= reach
    nodes, corners = nodes[kept], faces[face_ids[kept]]
    values = np.einsum("nk,nkj->nj", barycentric[kept].astype(np.float32), weights[corners])
    inside = ((vertices >= low) & (vertices <= high)).all(axis=1)
    samples = _samples(shape, nodes, (vertices[inside] - low) / spacing)
    return nodes, _corrected(values, samples, weights[inside])


def _corrected(values: np.ndarray, samples: sparse.csr_array, weights: np.ndarray) -> np.ndarray:
    """`values` (N, J) after simultaneous corrections (SIRT: Gilbert 1972) of what is sampled, each kept a share of one."""
    influence = np.maximum(samples.sum(axis=0), 1e-9)[:, None].astype(np.float32)
    back = samples.T.tocsr()
    for _ in range(CORRECTIONS):
        values = np.maximum(values + back @ (weights - samples @ values) / influence, 0.0)
        values /= values.sum(axis=1, keepdims=True)
    return values


def _samples(shape, nodes: np.ndarray, places: np.ndarray) -> sparse.csr_array:
    """(V, N) the trilinear weight of each node in the sample at each of `places` (V, 3), which are in nodes."""
    number = np.full(shape, -1)
    number[tuple(nodes.T)] = np.arange(len(nodes))
    corner = np.minimum(places.astype(np.int64), np.array(shape) - 2)
    share = places - corner
    steps = np.array(list(np.ndindex(2, 2, 2)))  # (8, 3)
    shares = np.where(steps == 1, share[:, None], 1.0 - share[:, None]).prod(axis=2)
    columns = number[tuple(np.moveaxis(corner[:, None] + steps, 2, 0))]
    rows = np.repeat(np.arange(len(places)), 8)
    entries = shares.ravel().astype(np.float32)
    return sparse.csr_array((entries, (rows, columns.ravel())), (len(places), len(nodes)))


@numba.njit(cache=True)
def _mark_boxes(near, triangles, reach):
    """Set `near` for the nodes in the box of each triangle (F, 3, 3), in nodes, grown by `reach` (3,) on every side."""
    first, last = np.empty(3, np.int64), np.empty(3, np.int64)
    for face in range(len(triangles)):
        for k in range(3):
            first[k] = max(int(np.ceil(triangles[face, :, k].min() - reach[k])), 0)
            last[k] = (
                min(int(np.floor(triangles[face, :, k].max() + reach[k])), near.shape[k] - 1) + 1
            )
        near[first[0] : last[0], first[1] : last[1], first[2] : last[2]] = True
