"""The Inception network that FID is defined on, from weights on disk, without torchvision.

    pt_inception-2015-12-05-6726825d.pth    as the package pytorch-fid publishes it, made from TensorFlow's of 2015

It is Inception v3 (Szegedy et al. 2016) but for three things of that TensorFlow graph: average pools do not count the
padding, the last block pools by maximum, and 1008 classes, which FID does not ask for.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from avatarpipe.errors import InputError
from avatarpipe.training.weights import load_state

WEIGHT_FILE = "pt_inception-2015-12-05-6726825d.pth"
SIZE, FEATURES = 299, 2048

Kernel = int | tuple[int, int]
Unit = tuple[str, int, Kernel, int]
"""Name, output channels, kernel (rows, columns) and stride of a convolution; those of stride 1 keep the size."""
Branch = Sequence[Unit | tuple[Unit, Unit]]
"""Convolutions one after the other; a pair at the end are two that see the same and stand side by side."""


class Convolution(nn.Module):
    """A convolution without bias, batch normalisation of epsilon 0.001, ReLU."""

    def __init__(self, into: int, out: int, kernel: Kernel, stride: int = 1, padded: bool = True):
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = tuple(side // 2 for side in sides) if padded and stride == 1 else 0
        self.conv = nn.Conv2d(into, out, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, images: Tensor) -> Tensor:
        return relu(self.bn(self.conv(images)))


class Block(nn.Module):
    """Branches side by side, their channels one after the other; the last one pools.

    branches: of convolutions. pool: what the last branch starts with, and `pooled` the channels of its convolution, 0 for
    none.
    """

    def __init__(self, into: int, branches: Sequence[Branch], pool: nn.Module, pooled: int):
        super().__init__()
        self._branches, self._pool, self._pooled = branches, pool, pooled
        for branch in branches:
            channels = into
            for step in branch:
                pair = step if isinstance(step[0], tuple) else (step,)
                for name, out, kernel, stride in pair:
                    self.add_module(name, Convolution(channels, out, kernel, stride))
                channels = pair[0][1]
        if pooled:
            self.branch_pool = Convolution(into, pooled, 1)

    def forward(self, images: Tensor) -> Tensor:
        found = [self._along(branch, images) for branch in self._branches]
        pooled = self._pool(images)
        return torch.cat([*found, self.branch_pool(pooled) if self._pooled else pooled], dim=1)

    def _along(self, branch: Branch, images: Tensor) -> Tensor:
        for step in branch:
            pair = step if isinstance(step[0], tuple) else (step,)
            images = torch.cat([getattr(self, name)(images) for name, *_ in pair], dim=1)
        return images


class Inception(nn.Module):
    """(B, 2048) features of (B, 3, H, W) images in [0, 1]. Frozen. Raises InputError where `path` holds something else."""

    def __init__(self, path: str | Path):
        super().__init__()
        for name, module in _layers():
            self.add_module(name, module)
        wanted = set(self.state_dict())
        wanted -= {name for name in wanted if name.endswith("num_batches_tracked")}
        state = load_state(Path(path), wanted)
        try:
            self.load_state_dict({name: state[name] for name in wanted}, strict=False)
        except RuntimeError as error:
            raise InputError(f"{path}: not the expected network. {error}") from error
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        images = interpolate(images, (SIZE, SIZE), mode="bilinear", align_corners=False)
        images = 2 * images - 1
        for module in self.children():
            images = module(images)
        return images.mean(dim=(2, 3))


def _layers() -> list[tuple[str, nn.Module]]:
    """In the order they run; names as in the weight file, pools have none there."""
    return [
        ("Conv2d_1a_3x3", Convolution(3, 32, 3, 2)),
        ("Conv2d_2a_3x3", Convolution(32, 32, 3, padded=False)),
        ("Conv2d_2b_3x3", Convolution(32, 64, 3)),
        ("pool_1", nn.MaxPool2d(3, 2)),
        ("Conv2d_3b_1x1", Convolution(64, 80, 1)),
        ("Conv2d_4a_3x3", Convolution(80, 192, 3, padded=False)),
        ("pool_2", nn.MaxPool2d(3, 2)),
        ("Mixed_5b", _wide(192, 32)),
        ("Mixed_5c", _wide(256, 64)),
        ("Mixed_5d", _wide(288, 64)),
        ("Mixed_6a", _halving_first()),
        ("Mixed_6b", _crossed(128)),
        ("Mixed_6c", _crossed(160)),
        ("Mixed_6d", _crossed(160)),
        ("Mixed_6e", _crossed(192)),
        ("Mixed_7a", _halving_second()),
        ("Mixed_7b", _forked(1280, _average())),
        ("Mixed_7c", _forked(2048, nn.MaxPool2d(3, 1, 1))),
    ]


def _average() -> nn.Module:
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def _wide(into: int, pooled: int) -> Block:
    """35 pixels a side; figure 5 of the paper."""
    branches = [
        [("branch1x1", 64, 1, 1)],
        [("branch5x5_1", 48, 1, 1), ("branch5x5_2", 64, 5, 1)],
        [("branch3x3dbl_1", 64, 1, 1), ("branch3x3dbl_2", 96, 3, 1), ("branch3x3dbl_3", 96, 3, 1)],
    ]
    return Block(into, branches, _average(), pooled)


def _halving_first() -> Block:
    """35 to 17 pixels a side."""
    branches = [
        [("branch3x3", 384, 3, 2)],
        [("branch3x3dbl_1", 64, 1, 1), ("branch3x3dbl_2", 96, 3, 1), ("branch3x3dbl_3", 96, 3, 2)],
    ]
    return Block(288, branches, nn.MaxPool2d(3, 2), 0)


def _crossed(inner: int) -> Block:
    """17 pixels a side, kernels of one row or one column; figure 6 of the paper."""
    row, column = (1, 7), (7, 1)
    double = [("branch7x7dbl_1", inner, 1, 1), ("branch7x7dbl_2", inner, column, 1)]
    double += [("branch7x7dbl_3", inner, row, 1), ("branch7x7dbl_4", inner, column, 1)]
    branches = [
        [("branch1x1", 192, 1, 1)],
        [("branch7x7_1", inner, 1, 1), ("branch7x7_2", inner, row, 1), ("branch7x7_3", 192, column, 1)],
        [*double, ("branch7x7dbl_5", 192, row, 1)],
    ]  # fmt: skip
    return Block(768, branches, _average(), 192)


def _halving_second() -> Block:
    """17 to 8 pixels a side."""
    crossed = [("branch7x7x3_1", 192, 1, 1), ("branch7x7x3_2", 192, (1, 7), 1)]
    crossed += [("branch7x7x3_3", 192, (7, 1), 1), ("branch7x7x3_4", 192, 3, 2)]
    branches = [[("branch3x3_1", 192, 1, 1), ("branch3x3_2", 320, 3, 2)], crossed]
    return Block(768, branches, nn.MaxPool2d(3, 2), 0)


def _forked(into: int, pool: nn.Module) -> Block:
    """8 pixels a side, branches that end in a row and a column side by side; figure 7 of the paper."""
    row, column = (1, 3), (3, 1)
    branches = [
        [("branch1x1", 320, 1, 1)],
        [("branch3x3_1", 384, 1, 1), (("branch3x3_2a", 384, row, 1), ("branch3x3_2b", 384, column, 1))],
        [("branch3x3dbl_1", 448, 1, 1), ("branch3x3dbl_2", 384, 3, 1),
         (("branch3x3dbl_3a", 384, row, 1), ("branch3x3dbl_3b", 384, column, 1))],
    ]  # fmt: skip
    return Block(into, branches, pool, 192)
