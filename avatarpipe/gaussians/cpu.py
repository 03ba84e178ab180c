"""The CPU renderer: autograd functions over the Numba kernels."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np
import torch
from torch import Tensor

from avatarpipe.gaussians import compositing, surfels, tiles
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.harmonics import sh_colors
from avatarpipe.gaussians.projection import Splats, camera_centers, ellipsoid_splats, rows

LOWPASS = {"surfel": 2.0, "ellipsoid": 0.0}  # 2DGS's filter: 1 / sqrt(2) pixel
_one_at_a_time = threading.Lock()  # Numba's thread pools may not be entered by two threads


@contextmanager
def _kernels() -> Iterator[None]:
    """Run Numba kernels alone, on as many threads as torch uses.

    Numba's first launch sets the thread count of the OpenMP runtime it shares with torch: put it back.
    """
    with _one_at_a_time:
        threads = torch.get_num_threads()
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        try:
            yield
        finally:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


def composite_cpu(cloud: GaussianCloud, viewmats: Tensor, Ks: Tensor, size, near, far) -> tuple:
    """Image (C, H, W, 6 + F) in the order normal, rgb, features; summed depth, alpha, distortion and
    median depth (C, H, W); screen points (C, N, 2) and radii (C, N)."""
    count = len(viewmats)
    points = cloud.means.new_zeros(count, len(cloud), 2).requires_grad_(torch.is_grad_enabled())
    project = surfel_splats if cloud.kind == "surfel" else ellipsoid_splats
    splats = project(cloud, viewmats, Ks, size, near, far, points)
    radii = torch.zeros(count, len(cloud), dtype=torch.int32)
    with torch.no_grad():
        points[splats.cameras, splats.gaussians] = splats.anchors
        radii[splats.cameras, splats.gaussians] = splats.radii.amax(dim=1)
    channels = _channels(cloud, splats, viewmats)
    (opacities,) = rows(splats.gaussians, cloud.opacities)
    return *composite(cloud.kind, splats, opacities, channels, count, size), points, radii


def _channels(cloud: GaussianCloud, splats: Splats, viewmats: Tensor) -> Tensor:
    """Normal, colour and features (M, 6 + F) of each splat as its camera sees it."""
    if cloud.sh is None:
        (colors,) = rows(splats.gaussians, cloud.colors)
    else:
        sh, means = rows(splats.gaussians, cloud.sh, cloud.means)
        colors = sh_colors(sh, means - camera_centers(viewmats)[splats.cameras])
    extra = [] if cloud.features is None else rows(splats.gaussians, cloud.features)
    return torch.cat([splats.normals, colors, *extra], dim=1)


def surfel_splats(cloud: GaussianCloud, viewmats, Ks, size, near, far, points: Tensor) -> Splats:
    """Project discs, with gradients to those that are seen; points (C, N, 2) are zeros that get
    gsplat's densification gradient."""
    arrays = [_array(x) for x in (cloud.means, cloud.quats, cloud.scales)]
    cameras = [_array(x).astype(np.float64) for x in (viewmats, Ks)]
    with _kernels():
        radii = surfels.surfel_radii(*arrays, *cameras, *size, near, far)
    cams, gs = np.nonzero(radii.all(axis=2))
    leaves = cloud.means, cloud.quats, cloud.scales, points
    rays, centers, depths, normals = _ProjectSurfels.apply(*leaves, arrays, cameras, (cams, gs))
    pairs = torch.from_numpy(cams), torch.from_numpy(gs), torch.from_numpy(radii[cams, gs])
    return Splats(*pairs, rays, centers.detach(), centers, depths, normals)


class _ProjectSurfels(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, scales, points, arrays, cameras, pairs):
        with _kernels():
            outputs = surfels.surfel_forward(*arrays, *cameras, *pairs)
        ctx.saved = arrays, cameras, pairs, outputs[1]
        return tuple(torch.from_numpy(x) for x in outputs)

    @staticmethod
    def backward(ctx, *grads):
        arrays, (viewmats, Ks), (cams, gs), centers = ctx.saved
        grads = [_array(grad) for grad in grads]
        totals = np.zeros((len(arrays[0]), 10), np.float32)
        v_points = np.zeros((len(viewmats), len(totals), 2), np.float32)
        edges = np.searchsorted(cams, np.arange(len(viewmats) + 1))
        for c in range(len(viewmats)):
            span = slice(edges[c], edges[c + 1])
            moved = np.empty((edges[c + 1] - edges[c], 2), np.float32)
            inputs = *arrays, viewmats[c], Ks[c]
            shares = tuple(grad[span] for grad in grads)
            with _kernels():
                surfels.surfel_backward(inputs, (gs[span], centers[span]), shares, totals, moved)
            v_points[c, gs[span]] = moved
        means, quats, scales = torch.from_numpy(totals).split([3, 4, 3], dim=1)
        return means, quats, scales, torch.from_numpy(v_points), None, None, None


def composite(kind: str, splats: Splats, opacities: Tensor, channels: Tensor, count: int, size):
    """Images of `count` cameras of size (width, height).

    opacities (M,) and channels (M, K) belong to the splats. Returns image (C, H, W, K), summed depth,
    alpha, distortion and median depth (C, H, W). Differentiable in opacities and channels and in the
    splats' rays, centers and depths.
    """
    lists = _tile_lists(kind, splats, opacities, count, size)
    inputs = splats.rays, splats.centers, opacities, splats.depths, channels
    return _Composite.apply(*inputs, splats, lists, (LOWPASS[kind], count, size))


def _tile_lists(kind: str, splats: Splats, opacities: Tensor, count: int, size) -> tuple:
    """Pixel boxes (M, 4) and reach (M,) of the splats, offsets and entries of the tile lists."""
    cameras = splats.cameras.numpy()
    order = np.lexsort((splats.depths.detach().numpy(), cameras))
    arrays = [_array(x) for x in (splats.rays, splats.anchors, splats.radii, opacities)]
    boxes, reach = tiles.pixel_boxes(*arrays, LOWPASS[kind], *size)
    across, down = (-(-side // tiles.TILE) for side in size)
    offsets, ids = tiles.tile_lists(boxes, cameras, order, across, down, count)
    return boxes, reach, offsets, ids


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _balanced(counts: np.ndarray) -> np.ndarray:
    """Non-empty tiles dealt to the threads so that each gets its share of long and short lists."""
    threads = numba.get_num_threads()
    longest = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return np.concatenate([longest[i::threads] for i in range(threads)])


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rays, centers, opacities, depths, channels, splats, lists, setting):
        lowpass, count, (width, height) = setting
        boxes, reach, offsets, ids = lists
        shading = [_array(x) for x in (opacities, depths, channels)]
        packed = _array(rays), _array(splats.anchors), boxes, reach, *shading, np.float32(lowpass)
        shape = count, height, width
        image, trans = np.zeros((*shape, channels.shape[1]), np.float32), np.ones(shape, np.float32)
        depth, distortion, median = np.zeros((3, *shape), np.float32)
        last, middle = np.full((2, *shape), -1, np.int32)
        with _kernels():
            work = _balanced(np.diff(offsets))
            if len(work):
                out = image, depth, trans, distortion, median
                compositing.composite_forward(packed, offsets, ids, work, out, last, middle)
        ctx.saved = packed, offsets, ids, (depth, trans), last, middle
        return tuple(map(torch.from_numpy, (image, depth, 1 - trans, distortion, median)))

    @staticmethod
    def backward(ctx, *grads):
        packed, offsets, ids, out, last, middle = ctx.saved
        grads = [_array(grad) for grad in grads]
        width = compositing.GEOMETRY + grads[0].shape[3]
        totals = np.zeros((len(packed[0]), width), np.float32)
        each = (len(offsets) - 1) // len(last)
        for c in range(len(last)):
            first, end = offsets[c * each], offsets[(c + 1) * each]
            if first == end:
                continue
            work = _balanced(np.diff(offsets[c * each : (c + 1) * each + 1])) + c * each
            rows = np.zeros((end - first, width), np.float32)
            own = (out[0][c], out[1][c]), last[c], middle[c], tuple(grad[c] for grad in grads), rows
            with _kernels():
                compositing.composite_backward(packed, offsets, ids, work, first, *own)
            compositing.sum_rows(ids[first:end], rows, totals)
        totals = torch.from_numpy(totals)
        rays, channels = totals[:, :9].reshape(-1, 3, 3), totals[:, compositing.GEOMETRY :]
        return rays, totals[:, 9:11], totals[:, 11], totals[:, 12], channels, None, None, None
