"""Which splats touch which 16 x 16 tile, front to back: Numba kernels of the CPU renderer.

As in 3DGS (Kerbl et al. 2023, sec. 6) and gsplat, a splat belongs to the tiles its 3.33-sigma box
covers, which decides where it is cut off. Inside that box each splat further gets the smallest pixel
rectangle where its alpha can reach 1/255, so that most pixels are never visited.
"""

import math

import numpy as np
from numba import njit

TILE = 16
MARGIN = 0.02  # pixels of slack around the rectangle, far above rounding


@njit(cache=True)
def _disc_box(rays, squared):
    """Centre and half size of {s.s <= squared} relative to the anchor; half size -1 if unbounded.

    The map from the disc to the screen is the inverse of `rays`, up to scale: its rows are the cross
    products of the rays' rows; the box is that of 2DGS (Huang et al. 2024, app. A, eq. 19).
    """
    a0, a1, a2 = np.float64(rays[0, 0]), np.float64(rays[0, 1]), np.float64(rays[0, 2])
    b0, b1, b2 = np.float64(rays[1, 0]), np.float64(rays[1, 1]), np.float64(rays[1, 2])
    c0, c1, c2 = np.float64(rays[2, 0]), np.float64(rays[2, 1]), np.float64(rays[2, 2])
    x0, x1, x2 = c1 * a2 - c2 * a1, c2 * a0 - c0 * a2, c0 * a1 - c1 * a0
    y0, y1, y2 = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
    z0, z1, z2 = b1 * c2 - b2 * c1, b2 * c0 - b0 * c2, b0 * c1 - b1 * c0
    scale = squared * (z0 * z0 + z1 * z1) - z2 * z2
    if not scale < -1e-6 * z2 * z2:
        return 0.0, 0.0, -1.0, -1.0
    x = (squared * (x0 * z0 + x1 * z1) - x2 * z2) / scale
    y = (squared * (y0 * z0 + y1 * z1) - y2 * z2) / scale
    xx = x * x - (squared * (x0 * x0 + x1 * x1) - x2 * x2) / scale
    yy = y * y - (squared * (y0 * y0 + y1 * y1) - y2 * y2) / scale
    return x, y, math.sqrt(max(xx, 0.0)), math.sqrt(max(yy, 0.0))


@njit(cache=True)
def _tile_span(center, radius, size):
    """First and past-last pixel of the tiles that centre -+ radius covers, within [0, size)."""
    tiles = (size + TILE - 1) // TILE
    width = np.float32(TILE)
    first = math.floor(center / width - np.float32(radius) / width)
    last = math.ceil(center / width + np.float32(radius) / width)
    first = min(max(int(first), 0), tiles)
    last = min(max(int(last), 0), tiles)
    return first * TILE, min(last * TILE, size)


@njit(cache=True)
def _clip(low, high, first, last):
    """Pixels whose centres lie in [low, high], within [first, last)."""
    start = max(first, math.ceil(max(low - 0.5 - MARGIN, -1.0)))
    stop = min(last, math.floor(min(high - 0.5 + MARGIN, 1e6)) + 1)
    return start, stop


@njit(cache=True)
def pixel_boxes(rays, anchors, radii, opacities, lowpass, width, height):
    """Rectangles (M, 4) of pixels x0, x1, y0, y1 (ends excluded) where alpha may reach 1/255, and
    the squared distance (M,) in sigmas, a little generous, up to which it does.

    lowpass: inverse squared width of the screen-space filter around the anchor (2DGS: 2), 0 for none.
    """
    boxes, reach = np.zeros((len(rays), 4), np.int32), np.zeros(len(rays), np.float32)
    for m in range(len(rays)):
        if opacities[m] * 255.0 < 0.999:
            continue
        squared = max(2.0 * math.log(opacities[m] * 255.0), 0.0) * 1.001 + 1e-4
        reach[m] = squared
        x0, x1 = _tile_span(anchors[m, 0], radii[m, 0], width)
        y0, y1 = _tile_span(anchors[m, 1], radii[m, 1], height)
        dx, dy, half_x, half_y = _disc_box(rays[m], squared)
        if half_x >= 0:
            blur = math.sqrt(squared / lowpass) if lowpass > 0 else 0.0
            low, high = min(dx - half_x, -blur), max(dx + half_x, blur)
            x0, x1 = _clip(anchors[m, 0] + low, anchors[m, 0] + high, x0, x1)
            low, high = min(dy - half_y, -blur), max(dy + half_y, blur)
            y0, y1 = _clip(anchors[m, 1] + low, anchors[m, 1] + high, y0, y1)
        if x0 < x1 and y0 < y1:
            boxes[m] = x0, x1, y0, y1
    return boxes, reach


@njit(cache=True)
def _count_tiles(boxes, cameras, tiles_x, tiles_y, count):
    ends = np.zeros(count * tiles_x * tiles_y + 1, np.int64)
    for m in range(len(boxes)):
        x0, x1, y0, y1 = boxes[m]
        if x0 >= x1:
            continue
        for ty in range(y0 // TILE, (y1 - 1) // TILE + 1):
            row = (cameras[m] * tiles_y + ty) * tiles_x
            for tx in range(x0 // TILE, (x1 - 1) // TILE + 1):
                ends[row + tx + 1] += 1
    return np.cumsum(ends)


@njit(cache=True)
def tile_lists(boxes, cameras, order, tiles_x, tiles_y, count):
    """Splats of each tile, front to back: offsets (count * tiles + 1,) into ids (I,).

    order: splat indices sorted by camera, then depth. Tiles are camera-major, then rows.
    """
    offsets = _count_tiles(boxes, cameras, tiles_x, tiles_y, count)
    ids = np.empty(offsets[-1], np.int32)
    heads = offsets[:-1].copy()
    for m in order:
        x0, x1, y0, y1 = boxes[m]
        if x0 >= x1:
            continue
        for ty in range(y0 // TILE, (y1 - 1) // TILE + 1):
            row = (cameras[m] * tiles_y + ty) * tiles_x
            for tx in range(x0 // TILE, (x1 - 1) // TILE + 1):
                ids[heads[row + tx]] = m
                heads[row + tx] += 1
    return offsets, ids
