"""The photometric loss and its gradient in four Triton kernels: on a GPU dense blurs would take a third of a step.

SSIM blurs five moments of a window, and its gradient blurs three derivatives; an 11-wide Gaussian is separable, so
each is one pass along the rows and one along the columns. The gradient is made together with the loss.
"""

import torch
import triton
import triton.language as tl

BLOCK = 1024  # values of one image row that a program takes
TOTAL = tl.constexpr(sum(2.718281828459045 ** (-(k**2) / 4.5) for k in range(-5, 6)))
C1, C2 = tl.constexpr(0.01**2), tl.constexpr(0.03**2)


@triton.jit
def _weight(k):
    """The window at `k` pixels from its middle: sigma 1.5, 11 wide, of sum 1."""
    distance = tl.full([], k, tl.float32)
    return tl.exp(-(distance * distance) / 4.5) / TOTAL


@triton.jit
def _blur_moments(image, target, out, count, length, SIZE: tl.constexpr):
    """out (5, count): x, y, xx, yy, xy blurred along rows of `length` values, three channels a pixel."""
    row = tl.program_id(0).to(tl.int64) * length
    column = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    mx, my = tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32)
    xx, yy, xy = tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32)
    for k in tl.static_range(-5, 6):
        at = column + 3 * k
        inside = (at >= 0) & (at < length)
        x = tl.load(image + row + at, inside, 0.0)
        y = tl.load(target + row + at, inside, 0.0)
        w = _weight(k)
        mx += w * x
        my += w * y
        xx += w * x * x
        yy += w * y * y
        xy += w * x * y
    inside = column < length
    tl.store(out + row + column, mx, inside)
    tl.store(out + count + row + column, my, inside)
    tl.store(out + 2 * count + row + column, xx, inside)
    tl.store(out + 3 * count + row + column, yy, inside)
    tl.store(out + 4 * count + row + column, xy, inside)


@triton.jit
def _ssim(moments, slopes, sums, count, rows, length, SIZE: tl.constexpr):
    """Blur along columns; sums: of 1 - SSIM a program; slopes (3, count): dSSIM by the blurred x, xx, xy."""
    line = tl.program_id(0)
    y = line % rows
    row = line.to(tl.int64) * length
    column = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    inside = column < length
    mx, my = tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32)
    xx, yy, xy = tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32)
    for k in tl.static_range(-5, 6):
        at = moments + row + k * length + column
        seen = inside & (y + k >= 0) & (y + k < rows)
        w = _weight(k)
        mx += w * tl.load(at, seen, 0.0)
        my += w * tl.load(at + count, seen, 0.0)
        xx += w * tl.load(at + 2 * count, seen, 0.0)
        yy += w * tl.load(at + 3 * count, seen, 0.0)
        xy += w * tl.load(at + 4 * count, seen, 0.0)
    a1 = 2 * mx * my + C1
    a2 = mx * mx + my * my + C1
    b1 = 2 * (xy - mx * my) + C2
    b2 = xx - mx * mx + yy - my * my + C2
    ssim = a1 * b1 / (a2 * b2)
    tl.store(slopes + row + column, 2 * my * (b1 - a1) / (a2 * b2) - 2 * mx * ssim * (1 / a2 - 1 / b2), inside)
    tl.store(slopes + count + row + column, -ssim / b2, inside)
    tl.store(slopes + 2 * count + row + column, 2 * a1 / (a2 * b2), inside)
    program = line * tl.num_programs(1) + tl.program_id(1)
    tl.store(sums + program, tl.sum(tl.where(inside, 1.0 - ssim, 0.0)))


@triton.jit
def _blur_columns(slopes, out, count, rows, length, SIZE: tl.constexpr):
    """out (3, count): the slopes blurred along columns."""
    line = tl.program_id(0)
    y = line % rows
    row = line.to(tl.int64) * length
    column = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    inside = column < length
    a, b, c = tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32)
    for k in tl.static_range(-5, 6):
        at = slopes + row + k * length + column
        seen = inside & (y + k >= 0) & (y + k < rows)
        w = _weight(k)
        a += w * tl.load(at, seen, 0.0)
        b += w * tl.load(at + count, seen, 0.0)
        c += w * tl.load(at + 2 * count, seen, 0.0)
    tl.store(out + row + column, a, inside)
    tl.store(out + count + row + column, b, inside)
    tl.store(out + 2 * count + row + column, c, inside)


@triton.jit
def _gradient(image, target, slopes, out, sums, count, length, l1_share, ssim_share, SIZE: tl.constexpr):
    """out (count): derivative of the loss times `count` by each value; sums: of |x - y| a program."""
    row = tl.program_id(0).to(tl.int64) * length
    column = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    a, b, c = tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32), tl.zeros([SIZE], tl.float32)
    for k in tl.static_range(-5, 6):
        at = slopes + row + column + 3 * k
        seen = (column + 3 * k >= 0) & (column + 3 * k < length)
        w = _weight(k)
        a += w * tl.load(at, seen, 0.0)
        b += w * tl.load(at + count, seen, 0.0)
        c += w * tl.load(at + 2 * count, seen, 0.0)
    inside = column < length
    x = tl.load(image + row + column, inside, 0.0)
    y = tl.load(target + row + column, inside, 0.0)
    sign = tl.where(x > y, 1.0, tl.where(x < y, -1.0, 0.0))
    value = l1_share * sign - ssim_share * (a + 2 * x * b + y * c)
    tl.store(out + row + column, value, inside)
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    tl.store(sums + program, tl.sum(tl.abs(x - y)))


class FusedPhotometric(torch.autograd.Function):
    """(1 - s) mean |x - y| + s (1 - mean SSIM) of (C, H, W, 3) images; the target gets no gradient."""

    @staticmethod
    def forward(ctx, image: torch.Tensor, target: torch.Tensor, ssim_share: float) -> torch.Tensor:
        image, target = image.contiguous(), target.contiguous()
        cameras, rows, width, _ = image.shape
        count, length = image.numel(), 3 * width
        grid = (cameras * rows, triton.cdiv(length, BLOCK))
        moments, slopes = image.new_empty(5, count), image.new_empty(3, count)
        sums = image.new_empty(2, grid[0] * grid[1])
        _blur_moments[grid](image, target, moments, count, length, BLOCK)
        _ssim[grid](moments, slopes, sums[0], count, rows, length, BLOCK)
        blurred, gradient = moments[:3], torch.empty_like(image)
        _blur_columns[grid](slopes, blurred, count, rows, length, BLOCK)
        shares = 1.0 - ssim_share, ssim_share
        _gradient[grid](image, target, blurred, gradient, sums[1], count, length, *shares, BLOCK)
        ctx.save_for_backward(gradient)
        ctx.count = count
        dissimilar, absolute = sums.sum(dim=1).unbind()
        return (shares[0] * absolute + shares[1] * dissimilar) / count

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        return ctx.saved_tensors[0] * (gradient / ctx.count), None, None
