"""LPIPS weights of AlexNet's size with random numbers, in the very files that their makers publish; and the formula."""

import torch
from torch.nn import functional as F

from avatarpipe.training.lpips import BACKBONE_FILES

# torchvision's layer number, (output channels, input channels, kernel), (stride, padding)
ALEX = {
    0: ((64, 3, 11), (4, 2)), 3: ((192, 64, 5), (1, 2)), 6: ((384, 192, 3), (1, 1)),
    8: ((256, 384, 3), (1, 1)), 10: ((256, 256, 3), (1, 1)),
}  # fmt: skip


def write_alex(folder):
    torch.manual_seed(0)
    backbone = {}
    for layer, ((out, into, size), _) in ALEX.items():
        backbone[f"features.{layer}.weight"] = (
            torch.randn(out, into, size, size) * (2 / (into * size**2)) ** 0.5
        )
        backbone[f"features.{layer}.bias"] = torch.randn(out) * 0.1
    backbone["classifier.1.weight"] = torch.zeros(
        2, 2
    )  # the published file holds the classifier too
    lins = {
        f"lin{k}.model.1.weight": torch.rand(1, shape[0], 1, 1)
        for k, (shape, _) in enumerate(ALEX.values())
    }
    torch.save(backbone, folder / BACKBONE_FILES["alex"])
    torch.save(lins, folder / "alex.pth")
    return backbone, lins


def naive_alex(backbone, lins, image, truth):
    total = 0.0
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x, y = ((((2 * i - 1) - shift) / scale).permute(2, 0, 1)[None] for i in (image, truth))
    for k, (layer, (_, (stride, padding))) in enumerate(ALEX.items()):
        weight, bias = backbone[f"features.{layer}.weight"], backbone[f"features.{layer}.bias"]
        if k in (1, 2):
            x, y = F.max_pool2d(x, 3, 2), F.max_pool2d(y, 3, 2)
        x, y = (F.relu(F.conv2d(i, weight, bias, stride, padding)) for i in (x, y))
        a, b = (i / (i.norm(dim=1, keepdim=True) + 1e-10) for i in (x, y))
        total += float(((a - b) ** 2 * lins[f"lin{k}.model.1.weight"]).sum(1).mean())
    return total
