"""A TorchScript with the inputs and outputs of Sapiens segmentation, that tells classes by colour."""

from pathlib import Path

import numpy as np
import torch

_MEAN, _DEVIATION = np.array([123.5, 116.5, 103.5]), np.array([58.5, 57.0, 57.5])


class NearestColour(torch.nn.Module):
    """(B, 3, 1024, 768) -> (B, classes, 256, 192): minus the squared distance to each class's colour, up to a constant."""

    def __init__(self, colours: dict[int, tuple[float, float, float]], classes: int):
        super().__init__()
        weight, bias = torch.zeros(classes, 3, 1, 1), torch.full((classes,), -1e4)
        for index, colour in colours.items():
            target = torch.tensor((np.array(colour) * 255 - _MEAN) / _DEVIATION).float()
            weight[index, :, 0, 0], bias[index] = 2 * target, -(target @ target)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1] == 3 and x.shape[2] == 1024 and x.shape[3] == 768
        return torch.nn.functional.conv2d(
            torch.nn.functional.avg_pool2d(x, 4), self.weight, self.bias
        )


def write_network(
    path: Path, colours: dict[int, tuple[float, float, float]], classes: int = 28
) -> Path:
    """Save the network for `colours`, sRGB in [0, 1] by class, at `path`."""
    torch.jit.script(NearestColour(colours, classes)).save(str(path))
    return path
