"""Surfels to screen and back: Numba kernels of the CPU renderer.

A disc's splat-to-pixel map has rows x, y, z with (u, v, 1) -> (x z, y z, z) (2DGS, Huang et al. 2024,
eq. 7). Its box is that of the unit disc's image (eq. 19 of the appendix), its rays are the cross
product of eq. 9 expanded around an anchor pixel. Scalars are float64, arrays float32.
"""

import math

import numpy as np
from numba import njit, prange

EXTENT = 3.33  # standard deviations kept, as in gsplat


@njit(cache=True)
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(cache=True)
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True)
def _scaled(factor, a):
    return factor * a[0], factor * a[1], factor * a[2]


@njit(cache=True)
def _plus(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@njit(cache=True)
def _unit(quat):
    """Unit quaternion w, x, y, z and the length it had."""
    w, x, y, z = np.float64(quat[0]), np.float64(quat[1]), np.float64(quat[2]), np.float64(quat[3])
    length = max(math.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    return (w / length, x / length, y / length, z / length), length


@njit(cache=True)
def _axes(q):
    """The three columns of the rotation matrix of a unit quaternion."""
    w, x, y, z = q
    first = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)
    second = 2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)
    third = 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
    return first, second, third


@njit(cache=True)
def _turn(w2c, a):
    """A world direction in the camera's frame."""
    return (
        w2c[0, 0] * a[0] + w2c[0, 1] * a[1] + w2c[0, 2] * a[2],
        w2c[1, 0] * a[0] + w2c[1, 1] * a[1] + w2c[1, 2] * a[2],
        w2c[2, 0] * a[0] + w2c[2, 1] * a[1] + w2c[2, 2] * a[2],
    )


@njit(cache=True)
def _turn_back(w2c, a):
    """A direction in the camera's frame in the world."""
    return (
        w2c[0, 0] * a[0] + w2c[1, 0] * a[1] + w2c[2, 0] * a[2],
        w2c[0, 1] * a[0] + w2c[1, 1] * a[1] + w2c[2, 1] * a[2],
        w2c[0, 2] * a[0] + w2c[1, 2] * a[1] + w2c[2, 2] * a[2],
    )


@njit(cache=True)
def _position(mean, w2c):
    point = np.float64(mean[0]), np.float64(mean[1]), np.float64(mean[2])
    return _plus(_turn(w2c, point), (w2c[0, 3], w2c[1, 3], w2c[2, 3]))


@njit(cache=True)
def _rows(axes, scale, position, w2c, K):
    """Rows x, y, z of the splat-to-pixel map."""
    a = _scaled(np.float64(scale[0]), _turn(w2c, axes[0]))
    b = _scaled(np.float64(scale[1]), _turn(w2c, axes[1]))
    z = a[2], b[2], position[2]
    x = _plus(_scaled(K[0, 0], (a[0], b[0], position[0])), _scaled(K[0, 2], z))
    y = _plus(_scaled(K[1, 1], (a[1], b[1], position[1])), _scaled(K[1, 2], z))
    return x, y, z


@njit(cache=True)
def _signed(a, b):
    """The product of signature (1, 1, -1), in which the unit circle has length 0."""
    return a[0] * b[0] + a[1] * b[1] - a[2] * b[2]


@njit(cache=True)
def _radii(x, y, z, width, height):
    """Half size in whole pixels of a splat's box; 0, 0 where it misses the image."""
    scale = _signed(z, z)
    if scale == 0.0:
        return 0, 0
    u, v = _signed(x, z) / scale, _signed(y, z) / scale
    across = math.ceil(EXTENT * math.sqrt(max(u * u - _signed(x, x) / scale, 1e-4)))
    down = math.ceil(EXTENT * math.sqrt(max(v * v - _signed(y, y) / scale, 1e-4)))
    if u + across <= 0 or u - across >= width or v + down <= 0 or v - down >= height:
        return 0, 0
    return min(across, 1_000_000), min(down, 1_000_000)


@njit(cache=True, parallel=True)
def surfel_radii(means, quats, scales, viewmats, Ks, width, height, near, far):
    """Half sizes (C, N, 2) in pixels, int32, of every disc in every camera; 0 where culled."""
    count = len(means)
    radii = np.zeros((len(viewmats), count, 2), np.int32)
    for i in prange(len(viewmats) * count):
        c, n = i // count, i % count
        position = _position(means[n], viewmats[c])
        if near < position[2] < far:
            axes = _axes(_unit(quats[n])[0])
            x, y, z = _rows(axes, scales[n], position, viewmats[c], Ks[c])
            radii[c, n] = _radii(x, y, z, width, height)
    return radii


@njit(cache=True, parallel=True)
def surfel_forward(means, quats, scales, viewmats, Ks, cameras, gaussians):
    """Rays (M, 3, 3), centres (M, 2), depths (M,) and world normals facing the camera (M, 3)."""
    count = len(gaussians)
    rays, centers = np.empty((count, 3, 3), np.float32), np.empty((count, 2), np.float32)
    depths, normals = np.empty(count, np.float32), np.empty((count, 3), np.float32)
    for m in prange(count):
        n, w2c = gaussians[m], viewmats[cameras[m]]
        position = _position(means[n], w2c)
        axes = _axes(_unit(quats[n])[0])
        x, y, z = _rows(axes, scales[n], position, w2c, Ks[cameras[m]])
        scale = _signed(z, z)
        centers[m] = _signed(x, z) / scale, _signed(y, z) / scale
        x = _plus(x, _scaled(-np.float64(centers[m, 0]), z))
        y = _plus(y, _scaled(-np.float64(centers[m, 1]), z))
        rays[m, 0], rays[m, 1], rays[m, 2] = _cross(x, y), _cross(y, z), _cross(z, x)
        depths[m] = position[2]
        sign = -1.0 if _dot(_turn(w2c, axes[2]), position) >= 0 else 1.0
        normals[m] = _scaled(sign, axes[2])
    return rays, centers, depths, normals


@njit(cache=True)
def _map_gradient(x, y, z, center, v_rays, v_center):
    """Gradients of rows x, y, z from those of the rays, and then with those of the centre added.

    Returns v_x, v_y, v_z of the rays alone in the first three, the centre's share in the others.
    """
    u, v = np.float64(center[0]), np.float64(center[1])
    x0, y0 = _plus(x, _scaled(-u, z)), _plus(y, _scaled(-v, z))
    a, b, c = v_rays[0], v_rays[1], v_rays[2]
    v_x = _plus(_cross(y0, a), _cross(c, z))
    v_y = _plus(_cross(a, x0), _cross(z, b))
    v_z = _plus(_plus(_cross(b, y0), _cross(x0, c)), _plus(_scaled(-u, v_x), _scaled(-v, v_y)))
    f = 1 / _signed(z, z)
    du, dv = f * v_center[0], f * v_center[1]
    flip = z[0], z[1], -z[2]
    mixed = _plus(_scaled(du, (x[0], x[1], -x[2])), _scaled(dv, (y[0], y[1], -y[2])))
    w_z = _plus(mixed, _scaled(-2 * (du * u + dv * v), flip))
    return v_x, v_y, v_z, _scaled(du, flip), _scaled(dv, flip), w_z


@njit(cache=True)
def _quat_gradient(q, length, a, b, c):
    """Gradient of the unnormalised quaternion from those of the rotation's columns a, b, c."""
    w, x, y, z = q
    g = (
        2 * (x * (b[2] - c[1]) + y * (c[0] - a[2]) + z * (a[1] - b[0])),
        2 * (-2 * x * (b[1] + c[2]) + y * (b[0] + a[1]) + z * (c[0] + a[2]) + w * (b[2] - c[1])),
        2 * (x * (b[0] + a[1]) - 2 * y * (a[0] + c[2]) + z * (c[1] + b[2]) + w * (c[0] - a[2])),
        2 * (x * (c[0] + a[2]) + y * (c[1] + b[2]) - 2 * z * (a[0] + b[1]) + w * (a[1] - b[0])),
    )
    along = w * g[0] + x * g[1] + y * g[2] + z * g[3]
    return (
        (g[0] - along * w) / length,
        (g[1] - along * x) / length,
        (g[2] - along * y) / length,
        (g[3] - along * z) / length,
    )


@njit(cache=True, parallel=True)
def surfel_backward(inputs, splats, grads, totals, v_points):
    """Add one camera's gradients to totals (N, 10): mean 3, quat 4, scale 3; fill v_points (M, 2).

    inputs: means, quats, scales, w2c, K. splats: gaussians (M,), each once, and centres (M, 2).
    grads: of rays (M, 3, 3), centres (M, 2), depths (M,), normals (M, 3). v_points is gsplat's
    densification gradient: that of the map's last column by way of the rays, times the depth.
    """
    means, quats, scales, w2c, K = inputs
    gaussians, centers = splats
    v_rays, v_centers, v_depths, v_normals = grads
    for m in prange(len(gaussians)):
        n = gaussians[m]
        position = _position(means[n], w2c)
        q, length = _unit(quats[n])
        axes = _axes(q)
        x, y, z = _rows(axes, scales[n], position, w2c, K)
        rays = (
            (np.float64(v_rays[m, 0, 0]), np.float64(v_rays[m, 0, 1]), np.float64(v_rays[m, 0, 2])),
            (np.float64(v_rays[m, 1, 0]), np.float64(v_rays[m, 1, 1]), np.float64(v_rays[m, 1, 2])),
            (np.float64(v_rays[m, 2, 0]), np.float64(v_rays[m, 2, 1]), np.float64(v_rays[m, 2, 2])),
        )
        shares = _map_gradient(x, y, z, centers[m], rays, v_centers[m])
        v_points[m] = shares[0][2] * z[2], shares[1][2] * z[2]
        v_x, v_y = _plus(shares[0], shares[3]), _plus(shares[1], shares[4])
        v_z = _plus(_plus(shares[2], shares[5]), (0.0, 0.0, np.float64(v_depths[m])))
        v_z = _plus(v_z, _plus(_scaled(K[0, 2], v_x), _scaled(K[1, 2], v_y)))
        v_x, v_y = _scaled(K[0, 0], v_x), _scaled(K[1, 1], v_y)
        v_a = _turn_back(w2c, (v_x[0], v_y[0], v_z[0]))
        v_b = _turn_back(w2c, (v_x[1], v_y[1], v_z[1]))
        v_mean = _turn_back(w2c, (v_x[2], v_y[2], v_z[2]))
        sign = -1.0 if _dot(_turn(w2c, axes[2]), position) >= 0 else 1.0
        v_c = sign * v_normals[m, 0], sign * v_normals[m, 1], sign * v_normals[m, 2]
        v_first, v_second = _scaled(scales[n, 0], v_a), _scaled(scales[n, 1], v_b)
        v_quat = _quat_gradient(q, length, v_first, v_second, v_c)
        for k in range(3):
            totals[n, k] += v_mean[k]
        for k in range(4):
            totals[n, 3 + k] += v_quat[k]
        totals[n, 7] += _dot(v_a, axes[0])
        totals[n, 8] += _dot(v_b, axes[1])
