import numpy as np
import pytest
import torch
from fake_network import write_network

from avatarpipe.capture.labels import Label
from avatarpipe.errors import InputError
from avatarpipe.segmentation.sapiens import (
    CLASSES,
    DEVIATION,
    MEAN,
    TO_LABEL,
    Sapiens,
    normalized,
    pad_to_aspect,
)

UPPER, LOWER, HAIR = (CLASSES.index(name) for name in ("Upper_Clothing", "Lower_Clothing", "Hair"))
COLOURS = {0: (0, 0, 0), UPPER: (0.8, 0.2, 0.1), LOWER: (0.1, 0.3, 0.7), HAIR: (0.2, 0.9, 0.2)}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("net") / "tiny.pt2", COLOURS)


def painted(height, width):
    """(image, classes): black with a block of each colour off the centre."""
    classes = np.zeros((height, width), np.uint8)
    classes[2 : height // 3, 3 : width // 2] = HAIR
    classes[height // 3 : height // 2, 3 : width - 4] = UPPER
    classes[height // 2 : height - 2, width // 2 : width - 4] = LOWER
    return np.array([COLOURS.get(k, (0, 0, 0)) for k in range(28)], np.float32)[classes], classes


@pytest.mark.parametrize("height, width", [(64, 64), (96, 40), (40, 96), (128, 96), (63, 47)])
def test_classes_land_on_the_pixels_they_came_from(checkpoint, height, width):
    image, expected = painted(height, width)
    found = Sapiens(checkpoint, "cpu").classes(np.stack([image, image[::-1].copy()]))
    assert found.shape == (2, height, width) and found.dtype == np.uint8
    inner = np.ones((height, width), bool)  # pixels whose neighbours are of the same class
    for axis in (0, 1):
        for shift in (-1, 1):
            inner &= np.roll(expected, shift, axis) == expected
    assert (found[0] == expected)[inner].all() and (found[1] == expected[::-1])[inner[::-1]].all()
    assert (found[0] == expected).mean() > 0.9


@pytest.mark.parametrize("height, width", [(1024, 768), (256, 256), (10, 300), (300, 10)])
def test_padding_gives_the_networks_aspect_and_keeps_the_image(height, width):
    images = torch.rand(1, 3, height, width)
    padded, (top, left) = pad_to_aspect(images)
    assert abs(padded.shape[2] / padded.shape[3] - 4 / 3) < 2 / min(padded.shape[2:])
    assert torch.equal(padded[:, :, top : top + height, left : left + width], images)
    assert torch.isclose(padded.sum(), images.sum(), rtol=1e-4), "black around it"


def test_normalisation():
    colour = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 64, 48)
    out = normalized(colour)
    expected = (np.array([0.2, 0.5, 0.9]) * 255 - MEAN) / DEVIATION
    assert out.shape == (1, 3, 1024, 768) and np.allclose(out[0, :, 500, 300], expected, atol=1e-4)


def test_28_classes_become_our_labels():
    assert len(CLASSES) == len(TO_LABEL) == 28 and len(set(CLASSES)) == 28
    assert (CLASSES[12], CLASSES[22]) == ("Lower_Clothing", "Upper_Clothing")
    named = {name: Label(int(label)) for name, label in zip(CLASSES, TO_LABEL, strict=True)}
    assert named["Background"] == Label.BACKGROUND and named["Hair"] == Label.HAIR
    assert named["Upper_Clothing"] == Label.UPPER and named["Lower_Clothing"] == Label.LOWER
    assert named["Right_Shoe"] == named["Left_Sock"] == Label.SHOE
    assert {named[name] for name in CLASSES if "Arm" in name or "Lip" in name} == {Label.SKIN}


def test_a_missing_checkpoint_says_where_to_get_it(tmp_path):
    with pytest.raises(
        InputError, match=r"gone\.pt2: no such file.*huggingface.*resources/sapiens"
    ):
        Sapiens(tmp_path / "gone.pt2")


def test_a_file_that_is_no_torchscript(checkpoint, tmp_path):
    for content in (b"", b"<html>404</html>", checkpoint.read_bytes()[:500]):
        (tmp_path / "x.pt2").write_bytes(content)
        with pytest.raises(InputError, match=r"x\.pt2: truncated or no TorchScript"):
            Sapiens(tmp_path / "x.pt2", "cpu")


def test_a_network_of_another_kind(tmp_path):
    other = write_network(tmp_path / "depth.pt2", {0: (0, 0, 0)}, classes=1)
    with pytest.raises(InputError, match=r"gives \(1, 1, .*expected \(batch, 28, h, w\)"):
        Sapiens(other, "cpu").classes(np.zeros((1, 8, 8, 3), np.float32))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none(checkpoint):
    with pytest.raises(InputError, match="no CUDA device"):
        Sapiens(checkpoint, "cuda")
