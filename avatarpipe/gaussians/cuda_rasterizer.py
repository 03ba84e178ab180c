"""gsplat's 2DGS kernels as one differentiable function that never makes the host wait for the GPU.

gsplat's own wrapper stops the host after every backward pass, and its kernel writes the densification statistic without
atomics. Here the host runs on, and the statistic comes from the summed gradients of the transforms: what the
kernel means, without the race, and what the CPU renderer gives.
"""

from dataclasses import dataclass

import torch
from gsplat.cuda._wrapper import _make_lazy_cuda_func
from torch import Tensor

_forward = _make_lazy_cuda_func("rasterize_to_pixels_2dgs_fwd")
_backward = _make_lazy_cuda_func("rasterize_to_pixels_2dgs_bwd")


@dataclass(frozen=True)
class Tiles:
    """Which splats lie on which tile: offsets (C, rows, columns) into ids (M,), as gsplat makes them."""

    width: int
    height: int
    size: int
    offsets: Tensor
    ids: Tensor


def rasterize(points, centers, transforms, colors, opacities, normals, tiles: Tiles) -> tuple:
    """Images (C, H, W, .) of splats: colours D, alpha 1, normals 3, distortion 1, median depth 1.

    centers: (C, N, 2) pixels, of the low-pass filter. transforms: (C, N, 3, 3) splat to screen. colors: (C, N, D), the last
    a depth, D a channel count that gsplat is compiled for. opacities: (C, N). normals: (C, N, 3).
    points: (C, N, 2), whose gradient is the statistic: dL/d(screen position of the centre) through the transforms.
    """
    tensors = [x.contiguous() for x in (centers, transforms, colors, opacities, normals)]
    return _Rasterize.apply(points, *tensors, tiles)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, points, centers, transforms, colors, opacities, normals, tiles):
        frame = tiles.width, tiles.height, tiles.size, tiles.offsets, tiles.ids
        splats = centers, transforms, colors, opacities, normals
        *images, last_ids, median_ids = _forward(*splats, None, None, *frame)
        ctx.save_for_backward(*splats, images[0], images[1], last_ids, median_ids)
        ctx.frame, ctx.points = frame, points.shape
        images[1] = images[1].float()
        return tuple(images)

    @staticmethod
    def backward(ctx, *gradients):
        *splats, image, alpha, last_ids, median_ids = ctx.saved_tensors
        transforms = splats[1]
        unused = torch.zeros(ctx.points, device=image.device)  # where gsplat writes its own statistic
        _, v_centers, v_transforms, v_colors, v_opacities, v_normals, _ = _backward(
            *splats, unused, None, None, *ctx.frame, image, alpha, last_ids, median_ids,
            *(gradient.contiguous() for gradient in gradients), False,
        )  # fmt: skip
        moved = v_transforms[..., :2, 2]
        v_points = torch.where(moved == 0, moved, moved * transforms[..., 2, 2:])  # culled ones hold anything
        return v_points, v_centers, v_transforms, v_colors, v_opacities, v_normals, None
