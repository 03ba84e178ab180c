"""The loops of depth fusion, on all cores. Pixel centres at +0.5; depth 0 means background."""

import numba
import numpy as np

BLOCK = 8  # voxels a side; blocks without a measured surface nearby are only carved
EMPTY_WEIGHT = 0.1  # "empty here" says no more than that the distance is positive: little against a measured one
MIN_EMPTY = 0.05  # share of its views that must see through a voxel; a stray hole in one must not hollow the inside


@numba.njit(cache=True)
def depth_bounds(depths, pixel_to_world):
    """Lowest and highest corner, (3,) each, of all measured points; infinite where there is none."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for camera in range(depths.shape[0]):
        for row in range(depths.shape[1]):
            for column in range(depths.shape[2]):
                z = depths[camera, row, column]
                if z > 0:
                    for k in range(3):
                        value = _unproject(pixel_to_world[camera, k], column, row, z)
                        low[k], high[k] = min(low[k], value), max(high[k], value)
    return low, high


@numba.njit(inline="always")
def _unproject(m, column, row, z):
    return (m[0] * (column + 0.5) + m[1] * (row + 0.5) + m[2]) * z + m[3]


@numba.njit(cache=True)
def mark_blocks(near, depths, pixel_to_world, origin, voxel, reach):
    """Set `near` for all blocks within `reach` metres of a measured point."""
    size = voxel * BLOCK
    first, last = np.empty(3, np.int64), np.empty(3, np.int64)
    for camera in range(depths.shape[0]):
        for row in range(depths.shape[1]):
            for column in range(depths.shape[2]):
                z = depths[camera, row, column]
                if z <= 0:
                    continue
                for k in range(3):
                    value = _unproject(pixel_to_world[camera, k], column, row, z) - origin[k]
                    first[k] = max(int(np.floor((value - reach) / size)), 0)
                    last[k] = min(int(np.floor((value + reach) / size)), near.shape[k] - 1) + 1
                near[first[0] : last[0], first[1] : last[1], first[2] : last[2]] = True


@numba.njit(parallel=True, cache=True)
def fuse(values, near, depths, alphas, projections, origin, voxel, truncation, hidden):
    """Fill `values` (X, Y, Z) with signed distances in units of the truncation, in [-1, 1], positive outside.

    A voxel i lies at origin + voxel * i. Values are the mean over views, weighted by alpha and less the deeper behind a
    view's surface, where the far side of a thin limb may lie (Bylow et al. 2013). A voxel in no view is empty; one that no
    view measures and too few see through gets `hidden`.
    """
    for block in numba.prange(near.size):
        bx = block // (near.shape[1] * near.shape[2])
        by = block // near.shape[2] % near.shape[1]
        bz = block % near.shape[2]
        for i in range(bx * BLOCK, min((bx + 1) * BLOCK, values.shape[0])):
            x = origin[0] + voxel * i
            for j in range(by * BLOCK, min((by + 1) * BLOCK, values.shape[1])):
                y = origin[1] + voxel * j
                for k in range(bz * BLOCK, min((bz + 1) * BLOCK, values.shape[2])):
                    z = origin[2] + voxel * k
                    values[i, j, k] = _fuse_voxel(
                        x,
                        y,
                        z,
                        not near[bx, by, bz],
                        depths,
                        alphas,
                        projections,
                        truncation,
                        hidden,
                    )


@numba.njit(inline="always")
def _fuse_voxel(x, y, z, carve_only, depths, alphas, projections, truncation, hidden):
    total, weight, empty_weight, views, empty = 0.0, 0.0, 0.0, 0, 0
    for camera in range(depths.shape[0]):
        u, v, distance = _project(projections[camera], x, y, z)
        if not _in_view(u, v, distance, depths.shape[1], depths.shape[2]):
            continue
        views += 1
        surface, confidence = _sample(depths[camera], alphas[camera], u, v, truncation)
        offset = (surface - distance) / truncation if surface > 0 else 1.0
        if offset >= 1.0:
            empty += 1
            empty_weight += EMPTY_WEIGHT * confidence
            if carve_only and empty >= MIN_EMPTY * depths.shape[0]:
                return np.float32(1.0)
        elif offset > -1.0:  # else behind the surface: this view cannot tell
            confidence *= 1.0 + min(offset, 0.0)
            total += confidence * offset
            weight += confidence
    if views == 0:
        return np.float32(1.0)
    if empty >= MIN_EMPTY * views:
        total, weight = total + empty_weight, weight + empty_weight
    return np.float32(total / weight) if weight > 0 else hidden


@numba.njit(inline="always")
def _project(m, x, y, z):
    """Pixel coordinates and depth of a world point."""
    depth = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
    if depth <= 1e-6:
        return -1.0, -1.0, depth
    u = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / depth
    v = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / depth
    return u, v, depth


@numba.njit(inline="always")
def _in_view(u, v, depth, height, width):
    return depth > 1e-6 and 0.0 <= u < width and 0.0 <= v < height


@numba.njit(cache=True)
def _sample(depth, alpha, u, v, step):
    """Depth (0 for background) and its weight at a pixel position.

    Bilinear where the four pixels around are one surface (all measured, within `step` metres), else the nearest pixel.
    """
    height, width = depth.shape
    row, column = min(int(v), height - 1), min(int(u), width - 1)
    left, top = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
    if 0 <= left < width - 1 and 0 <= top < height - 1:
        a, b = depth[top, left], depth[top, left + 1]
        c, d = depth[top + 1, left], depth[top + 1, left + 1]
        low, high = min(a, b, c, d), max(a, b, c, d)
        if low > 0 and high - low < step:
            fx, fy = u - 0.5 - left, v - 0.5 - top
            upper, lower = a + (b - a) * fx, c + (d - c) * fx
            return upper + (lower - upper) * fy, alpha[row, column]
    if depth[row, column] > 0:
        return depth[row, column], alpha[row, column]
    return np.float32(0.0), 1.0 - alpha[row, column]


@numba.njit(parallel=True, cache=True)
def gather_colors(vertices, normals, depths, rgbs, alphas, projections, centres, tolerance):
    """(V, 3) sums of the colours seen at the vertices and (V,) sums of their weights, alpha times cosine."""
    colors = np.zeros((len(vertices), 3), np.float64)
    weights = np.zeros(len(vertices), np.float64)
    for vertex in numba.prange(len(vertices)):
        x, y, z = vertices[vertex]
        for camera in range(depths.shape[0]):
            u, v, distance = _project(projections[camera], x, y, z)
            if not _in_view(u, v, distance, depths.shape[1], depths.shape[2]):
                continue
            row, column = int(v), int(u)
            if abs(depths[camera, row, column] - distance) > tolerance:
                continue
            cosine = _cosine(normals[vertex], x, y, z, centres[camera])
            weight = max(cosine, 0.0) ** 2 * alphas[camera, row, column]
            weights[vertex] += weight
            for k in range(3):
                colors[vertex, k] += weight * rgbs[camera, row, column, k]
    return colors, weights


@numba.njit(inline="always")
def _cosine(normal, x, y, z, centre):
    """Cosine between a normal and the direction to a camera's centre."""
    dx, dy, dz = centre[0] - x, centre[1] - y, centre[2] - z
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    return (normal[0] * dx + normal[1] * dy + normal[2] * dz) / length
