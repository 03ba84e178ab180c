"""LPIPS from files of the published format with small random numbers, against a naive rewrite of the paper's eq. 1."""

import pytest
import torch
from tiny_lpips import naive_alex, write_alex

from avatarpipe.errors import InputError
from avatarpipe.training.lpips import BACKBONE_FILES, Lpips, missing_weights

# torchvision's layer number, output and input channels
VGG = {
    0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256),
    17: (512, 256), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512),
}  # fmt: skip


def test_alex_is_the_papers_formula(tmp_path):
    backbone, lins = write_alex(tmp_path)
    image, truth = torch.rand(2, 64, 72, 3, generator=torch.Generator().manual_seed(1))
    metric = Lpips(tmp_path, "alex")
    expected = naive_alex(backbone, lins, image, truth)
    assert expected > 0.01
    assert float(metric(image[None], truth[None])) == pytest.approx(expected, rel=1e-4)
    assert float(metric(truth[None], truth[None])) == 0


def test_vgg_reads_the_published_layout(tmp_path):
    torch.manual_seed(0)
    backbone = {}
    for layer, (out, into) in VGG.items():
        backbone[f"features.{layer}.weight"] = (
            torch.randn(out, into, 3, 3) * (2 / (into * 9)) ** 0.5
        )
        backbone[f"features.{layer}.bias"] = torch.zeros(out)
    widths = (64, 128, 256, 512, 512)
    torch.save(backbone, tmp_path / BACKBONE_FILES["vgg"])
    torch.save(
        {f"lin{k}.model.1.weight": torch.rand(1, w, 1, 1) for k, w in enumerate(widths)},
        tmp_path / "vgg.pth",
    )
    metric = Lpips(tmp_path, "vgg")
    image, truth = torch.rand(2, 1, 64, 64, 3)
    assert torch.equal(metric.features[28].weight, backbone["features.28.weight"])
    assert [type(metric.features[tap]).__name__ for tap in metric.taps] == ["ReLU"] * 5
    assert float(metric(image, truth)) > float(metric(image, 0.9 * image + 0.1 * truth)) > 0


def test_missing_and_wrong_weights_are_named(tmp_path):
    assert missing_weights(tmp_path, "alex") == [
        tmp_path / "alex.pth",
        tmp_path / BACKBONE_FILES["alex"],
    ]
    with pytest.raises(InputError, match=r"alex\.pth"):
        Lpips(tmp_path, "alex")
    _, lins = write_alex(tmp_path)
    assert missing_weights(tmp_path, "alex") == []
    torch.save({**lins, "lin2.model.1.weight": torch.zeros(1, 3, 1, 1)}, tmp_path / "alex.pth")
    with pytest.raises(InputError, match="lin2"):
        Lpips(tmp_path, "alex")
    torch.save({}, tmp_path / BACKBONE_FILES["alex"])
    with pytest.raises(InputError, match="lacks features"):
        Lpips(tmp_path, "alex")
    (tmp_path / BACKBONE_FILES["alex"]).write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InputError, match="not a readable"):
        Lpips(tmp_path, "alex")


def test_images_too_small_are_refused(tmp_path):
    write_alex(tmp_path)
    with pytest.raises(ValueError, match="at least 64"):
        Lpips(tmp_path, "alex")(torch.zeros(1, 63, 80, 3), torch.zeros(1, 63, 80, 3))
