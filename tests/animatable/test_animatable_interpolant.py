"""PointInterpolant behind the same volume: what it is asked, how its grid is read, what happens without it."""

import stat
import sys

import numpy as np
import pytest
import torch

from avatarpipe.body.point_interpolant import interpolated_volume, vertex_gradients
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh

# In place of the program: fits a plane to the values and writes it at cell centres, x fastest, after a text header.
PROGRAM = """#!{python}
import sys
import numpy as np
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert given["--dim"] == "3" and given["--gradientWeight"] == "0.05"
data, slopes = np.loadtxt(given["--inValues"]), np.loadtxt(given["--inGradients"])
assert slopes.shape == (len(data), 6) and np.array_equal(slopes[:, :3], data[:, :3])
placed = np.column_stack([data[:, :3], np.ones(len(data))])
plane = np.linalg.lstsq(placed, data[:, 3], rcond=None)[0]
low, high = data[:, :3].min(0), data[:, :3].max(0)
side, count = float(given["--scale"]) * (high - low).max(), 2 ** int(given["--depth"])
steps = (np.arange(count) + 0.5) / count - 0.5
z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
nodes = np.stack([x, y, z], -1) * side + (low + high) / 2
with open(given["--grid"], "wb") as stream:
    stream.write(b"G3\\n1 DOUBLE\\n%d %d %d\\n" % (count, count, count) + b"1 0 0 0\\n" * 4)
    stream.write((nodes @ plane[:3] + plane[3]).astype("<f8").tobytes())
"""


@pytest.fixture
def program(tmp_path):
    return write_program(tmp_path / "PointInterpolant", PROGRAM.format(python=sys.executable))


def write_program(path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def box():
    """A closed box of unequal sides, and shares of two joints that are linear in y, a third without any."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * [0.5, 1.0, 0.3] + [0.2, -0.4, 1.0]
    faces = [[0, 1, 3], [0, 3, 2], [4, 7, 5], [4, 6, 7], [0, 5, 1], [0, 4, 5], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
             [1, 7, 3], [1, 5, 7]]  # fmt: skip
    upper = (0.2 + 0.6 * (corners[:, 1] + 0.4)).astype(np.float32)
    return corners, np.array(faces), np.stack([1 - upper, upper, 0 * upper], axis=1)


def test_its_values_are_read_where_they_lie(program, box):
    corners, faces, weights = box
    volume = interpolated_volume(program, corners, faces, weights, 16).volume
    points = corners.mean(axis=0) + np.random.default_rng(0).uniform(-1, 1, (50, 3)) * [
        0.4,
        0.3,
        0.4,
    ]
    upper = 0.2 + 0.6 * (points[:, 1] + 0.4)
    expected = np.stack([1 - upper, upper, 0 * upper], axis=1)
    assert np.abs(volume.sample(torch.from_numpy(points)).numpy() - expected).max() < 1e-5
    assert volume.grid.min() >= 0 and (volume.grid.sum(dim=-1) - 1).abs().max() < 1e-5


def test_gradients_are_those_along_the_surface():
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0), indexing="ij"), axis=-1).reshape(
        -1, 2
    )
    vertices = np.column_stack([grid, 0.5 * grid[:, 0]])  # a tilted plane
    cell = np.array([[0, 4, 5], [0, 5, 1]])
    faces = np.concatenate([cell + 4 * i + j for i in range(4) for j in range(3)])
    slope, normal = np.array([0.3, -0.2, 0.7]), np.array([-0.5, 0.0, 1.0]) / np.sqrt(1.25)
    found = vertex_gradients(Mesh(vertices, faces), vertices @ slope)
    assert np.allclose(found, slope - (slope @ normal) * normal)


def test_without_the_program_it_says_what_to_do(box):
    with pytest.raises(InputError, match=r"no such program.*animatable\.weights\.interpolant"):
        interpolated_volume("/nowhere/PointInterpolant", *box, 16)


def test_a_grid_of_another_size_is_refused_before_anything_runs(program, box):
    with pytest.raises(InputError, match="power of two"):
        interpolated_volume(program, *box, 24)


@pytest.mark.parametrize("ending", ["exit 3", "echo short > out.grd"])
def test_a_program_that_fails_is_not_believed(tmp_path, box, ending):
    failing = write_program(tmp_path / "failing", f"#!/bin/sh\necho no samples >&2\n{ending}\n")
    with pytest.raises(InputError, match=r"no grid of 16\^3 \(no samples"):
        interpolated_volume(failing, *box, 16)
