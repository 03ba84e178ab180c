"""Finer blocks over a volume of skinning weights: where they come to lie, what they change, and that nothing jumps at their faces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatarpipe.body import harmonic, harmonic_torch, weight_blocks, weight_solve, weight_volume
from avatarpipe.body.trilinear import in_torch
from avatarpipe.body.weight_solve import weight_volume as solve
from avatarpipe.body.weight_volume import Block, WeightVolume
from avatarpipe.errors import InputError


@pytest.fixture(scope="module")
def hand():
    """A palm of joint 0 and two fingers of joints 1 and 2, half a node of a grid of 24 apart: vertices, faces, weights."""
    boxes = [
        (-1.0, 0.0, 0.0, 1.0, 1.0, 0.3),
        (0.1, 1.0, 0.1, 0.2, 1.3, 0.2),
        (0.25, 1.0, 0.1, 0.35, 1.3, 0.2),
    ]
    parts = [box_of(*np.reshape(box, (2, 3)), cells=8) for box in boxes]
    counts = [len(vertices) for vertices, _ in parts]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    vertices = np.concatenate([vertices for vertices, _ in parts])
    faces = np.concatenate([faces + start for (_, faces), start in zip(parts, starts, strict=True)])
    weights = np.zeros((len(vertices), 5), np.float32)
    weights[np.arange(len(vertices)), np.repeat(np.arange(3), counts)] = 1.0
    return vertices, faces, weights


def box_of(low, high, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """The six sides of a box, each in cells x cells squares."""
    steps = np.arange(cells + 1) / cells
    vertices, faces = [], []
    square = np.array([[0, 1, cells + 2], [0, cells + 2, cells + 1]])
    for axis in range(3):
        for end in (0.0, 1.0):
            plane = np.stack(np.meshgrid(steps, steps, [end], indexing="ij"), -1).reshape(-1, 3)
            starts = [i * (cells + 1) + j for i in range(cells) for j in range(cells)]
            faces += [square + start + len(vertices) * (cells + 1) ** 2 for start in starts]
            vertices.append(low + np.roll(plane, axis + 1, axis=1) * (high - low))
    return np.concatenate(vertices), np.concatenate(faces)


@pytest.fixture(scope="module")
def fine(hand):
    return solve(*hand, resolution=24).volume


def off(volume: WeightVolume, vertices, _, weights) -> float:
    sampled = volume.sample(torch.from_numpy(vertices)).numpy()
    return float(np.abs(sampled - weights).sum(axis=1).mean())


def test_blocks_tell_fingers_apart(hand, fine):
    assert off(replace(fine, blocks=()), *hand) > 0.1
    assert off(replace(fine, blocks=fine.blocks[:1]), *hand) < 0.05
    assert off(fine, *hand) < 0.02


def test_blocks_lie_where_the_grid_errs_at_its_nodes(hand, fine):
    first = fine.blocks[0]
    spacing = (fine.high - fine.low) / 23
    places = (np.stack([first.low, first.high]) - fine.low) / spacing
    assert np.allclose(places, places.round(), atol=1e-9)
    assert np.array_equal(
        first.grid.shape[:3], weight_blocks.RATIO * np.ptp(places, axis=0).round() + 1
    )
    assert (
        first.low[0] > -0.5 and (first.high > [0.35, 1.3, 0.2]).all()
    )  # the fingers, not the palm
    assert set(first.joints.tolist()) == {0, 1, 2}
    for block in fine.blocks[1:]:
        assert (block.low >= first.low).all() and (block.high <= first.high).all()


def test_nothing_jumps_at_the_faces(fine):
    rng = np.random.default_rng(0)
    assert fine.blocks
    for block in fine.blocks:
        points = rng.uniform(block.low, block.high, (600, 3))
        axis, side = rng.integers(3, size=600), rng.integers(2, size=600)
        rows = np.arange(600)
        points[rows, axis] = np.where(side, block.high[axis], block.low[axis])
        step = np.zeros_like(points)
        step[rows, axis] = np.where(side, 1e-9, -1e-9)
        beneath, own = (fine.sample(torch.from_numpy(points + k * step)) for k in (1, -1))
        assert (beneath - own).abs().max() < 1e-5


def test_weights_between_nodes_are_shares_of_one(fine):
    rng = np.random.default_rng(1)
    for box in (fine, *fine.blocks):
        weights = fine.sample(torch.from_numpy(rng.uniform(box.low, box.high, (3000, 3))))
        assert weights.min() >= 0 and (weights.sum(dim=1) - 1).abs().max() < 1e-5


def test_a_block_is_harmonic_away_from_the_surface(hand, fine):
    block = fine.blocks[0]
    grid = block.grid.numpy()
    axes = [np.linspace(block.low[k], block.high[k], grid.shape[k]) for k in range(3)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    spacing = axes[0][1] - axes[0][0]
    vertices = hand[0]
    far = np.ones(grid.shape[:3], bool)
    for low, high in (
        (vertices[k : k + 486].min(0), vertices[k : k + 486].max(0)) for k in (0, 486, 972)
    ):
        far &= ((nodes < low - 2 * spacing) | (nodes > high + 2 * spacing)).any(axis=-1)
    inner = (slice(1, -1),) * 3
    means = sum(np.roll(grid, step, axis) for axis in range(3) for step in (-1, 1)) / 6
    assert far[inner].sum() > 1000
    assert np.abs((means - grid)[inner][far[inner]]).max() < 1e-3


def naive_sample(volume: WeightVolume, point: np.ndarray) -> np.ndarray:
    """Linear along x, then y, then z, of the grid and then of each block that holds the point."""

    def along(part):
        places = np.clip((point - part.low) / (part.high - part.low), 0, 1)
        values = part.grid.numpy()
        for place in places * (np.array(values.shape[:3]) - 1):
            start = min(int(place), len(values) - 2)
            values = values[start] + (place - start) * (values[start + 1] - values[start])
        return values

    out = along(volume).copy()
    for block in volume.blocks:
        if (point >= block.low).all() and (point <= block.high).all():
            out[block.joints.numpy()] = along(block)
    return out


@pytest.mark.parametrize("lookup", ["processor", "torch"])
def test_a_lookup_reads_the_finest_block(lookup, monkeypatch):
    if lookup == "torch":
        monkeypatch.setattr(weight_volume, "trilinear", in_torch)
    volume = random_volume()
    points = np.random.default_rng(3).uniform(-0.2, 1.2, (400, 3))
    found = volume.sample(torch.from_numpy(points)).numpy()
    expected = np.stack([naive_sample(volume, point) for point in points])
    assert np.abs(found - expected).max() < 1e-5
    plain = replace(volume, blocks=()).sample(torch.from_numpy(points)).numpy()
    assert (np.abs(plain - expected).max(axis=1) > 1e-3).sum() > 50


def random_volume() -> WeightVolume:
    rng = np.random.default_rng(2)

    def grid(*shape):
        return torch.from_numpy(rng.random(shape).astype(np.float32))

    outer = Block(grid(5, 4, 6, 3), np.full(3, 0.2), np.full(3, 0.9), torch.tensor([0, 2, 5]))
    inner = Block(grid(3, 3, 3, 2), np.full(3, 0.4), np.full(3, 0.7), torch.tensor([1, 2]))
    return WeightVolume(grid(4, 4, 4, 6), np.zeros(3), np.ones(3), (outer, inner))


def extended_in_torch(field, fixed, tolerance=1e-5, cycles=40, device="cpu"):
    """What `extend` does on other devices, on this one."""
    field[~fixed] = 0.0
    levels = [harmonic._to_torch(level, device) for level in harmonic._levels(fixed)]
    return harmonic._solve(levels, harmonic_torch, torch.from_numpy(field), tolerance, cycles)


def test_torch_makes_the_same_blocks(hand, fine, monkeypatch):
    for module in (weight_solve, weight_blocks):
        monkeypatch.setattr(module, "extend", extended_in_torch)
    monkeypatch.setattr(weight_volume, "trilinear", in_torch)
    other = solve(*hand, resolution=24).volume
    assert len(other.blocks) == len(fine.blocks)
    for one, block in zip(fine.blocks, other.blocks, strict=True):
        assert np.array_equal(one.low, block.low) and torch.equal(one.joints, block.joints)
        assert torch.allclose(one.grid, block.grid, atol=2e-4)


def test_no_levels_make_no_blocks_and_the_same_grid(hand, fine):
    plain = solve(*hand, resolution=24, levels=0).volume
    assert plain.blocks == () and torch.equal(plain.grid, fine.grid)


def test_nothing_is_refined_where_nothing_is_off(hand, fine):
    vertices, faces, weights = hand
    smooth = np.repeat(np.array([[0.25, 0.75, 0, 0, 0]], np.float32), len(weights), axis=0)
    assert solve(vertices, faces, smooth, resolution=24).volume.blocks == ()


def test_overlapping_boxes_become_one():
    boxes = [
        ((0, 0, 0), (3, 3, 3)),
        ((6, 0, 0), (8, 3, 3)),
        ((3, 0, 0), (5, 3, 3)),
        ((2, 2, 2), (7, 4, 4)),
    ]
    found = [tuple(slice(a, b) for a, b in zip(*box, strict=True)) for box in boxes]
    apart = weight_blocks._apart(found)
    assert [(first.tolist(), last.tolist()) for first, last in apart] == [([0, 0, 0], [8, 4, 4])]
    assert len(weight_blocks._apart(found[:3])) == 3  # faces may touch


def test_blocks_come_back_from_their_file(tmp_path):
    volume = random_volume()
    volume.save(tmp_path / "weights.npz")
    back = WeightVolume.load(tmp_path / "weights.npz")
    assert len(back.blocks) == 2
    for one, other in zip(volume.blocks, back.blocks, strict=True):
        assert torch.equal(one.grid, other.grid) and torch.equal(one.joints, other.joints)
        assert np.array_equal(one.low, other.low) and np.array_equal(one.high, other.high)


@pytest.mark.parametrize(
    "broken",
    [
        {"block1_grid": None},
        {"block1_joints": np.array([1, 6])},
        {"block1_joints": np.array([0.0, 1.0])},
        {"block1_joints": np.array([1])},
        {"block1_max": np.full(3, 0.1)},
        {"block0_grid": np.full((5, 4, 6, 3), np.nan, np.float32)},
        {"blocks": np.array([1, 2])},
    ],
)
def test_broken_blocks_are_refused(tmp_path, broken):
    path = tmp_path / "weights.npz"
    random_volume().save(path)
    with np.load(path, allow_pickle=False) as archive:
        arrays = {**archive, **broken}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=r"weights\.npz"):
        WeightVolume.load(path)
