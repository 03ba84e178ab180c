"""The Frechet distance against scipy's matrix root; the Inception network from a file of the published layout."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn
from torch.nn import functional as F

from avatarpipe.errors import InputError
from avatarpipe.evaluation.fid import WEIGHT_FILE, features, fid_weights, frechet_distance
from avatarpipe.evaluation.inception import FEATURES, Block, Inception, _average, _forked, _layers


def naive_distance(ours, theirs):
    mean = [rows.mean(axis=0) for rows in (ours, theirs)]
    cov = [np.cov(rows, rowvar=False) for rows in (ours, theirs)]
    root = sqrtm(cov[0] @ cov[1]).real
    return ((mean[0] - mean[1]) ** 2).sum() + np.trace(cov[0] + cov[1] - 2 * root)


@pytest.mark.parametrize("counts", [(40, 50), (6, 50), (5, 4)])
def test_distance_is_the_formula_whether_or_not_covariances_have_full_rank(counts):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(8, 8))
    ours, theirs = rng.normal(size=(counts[0], 8)), rng.normal(size=(counts[1], 8)) @ mixing + 0.3
    assert frechet_distance(ours, theirs) == pytest.approx(naive_distance(ours, theirs), rel=1e-4)


def test_distance_of_equal_sets_is_zero_and_one_image_is_none():
    rows = np.random.default_rng(1).normal(size=(6, 20))
    assert frechet_distance(rows, rows[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(rows, rows + 2) == pytest.approx(4 * 20)
    with pytest.raises(ValueError, match="covariance"):
        frechet_distance(rows[:1], rows)


def test_the_network_has_the_published_tensors():
    """Parameters without the classifier, and names and shapes at the places where blocks differ."""
    state = {f"{n}.{k}": v.shape for n, layer in _layers() for k, v in layer.state_dict().items()}
    learnt = {n: s for n, s in state.items() if "running" not in n and "tracked" not in n}
    assert sum(int(np.prod(shape)) for shape in learnt.values()) == 21_785_568
    for name, shape in {
        "Conv2d_3b_1x1.conv.weight": (80, 64, 1, 1),
        "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
        "Mixed_5d.branch3x3dbl_3.bn.running_var": (96,),
        "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3),
        "Mixed_6c.branch7x7dbl_4.conv.weight": (160, 160, 7, 1),
        "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
        "Mixed_7b.branch3x3_2b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch3x3dbl_3a.conv.weight": (384, 384, 1, 3),
    }.items():
        assert tuple(state[name]) == shape, name


def _stirred(module: nn.Module) -> nn.Module:
    """With normalisation that does something."""
    generator = torch.Generator().manual_seed(0)
    for name, value in module.state_dict().items():
        if name.endswith(("bn.weight", "running_var")):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
        elif name.endswith(("bn.bias", "running_mean")):
            value.copy_(0.2 * torch.randn(value.shape, generator=generator))
    return module.eval()


def _unit(state, name, x, padding=0):
    x = F.conv2d(x, state[f"{name}.conv.weight"], padding=padding)
    x = F.batch_norm(
        x, *(state[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")),
        eps=0.001,
    )  # fmt: skip
    return F.relu(x)


@pytest.mark.parametrize("last", [False, True])
def test_a_forked_block_is_as_written_out(last):
    torch.manual_seed(0)
    block = _stirred(_forked(16, nn.MaxPool2d(3, 1, 1) if last else _average()))
    state, x = block.state_dict(), torch.randn(1, 16, 5, 6)
    three, double = _unit(state, "branch3x3_1", x), _unit(state, "branch3x3dbl_1", x)
    double = _unit(state, "branch3x3dbl_2", double, 1)
    pooled = F.max_pool2d(x, 3, 1, 1) if last else _counted_average(x)
    expected = [
        _unit(state, "branch1x1", x),
        _unit(state, "branch3x3_2a", three, (0, 1)), _unit(state, "branch3x3_2b", three, (1, 0)),
        _unit(state, "branch3x3dbl_3a", double, (0, 1)), _unit(state, "branch3x3dbl_3b", double, (1, 0)),
        _unit(state, "branch_pool", pooled),
    ]  # fmt: skip
    with torch.no_grad():
        torch.testing.assert_close(block(x), torch.cat(expected, dim=1), rtol=1e-4, atol=1e-5)


def _counted_average(x):
    """Of a 3 x 3 window only the pixels inside the image."""
    ones = torch.ones_like(x)
    return F.avg_pool2d(x, 3, 1, 1) / F.avg_pool2d(ones, 3, 1, 1)


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory):
    """Random weights in the published layout, the classifier among them."""
    torch.manual_seed(0)
    state = {}
    for name, layer in _layers():
        state |= {f"{name}.{key}": value for key, value in _stirred(layer).state_dict().items()}
    state = {name: value for name, value in state.items() if "tracked" not in name}
    path = tmp_path_factory.mktemp("fid") / WEIGHT_FILE
    torch.save(
        {**state, "fc.weight": torch.zeros(1008, FEATURES), "fc.bias": torch.zeros(1008)}, path
    )
    return path


def test_features_come_from_the_file(weight_file):
    network = Inception(weight_file)
    stored = torch.load(weight_file, weights_only=True)
    assert torch.equal(
        network.Mixed_6e.branch7x7_2.bn.running_mean,
        stored["Mixed_6e.branch7x7_2.bn.running_mean"],
    )
    rng = np.random.default_rng(0)
    images = [rng.random((40, 40, 3), dtype=np.float32), np.ones((40, 40, 3), np.float32)]
    found = features(network, images)
    assert found.shape == (2, FEATURES) and found.std() > 0
    cut = [np.floor(image * 255) / 255 for image in images]  # what an image file would have kept
    np.testing.assert_allclose(features(network, cut), found, atol=1e-4 * np.abs(found).max())
    assert not any(p.requires_grad for p in network.parameters()) and not network.training


def test_missing_and_wrong_weights_are_told(tmp_path):
    assert fid_weights(tmp_path) is None
    path = tmp_path / WEIGHT_FILE
    torch.save({"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 3, 3, 3)}, path)
    assert fid_weights(tmp_path) == path
    with pytest.raises(InputError, match="lacks"):
        Inception(path)


def test_blocks_name_their_convolutions():
    block = Block(4, [[("one", 6, 1, 1)]], nn.MaxPool2d(3, 1, 1), 5)
    assert {name for name, _ in block.named_children()} == {"one", "_pool", "branch_pool"}
    assert block.eval()(torch.rand(1, 4, 5, 5)).shape == (1, 11, 5, 5)
