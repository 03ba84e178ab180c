"""LPIPS (Zhang et al. 2018, version 0.1) from weights on disk, without torchvision.

Two files a net, as their authors publish them:

    vgg.pth   with vgg16-397923af.pth          lin layers of LPIPS, ImageNet weights in torchvision's format
    alex.pth  with alexnet-owt-7be5be79.pth

Images enter in [-1, 1], as the paper's code wants them (the 3DGS scripts feed [0, 1]; their numbers are not comparable).
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from avatarpipe.errors import InputError
from avatarpipe.training.weights import load_state

BACKBONE_FILES = {"vgg": "vgg16-397923af.pth", "alex": "alexnet-owt-7be5be79.pth"}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_TINY = 1e-30


def missing_weights(folder: str | Path, net: str = "vgg") -> list[Path]:
    """The weight files of `net` that `folder` lacks; empty where LPIPS can be computed."""
    paths = [Path(folder) / f"{net}.pth", Path(folder) / BACKBONE_FILES[net]]
    return [path for path in paths if not path.is_file()]


class Lpips(nn.Module):
    """Perceptual distance; 0 for equal images, larger is worse. Frozen, without a state that grows; gradients pass.

    folder: where the two weight files of `net` ("vgg" or "alex") lie. Raises InputError where one is missing, broken, or
    holds other tensors than the published ones.
    """

    smallest = 64
    """Fewest pixels a side: below that the last convolutions see hardly anything."""

    def __init__(self, folder: str | Path, net: str = "vgg"):
        super().__init__()
        if missing := missing_weights(folder, net):
            raise InputError(
                f"{missing[0]}: no such file. LPIPS needs it; see docs/licensed.md."
            )
        self.net = net
        self.features, self.taps = _vgg16() if net == "vgg" else _alexnet()
        backbone, lins = Path(folder) / BACKBONE_FILES[net], Path(folder) / f"{net}.pth"
        wanted = {f"features.{name}" for name in self.features.state_dict()}
        state = load_state(backbone, wanted)
        _fill(
            self.features,
            {name.removeprefix("features."): state[name] for name in wanted},
            backbone,
        )
        self.lins = _lin_layers(lins, [_channels(self.features, tap) for tap in self.taps])
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor, truth: Tensor) -> Tensor:
        """(B,) distances of (B, H, W, 3) images in [0, 1]. Raises ValueError where a side is under 64 pixels."""
        if min(image.shape[1:3]) < self.smallest:
            raise ValueError(
                f"LPIPS needs at least {self.smallest} pixels a side, got {tuple(image.shape)}"
            )
        return self.distances(image, truth)

    def distances(self, image: Tensor, truth: Tensor) -> Tensor:
        """The same of images of any size that the network can see, 16 pixels a side or more."""
        total = torch.zeros(len(image), device=image.device)
        ours, theirs = self._normalized(image), self._normalized(truth)
        for index, layer in enumerate(self.features):
            ours, theirs = layer(ours), layer(theirs)
            if index in self.taps:
                difference = (_unit(ours) - _unit(theirs)).square()
                weight = self.lins[self.taps.index(index)]  # (1, channels, 1, 1)
                total = total + (difference * weight).sum(dim=1).mean(dim=(1, 2))
        return total

    def _normalized(self, images: Tensor) -> Tensor:
        return (images.permute(0, 3, 1, 2) * 2 - 1 - self.shift) / self.scale


def _vgg16() -> tuple[nn.Sequential, tuple[int, ...]]:
    """The convolutions of VGG-16, configuration D, and the layers after which LPIPS looks (relu1_2 ... relu5_3)."""
    layers, channels = [], 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers), (3, 8, 15, 22, 29)


def _alexnet() -> tuple[nn.Sequential, tuple[int, ...]]:
    """The convolutions of AlexNet in its one-tower form, and the five ReLUs."""
    layers = nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip
    return layers, (1, 4, 7, 9, 11)


def _channels(features: nn.Sequential, tap: int) -> int:
    return features[tap - 1].out_channels


def _unit(activation: Tensor) -> Tensor:
    """At each pixel of length 1 over the channels; where nothing fires it stays 0, and so does its gradient."""
    length = activation.square().sum(dim=1, keepdim=True).clamp_min(_TINY).sqrt()
    return activation / (length + 1e-10)


def _lin_layers(path: Path, channels: list[int]) -> list[Tensor]:
    names = [f"lin{index}.model.1.weight" for index in range(len(channels))]
    state = load_state(path, set(names))
    for name, width in zip(names, channels, strict=True):
        if state[name].shape != (1, width, 1, 1):
            raise InputError(
                f"{path}: {name} has shape {tuple(state[name].shape)}, expected {(1, width, 1, 1)}."
            )
    return nn.ParameterList([nn.Parameter(state[name].float()) for name in names])


def _fill(features: nn.Sequential, state: dict[str, Tensor], path: Path) -> None:
    try:
        features.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path}: not the expected network. {error}") from error
