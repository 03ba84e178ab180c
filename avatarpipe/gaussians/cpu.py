"""The CPU renderer as an autograd function over the Numba kernels."""

import threading

import numba
import numpy as np
import torch
from torch import Tensor

from avatarpipe.gaussians import compositing, tiles
from avatarpipe.gaussians.projection import Splats

LOWPASS = {"surfel": 2.0, "ellipsoid": 0.0}  # 2DGS's filter: 1 / sqrt(2) pixel
_one_at_a_time = threading.Lock()  # Numba's thread pools may not be entered by two threads


def composite(kind: str, splats: Splats, opacities: Tensor, channels: Tensor, count: int, size):
    """Images of `count` cameras of size (width, height).

    opacities (M,) and channels (M, K), channel 0 being the depth, belong to the splats. Returns image
    (C, H, W, K), alpha, distortion and median depth (C, H, W). Differentiable in all of these inputs,
    in splats.rays and in splats.centers.
    """
    lists = _tile_lists(kind, splats, opacities, count, size)
    inputs = splats.rays, splats.centers, opacities, channels
    return _Composite.apply(*inputs, splats, lists, (LOWPASS[kind], count, size))


def _tile_lists(kind: str, splats: Splats, opacities: Tensor, count: int, size) -> tuple:
    """Pixel boxes (M, 4), list offsets, list entries, and the order in which to do the tiles."""
    cameras = splats.cameras.numpy()
    order = np.lexsort((splats.depths.detach().numpy(), cameras))
    arrays = [_array(x) for x in (splats.rays, splats.anchors, splats.radii, opacities)]
    boxes = tiles.pixel_boxes(*arrays, LOWPASS[kind], *size)
    across, down = (-(-side // tiles.TILE) for side in size)
    offsets, ids = tiles.tile_lists(boxes, cameras, order, across, down, count)
    return boxes, offsets, ids


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _balanced(counts: np.ndarray) -> np.ndarray:
    """Non-empty tiles dealt to the threads so that each gets its share of long and short lists."""
    threads = numba.get_num_threads()
    longest = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return np.concatenate([longest[i::threads] for i in range(threads)])


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rays, centers, opacities, channels, splats, lists, setting):
        lowpass, count, (width, height) = setting
        boxes, offsets, ids = lists
        arrays = _array(rays), _array(splats.anchors), boxes, _array(opacities), _array(channels)
        image = np.zeros((count, height, width, channels.shape[1]), np.float32)
        out = image, np.ones(image.shape[:3], np.float32), *np.zeros((2, *image.shape[:3]), np.float32)
        last, middle = np.full((2, *image.shape[:3]), -1, np.int32)
        with _one_at_a_time:
            numba.set_num_threads(_threads())
            work = _balanced(np.diff(offsets))
            if len(work):
                packed = *arrays, np.float32(lowpass)
                compositing.composite_forward(packed, offsets, ids, work, out, last, middle)
        ctx.saved = arrays, offsets, ids, out[:2], last, middle, np.float32(lowpass)
        ctx.set_materialize_grads(True)
        alpha = torch.from_numpy(1 - out[1])
        return torch.from_numpy(image), alpha, *map(torch.from_numpy, out[2:])

    @staticmethod
    def backward(ctx, *grads):
        arrays, offsets, ids, (image, trans), last, middle, lowpass = ctx.saved
        grads = [_array(grad) for grad in grads]
        totals = np.zeros((len(arrays[0]), compositing.GEOMETRY + image.shape[3]), np.float32)
        tiles_each = (len(offsets) - 1) // len(image)
        for c in range(len(image)):
            span = offsets[c * tiles_each], offsets[(c + 1) * tiles_each]
            if span[0] == span[1]:
                continue
            counts = np.diff(offsets[c * tiles_each : (c + 1) * tiles_each + 1])
            rows = np.zeros((span[1] - span[0], totals.shape[1]), np.float32)
            own = (image[c], trans[c]), last[c], middle[c], tuple(grad[c] for grad in grads), rows
            with _one_at_a_time:
                numba.set_num_threads(_threads())
                work = _balanced(counts) + c * tiles_each
                compositing.composite_backward((*arrays, lowpass), offsets, ids, work, span[0], *own)
            compositing.sum_rows(ids[span[0] : span[1]], rows, totals)
        totals = torch.from_numpy(totals)
        rays = totals[:, :9].reshape(-1, 3, 3)
        return rays, totals[:, 9:11], totals[:, 11], totals[:, 12:], None, None, None


def _threads() -> int:
    """As many threads as torch uses: one setting for both."""
    return min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
