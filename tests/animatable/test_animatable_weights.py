"""The volume of skinning weights: its solver against a dense one, its lookup against a naive one, and what it does to a body."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve

from avatarpipe.body import harmonic, harmonic_torch
from avatarpipe.body.params import BodyParams
from avatarpipe.body.trilinear import in_torch
from avatarpipe.body.weight_check import weight_errors
from avatarpipe.body.weight_solve import weight_volume
from avatarpipe.body.weight_volume import WeightVolume
from avatarpipe.errors import InputError
from avatarpipe.methods.animatable.rig import big_pose

BETAS = torch.tensor([0.5, -0.5, *[0.0] * 8])


@pytest.fixture(scope="module")
def made(fake_body):
    vertices = fake_body.vertices(big_pose(BETAS))[0].numpy()
    return weight_volume(vertices, fake_body.faces, fake_body.lbs_weights.numpy(), 48)


@pytest.fixture
def scattered():
    """Values at 3 % of the nodes of an odd grid, and which these are."""
    rng = np.random.default_rng(0)
    shares = rng.random((11, 9, 14, 4)).astype(np.float32)
    return shares / shares.sum(axis=-1, keepdims=True), rng.random(shares.shape[:3]) < 0.03


def dense_extension(values: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Each free node the mean of its neighbours, as one sparse system."""
    shape, number = fixed.shape, np.arange(fixed.size).reshape(fixed.shape)
    matrix, rhs = (
        sparse.lil_matrix((fixed.size, fixed.size)),
        np.zeros((fixed.size, values.shape[3])),
    )
    for node in np.ndindex(shape):
        if fixed[node]:
            matrix[number[node], number[node]], rhs[number[node]] = 1, values[node]
            continue
        for axis in range(3):
            for step in (-1, 1):
                other = tuple(np.add(node, step * np.eye(3, dtype=int)[axis]))
                if 0 <= other[axis] < shape[axis]:
                    matrix[number[node], number[node]] += 1
                    matrix[number[node], number[other]] -= 1
    return spsolve(matrix.tocsr(), rhs).reshape(values.shape)


def test_the_extension_is_that_of_a_dense_solve(scattered):
    values, fixed = scattered
    expected = dense_extension(values, fixed)
    solved = harmonic.extend(values.copy(), fixed, 1e-6)
    assert solved.cycles < 10 and solved.defect < 1e-6
    assert np.abs(solved.field - expected).max() < 2e-5
    assert np.array_equal(solved.field[fixed], values[fixed])


def test_torch_does_what_the_processor_does(scattered):
    values, fixed = scattered
    expected = harmonic.extend(values.copy(), fixed, 1e-6)
    levels = [harmonic._to_torch(level, "cpu") for level in harmonic._levels(fixed)]
    field = torch.from_numpy(np.where(fixed[..., None], values, np.float32(0)))
    solved = harmonic._solve(levels, harmonic_torch, field, 1e-6, 40)
    assert solved.cycles == expected.cycles
    assert np.abs(solved.field.numpy() - expected.field).max() < 2e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_device_makes_the_same_volume(made, fake_body):
    vertices = fake_body.vertices(big_pose(BETAS))[0].numpy()
    other = weight_volume(
        vertices, fake_body.faces, fake_body.lbs_weights.numpy(), 48, device="cuda"
    )
    assert torch.allclose(other.volume.grid.cpu(), made.volume.grid, atol=1e-5)
    points = torch.rand(1000, 3)
    near = torch.from_numpy(vertices)
    for places in (points, near):
        assert torch.allclose(other.volume.sample(places), made.volume.sample(places), atol=1e-4)


def test_cycles_do_not_grow_with_the_grid():
    cycles = []
    for size in (16, 31, 64):
        axes = np.meshgrid(*[np.linspace(-1, 1, size)] * 3, indexing="ij")
        fixed = (
            np.abs(np.linalg.norm(np.stack(axes, -1) * [1.0, 0.3, 1.0], axis=-1) - 0.3) < 3 / size
        )
        field = np.random.default_rng(1).random((*fixed.shape, 2)).astype(np.float32)
        cycles.append(harmonic.extend(field, fixed, 1e-5).cycles)
    assert max(cycles) <= 8


def test_nothing_fixed_is_refused():
    with pytest.raises(ValueError, match="at least one fixed node"):
        harmonic.extend(np.zeros((4, 4, 4, 2), np.float32), np.zeros((4, 4, 4), bool))


def test_weights_are_shares_of_one(made):
    grid = made.volume.grid
    assert grid.shape == (48, 48, 48, 55) and grid.dtype == torch.float32
    assert grid.min() >= 0 and (grid.sum(dim=-1) - 1).abs().max() < 1e-4
    assert made.sum_error < 1e-3


def test_the_box_is_a_cube_around_the_body(made, fake_body):
    vertices = fake_body.vertices(big_pose(BETAS))[0].double().numpy()
    low, high = made.volume.low, made.volume.high
    assert np.allclose(high - low, 1.1 * np.ptp(vertices, axis=0).max())
    assert np.allclose((low + high) / 2, (vertices.min(axis=0) + vertices.max(axis=0)) / 2)


def test_the_body_is_skinned_as_by_its_own_weights(made, fake_body):
    generator = torch.Generator().manual_seed(0)
    poses = BodyParams.zeros(5).replaced(body_pose=0.3 * torch.randn(5, 63, generator=generator))
    errors = weight_errors(made.volume, fake_body, big_pose(BETAS), poses)
    assert errors.surface_l1 < 0.1 and errors.skinning < 0.003
    assert errors.lowest >= 0 and errors.sum_error < 1e-4


def test_errors_are_those_of_posing_twice(made, fake_body):
    poses = BodyParams.zeros(1)
    poses.body_pose[0, 40] = 0.5
    canonical = big_pose(BETAS)
    vertices = fake_body.vertices(canonical)[0]
    bones = fake_body.transforms(poses.replaced(betas=canonical.betas))[0]
    bones = bones @ torch.linalg.inv(fake_body.transforms(canonical)[0])
    placed = torch.cat([vertices, torch.ones(len(vertices), 1)], dim=1)
    two = [
        torch.einsum("vj,jrc,vc->vr", weights, bones[:, :3], placed)
        for weights in (made.volume.sample(vertices), fake_body.lbs_weights)
    ]
    errors = weight_errors(made.volume, fake_body, canonical, poses)
    assert errors.skinning == pytest.approx(float((two[0] - two[1]).norm(dim=1).mean()), abs=1e-6)


def naive_sample(grid: np.ndarray, low, high, point) -> np.ndarray:
    """Linear along z, then y, then x."""
    places = np.clip((point - low) / (high - low), 0, 1) * (np.array(grid.shape[:3]) - 1)
    values = grid
    for place in places:
        start = min(int(place), len(values) - 2)
        values = values[start] + (place - start) * (values[start + 1] - values[start])
    return values


@pytest.mark.parametrize("lookup", ["processor", "torch"])
def test_a_lookup_is_trilinear_and_clamped(lookup):
    rng = np.random.default_rng(2)
    grid = rng.random((5, 4, 6, 3)).astype(np.float32)
    low, high = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 3.0, 2.5])
    points = low + (high - low) * rng.uniform(-0.3, 1.3, (200, 3))
    points[:3] = low, high, (low + high) / 2
    if lookup == "torch":
        found = in_torch(torch.from_numpy(grid), low, high, torch.from_numpy(points))
    else:
        found = WeightVolume(torch.from_numpy(grid), low, high).sample(torch.from_numpy(points))
    expected = np.stack([naive_sample(grid, low, high, point) for point in points])
    assert np.abs(found.numpy() - expected).max() < 1e-5


def test_a_lookup_is_what_published_code_reads(made):
    """torch's grid_sample with corners aligned, coordinates reversed, border padding."""
    points = torch.rand(100, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1
    low, high = (
        torch.from_numpy(made.volume.low).float(),
        torch.from_numpy(made.volume.high).float(),
    )
    places = (2 * (points - low) / (high - low) - 1).flip(1).view(1, -1, 1, 1, 3)
    read = torch.nn.functional.grid_sample(
        made.volume.grid.permute(3, 0, 1, 2)[None],
        places,
        padding_mode="border",
        align_corners=True,
    )
    grid = replace(made.volume, blocks=())
    assert torch.allclose(read[0, :, :, 0, 0].T, grid.sample(points), atol=1e-4)


def test_the_file_is_in_the_published_schema_and_comes_back(made, tmp_path):
    made.volume.save(tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as archive:
        assert archive["grid"].dtype == np.float32
        assert archive["grid_dims"].tolist() == [48, 48, 48]
        side = archive["bbox_max"] - archive["bbox_min"]
        assert archive["grid_resolution"] == pytest.approx(side[0] / 47)
        assert "corner-aligned" in str(archive["sampling"])
    back = WeightVolume.load(tmp_path / "weights.npz")
    assert torch.equal(back.grid, made.volume.grid)
    assert np.array_equal(back.low, made.volume.low) and np.array_equal(back.high, made.volume.high)


@pytest.mark.parametrize(
    "broken", ["absent", "cut", "no corners", "flat", "infinite", "upside down"]
)
def test_a_broken_file_is_refused(tmp_path, broken):
    path = tmp_path / "weights.npz"
    arrays = {
        "grid": np.ones((2, 2, 2, 3), np.float32),
        "bbox_min": np.zeros(3),
        "bbox_max": np.ones(3),
    }
    arrays |= {
        "flat": {"grid": np.ones((2, 2, 3))},
        "infinite": {"grid": np.full((2, 2, 2, 3), np.inf)},
        "upside down": {"bbox_min": np.full(3, 2.0)},
    }.get(broken, {})
    if broken == "no corners":
        del arrays["bbox_min"]
    if broken != "absent":
        np.savez(path, **arrays)
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"weights\.npz"):
        WeightVolume.load(path)
