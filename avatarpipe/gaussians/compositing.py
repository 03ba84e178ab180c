"""Front-to-back compositing and its gradient: Numba kernels of the CPU renderer.

Each tile is one unit of parallel work. The backward pass writes one gradient row for every entry of
the tile lists and sums the rows in list order, so there are no races and two runs agree bit for bit.

Per pixel (Kerbl et al. 2023, eq. 3): w_i = alpha_i T_i, T_{i+1} = T_i (1 - alpha_i), stopping before
T falls to 1e-4, alphas at most 0.999 and those under 1/255 skipped. alpha_i = opacity exp(-q/2) with q
the smaller of s.s and 2 d.d, the low-pass filter of 2DGS (Huang et al. 2024, eq. 11). Distortion is
the L1 form of mip-NeRF 360: sum_ij w_i w_j |z_i - z_j|. Depths are those of the centres.
"""

import math

import numpy as np
from numba import njit, prange

from avatarpipe.gaussians.tiles import TILE

FAST = {"contract", "arcp", "nsz", "reassoc"}
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
ALPHA_MIN, ALPHA_MAX = np.float32(1 / 255), np.float32(0.999)
T_MIN = np.float32(1e-4)
HUGE = np.float32(3e38)
GEOMETRY = 16  # gradient columns before the channels: rays 9, centre 2, opacity, depth, 3 unused


@njit(cache=True, fastmath=FAST, inline="always")
def _meet(rays, dx, dy, lowpass):
    """Ray and splat: s, Z, the smaller squared distance, and whether it is that on the disc."""
    z = rays[0, 2] + dx * rays[1, 2] + dy * rays[2, 2]
    x = rays[0, 0] + dx * rays[1, 0] + dy * rays[2, 0]
    y = rays[0, 1] + dx * rays[1, 1] + dy * rays[2, 1]
    if z == ZERO:
        return ZERO, ZERO, ONE, HUGE, True
    inverse = ONE / z
    sx, sy = x * inverse, y * inverse
    on_disc = sx * sx + sy * sy
    if lowpass > ZERO:
        on_screen = lowpass * (dx * dx + dy * dy)
        if on_screen < on_disc:
            return sx, sy, inverse, on_screen, False
    return sx, sy, inverse, on_disc, True


@njit(cache=True, fastmath=FAST, inline="always")
def _add(into, factor, values, count):
    """into += factor * values."""
    for k in range(count):
        into[k] += factor * values[k]


@njit(cache=True, fastmath=FAST)
def _forward_tile(splats, ids, box, out, last, middle):
    """Composite the splats `ids` (front to back) into the pixels of `box`; out holds the images."""
    rays, anchors, boxes, reach, opacities, depths, channels, lowpass = splats
    image, depth_sum, trans, distortion, median = out
    left = (box[1] - box[0]) * (box[3] - box[2])
    for i in range(len(ids)):
        if left == 0:
            break
        m = ids[i]
        ray, shade = rays[m], channels[m]
        opacity, depth, limit = opacities[m], depths[m], reach[m]
        for y in range(max(box[2], boxes[m, 2]), min(box[3], boxes[m, 3])):
            dy = np.float32(y) + HALF - anchors[m, 1]
            for x in range(max(box[0], boxes[m, 0]), min(box[1], boxes[m, 1])):
                t = trans[y, x]
                if t < ZERO:
                    continue
                dx = np.float32(x) + HALF - anchors[m, 0]
                squared = _meet(ray, dx, dy, lowpass)[3]
                if squared > limit:
                    continue
                alpha = min(ALPHA_MAX, opacity * math.exp(-HALF * squared))
                if alpha < ALPHA_MIN:
                    continue
                after = t * (ONE - alpha)
                if after <= T_MIN:
                    trans[y, x] = -t
                    left -= 1
                    continue
                weight = alpha * t
                gone = depth_sum[y, x]
                distortion[y, x] += TWO * weight * (depth * (ONE - t) - gone)
                depth_sum[y, x] = gone + weight * depth
                _add(image[y, x], weight, shade, len(shade))
                if t > HALF:
                    median[y, x] = depth
                    middle[y, x] = i
                last[y, x] = i
                trans[y, x] = after
    for y in range(box[2], box[3]):
        for x in range(box[0], box[1]):
            trans[y, x] = abs(trans[y, x])


@njit(cache=True)
def _tile_box(tile, width, height):
    """Camera and pixel rectangle x0, x1, y0, y1 of a tile."""
    tiles_x = (width + TILE - 1) // TILE
    tiles_y = (height + TILE - 1) // TILE
    x = tile % tiles_x * TILE
    y = tile // tiles_x % tiles_y * TILE
    return tile // (tiles_x * tiles_y), (x, min(x + TILE, width), y, min(y + TILE, height))


@njit(cache=True, parallel=True, fastmath=FAST)
def composite_forward(splats, offsets, ids, work, out, last, middle):
    """Fill out = image (C, H, W, K), summed depth, transmittance, distortion, median depth (C, H, W),
    and the list positions of the last and of the median splat of each pixel (C, H, W) in its tile.

    splats: rays (M, 3, 3), anchors (M, 2), boxes (M, 4), reach (M,), opacities (M,), depths (M,),
    channels (M, K), lowpass.
    work: tiles to do, an order that balances the threads. Images come zeroed, transmittance as ones.
    """
    image, depth_sum, trans, distortion, median = out
    height, width = trans.shape[1:]
    for w in prange(len(work)):
        tile = work[w]
        c, box = _tile_box(tile, width, height)
        images = image[c], depth_sum[c], trans[c], distortion[c], median[c]
        mine = ids[offsets[tile] : offsets[tile + 1]]
        _forward_tile(splats, mine, box, images, last[c], middle[c])


@njit(cache=True, fastmath=FAST, inline="always")
def _dot_add(values, other, into, factor, count):
    """values . other, while into += factor * other."""
    total = ZERO
    for k in range(count):
        total += values[k] * other[k]
        into[k] += factor * other[k]
    return total


@njit(cache=True, fastmath=FAST, inline="always")
def _backward_splat(splats, m, i, box, out, last, middle, grads, state, row):
    """The gradient row of splat m, entry i of its tile; moves the tile's state to the one in front."""
    rays, anchors, boxes, reach, opacities, depths, channels, lowpass = splats
    depth_image, trans = out
    v_image, v_depth, v_alpha, v_distortion, v_median = grads
    left, behind, depth_sum = state
    ray, shade, v_shade = rays[m], channels[m], row[GEOMETRY:]
    opacity, depth, limit = opacities[m], depths[m], reach[m]
    a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = ZERO
    u = v = v_opacity = v_z = ZERO
    for y in range(max(box[2], boxes[m, 2]), min(box[3], boxes[m, 3])):
        dy = np.float32(y) + HALF - anchors[m, 1]
        for x in range(max(box[0], boxes[m, 0]), min(box[1], boxes[m, 1])):
            if i > last[y, x]:
                continue
            dx = np.float32(x) + HALF - anchors[m, 0]
            sx, sy, inverse, squared, disc = _meet(ray, dx, dy, lowpass)
            if squared > limit:
                continue
            falloff = math.exp(-HALF * squared)
            alpha = min(ALPHA_MAX, opacity * falloff)
            if alpha < ALPHA_MIN:
                continue
            ty, tx = y - box[2], x - box[0]
            ratio = ONE / (ONE - alpha)
            t = left[ty, tx] * ratio
            left[ty, tx] = t
            weight = alpha * t
            value = _dot_add(shade, v_image[y, x], v_shade, weight, len(shade))
            value += depth * v_depth[y, x]
            v_z += weight * v_depth[y, x]
            if i == middle[y, x]:
                v_z += v_median[y, x]
            bent = v_distortion[y, x]
            if bent != ZERO:
                total, upto = ONE - trans[y, x], ONE - t + weight
                sums = TWO * (depth * upto - depth_sum[ty, tx])
                value += TWO * bent * (sums + depth_image[y, x] - depth * total)
                depth_sum[ty, tx] -= weight * depth
                v_z += TWO * weight * bent * (upto + ONE - t - total)
            slope = value * t - ratio * (behind[ty, tx] - trans[y, x] * v_alpha[y, x])
            behind[ty, tx] += weight * value
            if opacity * falloff > ALPHA_MAX:
                continue
            v_opacity += falloff * slope
            pull = -alpha * slope  # d loss / d (squared / 2)
            if disc:
                gx, gy = pull * sx * inverse, pull * sy * inverse
                gz = -(gx * sx + gy * sy)
                a0, a1, a2 = a0 + gx, a1 + gy, a2 + gz
                b0, b1, b2 = b0 + dx * gx, b1 + dx * gy, b2 + dx * gz
                c0, c1, c2 = c0 + dy * gx, c1 + dy * gy, c2 + dy * gz
            else:
                u, v = u - pull * lowpass * dx, v - pull * lowpass * dy
    row[0], row[1], row[2], row[3], row[4], row[5] = a0, a1, a2, b0, b1, b2
    row[6], row[7], row[8], row[9], row[10] = c0, c1, c2, u, v
    row[11], row[12] = v_opacity, v_z


@njit(cache=True, fastmath=FAST)
def _backward_tile(splats, ids, box, out, last, middle, grads, rows):
    """Gradients of the list entries `ids` from those of the pixels in `box`, into rows (I, 16 + K)."""
    depth_image, trans = out
    left = np.zeros((TILE, TILE), np.float32)  # transmittance in front of the splat behind
    behind = np.zeros((TILE, TILE), np.float32)  # sum over splats behind of weight * value
    depth_sum = np.zeros((TILE, TILE), np.float32)  # sum of weight * depth up to this splat
    top = -1
    for y in range(box[2], box[3]):
        for x in range(box[0], box[1]):
            left[y - box[2], x - box[0]] = trans[y, x]
            depth_sum[y - box[2], x - box[0]] = depth_image[y, x]
            top = max(top, last[y, x])
    state = left, behind, depth_sum
    for i in range(top, -1, -1):
        _backward_splat(splats, ids[i], i, box, out, last, middle, grads, state, rows[i])


@njit(cache=True, parallel=True, fastmath=FAST)
def composite_backward(splats, offsets, ids, work, first, out, last, middle, grads, rows):
    """Gradient rows (entries of the worked tiles, 16 + K) of one camera's images.

    out: summed depth and transmittance (H, W); grads: of image, depth, alpha, distortion and median;
    rows come zeroed, one for each of the camera's list entries, which start at ids[first].
    """
    height, width = out[1].shape
    for w in prange(len(work)):
        tile = work[w]
        box = _tile_box(tile, width, height)[1]
        start, end = offsets[tile], offsets[tile + 1]
        mine = rows[start - first : end - first]
        _backward_tile(splats, ids[start:end], box, out, last, middle, grads, mine)


@njit(cache=True)
def sum_rows(ids, rows, totals):
    """Add rows (I, D) to totals (M, D) at ids (I,), in order."""
    for i in range(len(ids)):
        m = ids[i]
        for k in range(rows.shape[1]):
            totals[m, k] += rows[i, k]
