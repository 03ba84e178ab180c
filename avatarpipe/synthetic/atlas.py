"""A texture atlas: faces grouped into charts by direction, charts packed as shapes, texels found for every face."""

from dataclasses import dataclass

import numba
import numpy as np
import scipy.sparse as sparse
from scipy.ndimage import distance_transform_edt

_AXES = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
_ACROSS = np.array([[0, 0, -1], [0, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0], [-1, 0, 0]], float)
_CELLS = 256  # a side: charts are packed as cells of size / _CELLS texels
_SMALL = 30  # faces; smaller charts join a neighbour
_FLOOR = 0.01  # of the expected scale, below which a mesh has more charts than an image can hold


@dataclass
class Atlas:
    """uvs: (F, 3, 2) a corner, v up. charts: (F,) chart of each face. size: texels a side."""

    uvs: np.ndarray
    charts: np.ndarray
    size: int

    def texels(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Face (size, size) int32, -1 for none, and barycentric (size, size, 3) at texel centres, top row first."""
        pixels = self.uvs.astype(np.float64) * size
        pixels[..., 1] = size - pixels[..., 1]
        return _rasterise(pixels, size)


def unwrap(vertices: np.ndarray, faces: np.ndarray, detail: np.ndarray, size: int) -> Atlas:
    """UVs for a mesh; detail: (F,) wanted texels per metre, relative. Charts are as large as fit into size x size."""
    charts, axes = _charts(vertices, faces, np.round(np.log2(detail)))
    count = charts.max() + 1
    area = np.bincount(charts, minlength=count)
    scale = np.bincount(charts, detail, minlength=count) / area
    axis = axes[np.unique(charts, return_index=True)[1]]
    corners = vertices[faces]
    across, up = _ACROSS[axis], np.cross(_AXES[axis], _ACROSS[axis])
    plane = np.stack([
        np.einsum("fcd,fd->fc", corners, across[charts]), np.einsum("fcd,fd->fc", corners, up[charts]),
    ], axis=-1) * scale[charts][:, None, None]  # fmt: skip
    plane = _laid_down(plane, charts, count)
    low, high = _scale_bounds(vertices, faces, scale[charts], size)
    for _ in range(6):
        middle = np.sqrt(low * high)
        if _pack(plane, charts, count, middle, size) is None:
            high = middle
        else:
            low = middle
    while (offsets := _pack(plane, charts, count, low, size)) is None:
        low *= 0.8
        if low < _FLOOR * high:
            raise ValueError(f"{count} charts do not fit into {size} x {size} texels")
    pixels = plane * low + offsets[charts][:, None, :]
    return Atlas(
        np.stack([pixels[..., 0], size - pixels[..., 1]], axis=-1).astype(np.float32) / size,
        charts,
        size,
    )


def _scale_bounds(vertices, faces, scale: np.ndarray, size: int) -> tuple[float, float]:
    """Texels a unit that surely fit, and that surely do not: the charts would fill 12 or 100 percent of the image."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = (np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2 * scale**2).sum()
    return size * np.sqrt(0.12 / area), size * np.sqrt(1.0 / area)


def _charts(
    vertices: np.ndarray, faces: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(F,) connected charts of faces that look along the same axis and have the same (F,) level, and that axis."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-15)
    neighbours = _face_neighbours(faces)
    mean = (
        sparse.diags(1.0 / np.maximum(np.asarray(neighbours.sum(axis=1)).ravel(), 1)) @ neighbours
    )
    own = normals @ _AXES.T
    score = own
    for _ in range(3):
        score = 0.5 * score + 0.5 * (mean @ score)
    choice = score.argmax(axis=1)
    for _ in range(6):
        votes = mean @ np.eye(6)[choice]
        choice = (score + 0.9 * votes - 4.0 * (own < 0.15)).argmax(axis=1)
    for _ in range(4):
        charts = _connected(neighbours, choice, level)
        small = np.bincount(charts)[charts] < _SMALL
        outside = neighbours @ (np.eye(6)[choice] * ~small[:, None])
        joins = small & outside.any(axis=1)
        choice = np.where(joins, outside.argmax(axis=1), choice)
    return _connected(neighbours, choice, level), choice


def _connected(neighbours: sparse.csr_matrix, choice: np.ndarray, level: np.ndarray) -> np.ndarray:
    """(F,) number of the connected set of faces with the same choice and level that each face is in."""
    pairs = neighbours.tocoo()
    same = (choice[pairs.row] == choice[pairs.col]) & (level[pairs.row] == level[pairs.col])
    graph = sparse.csr_matrix(
        (np.ones(same.sum()), (pairs.row[same], pairs.col[same])), neighbours.shape
    )
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def _face_neighbours(faces: np.ndarray) -> sparse.csr_matrix:
    """(F, F) 1 where two faces share an edge."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    owner = np.repeat(np.arange(len(faces)), 3)
    order = np.lexsort(edges.T)
    edges, owner = edges[order], owner[order]
    same = (edges[1:] == edges[:-1]).all(axis=1)
    i, j = owner[:-1][same], owner[1:][same]
    ones = np.ones(2 * len(i))
    return sparse.csr_matrix((ones, (np.r_[i, j], np.r_[j, i])), (len(faces), len(faces)))


def _laid_down(plane: np.ndarray, charts: np.ndarray, count: int) -> np.ndarray:
    """Each chart moved to start at 0, y down, taller ones upright."""
    plane = plane * [1.0, -1.0]
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    for corner in range(3):
        np.minimum.at(low, charts, plane[:, corner])
        np.maximum.at(high, charts, plane[:, corner])
    return plane - low[charts][:, None, :]


def _pack(plane: np.ndarray, charts: np.ndarray, count: int, scale: float, size: int):
    """(count, 2) texel offsets of the charts at `scale` texels a unit, largest first, or None if they do not fit."""
    cells = min(_CELLS, size // 2)
    cell = size / cells
    pixels = plane * (scale / cell)
    extent = np.zeros((count, 2))
    np.maximum.at(extent, charts, pixels.max(axis=1))
    if extent.max() > cells - 3:
        return None
    shapes = np.ceil(extent).astype(np.int64) + 3  # a margin of a cell on either side
    starts = np.concatenate([[0], np.cumsum(shapes[:, 0] * shapes[:, 1])])
    masks = np.zeros(starts[-1], np.bool_)
    _stamp(pixels, charts, shapes, starts, masks)
    order = np.argsort(-shapes[:, 0] * shapes[:, 1], kind="stable")
    places = _place(order, shapes, starts, masks, cells)
    return None if places is None else (places + 1.0) * cell


@numba.njit(cache=True)
def _stamp(pixels, charts, shapes, starts, masks):
    """Mark the cells that each chart's faces touch (their bounding boxes) and the cells around."""
    for f in range(len(charts)):
        chart = charts[f]
        width = shapes[chart, 0]
        x0, x1 = int(pixels[f, :, 0].min()), int(pixels[f, :, 0].max()) + 2
        y0, y1 = int(pixels[f, :, 1].min()), int(pixels[f, :, 1].max()) + 2
        for y in range(y0, min(y1, shapes[chart, 1] - 1) + 1):
            for x in range(x0, min(x1, width - 1) + 1):
                masks[starts[chart] + y * width + x] = True


@numba.njit(cache=True)
def _place(order, shapes, starts, masks, cells):
    """First fit from the bottom left; None where a chart finds no room."""
    used = np.zeros((cells, cells), np.bool_)
    places = np.zeros((len(shapes), 2))
    first_row = 0
    for n in range(len(order)):
        chart = order[n]
        width, height, start = shapes[chart, 0], shapes[chart, 1], starts[chart]
        found = False
        for y in range(first_row, cells - height + 1):
            for x in range(cells - width + 1):
                if _free(used, x, y, width, height, start, masks):
                    found = True
                    places[chart, 0], places[chart, 1] = x, y
                    for j in range(height):
                        for i in range(width):
                            if masks[start + j * width + i]:
                                used[y + j, x + i] = True
                    break
            if found:
                break
        if not found:
            return None
        while first_row < cells and used[first_row].all():
            first_row += 1
    return places


@numba.njit(cache=True)
def _free(used, x, y, width, height, start, masks):
    for j in range(height):
        for i in range(width):
            if masks[start + j * width + i] and used[y + j, x + i]:
                return False
    return True


@numba.njit(cache=True)
def _rasterise(pixels, size):
    face_ids = np.full((size, size), -1, np.int32)
    weights = np.zeros((size, size, 3), np.float32)
    for f in range(len(pixels)):
        ax, ay = pixels[f, 0]
        bx, by = pixels[f, 1]
        cx, cy = pixels[f, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12:
            continue
        for y in range(
            max(int(min(ay, by, cy) - 0.5), 0), min(int(max(ay, by, cy) + 0.5), size - 1) + 1
        ):
            for x in range(
                max(int(min(ax, bx, cx) - 0.5), 0), min(int(max(ax, bx, cx) + 0.5), size - 1) + 1
            ):
                px, py = x + 0.5, y + 0.5
                v = ((px - ax) * (cy - ay) - (py - ay) * (cx - ax)) / area
                w = ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) / area
                u = 1.0 - v - w
                if min(u, v, w) >= -1e-6:
                    face_ids[y, x] = f
                    weights[y, x] = np.array([u, v, w])
    return face_ids, weights


def dilated(image: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Every texel outside `filled` takes the colour of the nearest one inside, so that seams do not bleed."""
    nearest = distance_transform_edt(~filled, return_distances=False, return_indices=True)
    return image[nearest[0], nearest[1]]
