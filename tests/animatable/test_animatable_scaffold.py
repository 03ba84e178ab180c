"""Points spread over a template and what connects them."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from avatarpipe.errors import InputError
from avatarpipe.methods.animatable.mixing import inverse_distance_mixing, neighbour_differences
from avatarpipe.methods.animatable.sampling import even_points
from avatarpipe.methods.animatable.scaffold import Scaffold
from avatarpipe.methods.animatable.settings import ModelSettings

SQUARE = (
    np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float),
    np.array([[0, 1, 2], [0, 2, 3]]),
)


def _spread(candidates: int) -> np.ndarray:
    return even_points(*SQUARE, 400, candidates, np.random.default_rng(0))


def test_points_are_exactly_so_many_on_the_mesh_and_apart():
    points = _spread(7)
    assert (
        points.shape == (400, 3)
        and np.all(points[:, 2] == 0)
        and points.min() >= 0
        and points.max() <= 1
    )
    gap = cKDTree(points).query(points, 2)[0][:, 1]
    assert gap.min() > 0.6 / 20  # of a square grid of 400 it would be 1 / 20
    random = _spread(1)
    assert cKDTree(random).query(random, 2)[0][:, 1].min() < 0.1 / 20


def test_points_cover_the_mesh_evenly():
    counts = np.histogram2d(*_spread(7)[:, :2].T, bins=4, range=[[0, 1], [0, 1]])[0]
    assert counts.min() >= 18 and counts.max() <= 32  # 25 each


def test_a_template_without_area_is_refused():
    with pytest.raises(InputError, match="no area"):
        even_points(SQUARE[0], np.array([[0, 0, 1]]), 10, 2, np.random.default_rng(0))


def test_a_coincident_source_takes_over():
    sources = np.random.default_rng(1).random((9, 3))
    mixed = inverse_distance_mixing(sources[:4], sources, 3)(torch.eye(9))
    assert torch.allclose(mixed, torch.eye(9)[:4], atol=1e-5)


def test_the_product_and_its_gradient_are_those_of_the_dense_matrix():
    rng = np.random.default_rng(2)
    points, sources = rng.random((30, 3)), rng.random((8, 3))
    mixing = inverse_distance_mixing(points, sources, 3)
    dense = mixing(torch.eye(8))
    assert torch.allclose(dense.sum(dim=1), torch.ones(30)) and ((dense > 0).sum(dim=1) == 3).all()
    values = torch.randn(8, 5, requires_grad=True)
    given = torch.randn(30, 5)
    (gradient,) = torch.autograd.grad((mixing(values) * given).sum(), values)
    assert torch.allclose(gradient, dense.T @ given, atol=1e-5)


def test_differences_are_to_each_neighbour_but_oneself():
    points = np.random.default_rng(3).random((20, 3))
    points[1] = points[0]
    differences = neighbour_differences(points, 7)(torch.from_numpy(points).float()).view(20, 6, 3)
    expected = np.sort(np.linalg.norm(points[:, None] - points, axis=2), axis=1)[:, 1:7]
    assert np.allclose(differences.norm(dim=2).numpy(), expected, atol=1e-6)


def test_weights_that_do_not_fit_are_refused():
    points = np.random.default_rng(4).random((20, 3)).astype(np.float32)
    for weights in (torch.full((20, 55), 0.5), torch.full((19, 55), 1 / 55)):
        with pytest.raises(ValueError, match="sum to 1"):
            Scaffold.build(points, points, points, weights, ModelSettings())
