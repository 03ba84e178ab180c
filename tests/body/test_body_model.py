"""The body against smplx itself, and skinning of canonical points against the posed body."""

import numpy as np
import pytest
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams, canonical_params
from avatarpipe.body.skinning import bind, canonical_vertices, quaternion_product, skinned_motion
from avatarpipe.errors import InputError
from avatarpipe.gaussians.rotations import quats_to_matrices


def random_params(seed: int, count: int = 1) -> BodyParams:
    generator = torch.Generator().manual_seed(seed)
    return BodyParams(
        **{name: 0.3 * torch.randn(count, size, generator=generator) for name, size in SIZES.items()}
    )


def test_transforms_and_offsets_reproduce_smplx(fake_body):
    params = random_params(1, 3)
    rest = fake_body.v_template + fake_body.vertex_offsets(params)
    blended = torch.einsum("vj,bjrc->bvrc", fake_body.lbs_weights, fake_body.transforms(params))
    ours = (blended[..., :3, :3] @ rest[..., None])[..., 0] + blended[..., :3, 3]
    assert torch.allclose(ours, fake_body.vertices(params), atol=1e-5)


def test_exact_vertices_round_to_the_same_whatever_the_order_of_their_sums(
    fake_body_file, tmp_path
):
    """Two files whose directions of shape stand the other way round make the same sums, in another order."""
    with np.load(fake_body_file) as archive:
        arrays = dict(archive)
    shapes = arrays["shapedirs"][..., :10]
    directions = 0.01 * np.random.default_rng(5).normal(size=shapes.shape)
    bodies = []
    for name, given in (("as_is", directions), ("turned", directions[..., ::-1])):
        (tmp_path / name).mkdir()
        shapes[:] = given
        np.savez(tmp_path / name / fake_body_file.name, **arrays)
        bodies.append(Body(tmp_path / name / fake_body_file.name))
    params = random_params(4)
    given = params, params.replaced(betas=params.betas.flip(1))
    rounded = [body.vertices(own) for body, own in zip(bodies, given, strict=True)]
    assert not torch.equal(*rounded)
    exact = [body.exact_vertices(own) for body, own in zip(bodies, given, strict=True)]
    assert exact[0].dtype == torch.float64 and torch.equal(exact[0].float(), exact[1].float())
    assert torch.allclose(exact[0].float(), rounded[0], atol=1e-5)


def test_canonical_vertices_move_to_the_posed_body(fake_body):
    params, canonical = random_params(2), canonical_vertices(fake_body)
    motion = skinned_motion(fake_body, bind(canonical, fake_body), params)
    assert torch.allclose(motion.points(canonical), fake_body.vertices(params)[0], atol=1e-5)


def test_canonical_params_are_the_fixed_point_of_skinning(fake_body):
    points = canonical_vertices(fake_body)[::50] + 0.02
    motion = skinned_motion(fake_body, bind(points, fake_body), canonical_params())
    assert torch.allclose(motion.points(points), points, atol=1e-5)
    unit = torch.tensor([[1.0, 0, 0, 0]])
    assert torch.allclose(motion.quats.abs(), unit.expand_as(motion.quats), atol=1e-5)


def test_weights_between_vertices_are_continuous_and_sum_to_one(fake_body):
    start = canonical_vertices(fake_body)[100] + torch.tensor([0.0, 0.0, 0.03])
    line = start + torch.linspace(0, 0.002, 50)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    weights = bind(line, fake_body).at(fake_body.lbs_weights)
    assert torch.allclose(weights.sum(dim=1), torch.ones(50), atol=1e-5)
    assert (weights[1:] - weights[:-1]).abs().max() < 0.02


def test_rotations_follow_a_rigid_turn_of_the_whole_body(fake_body):
    params = canonical_params()
    params.global_orient[0] = torch.tensor([0.0, 0.7, 0.0])
    points = canonical_vertices(fake_body)[::100]
    motion = skinned_motion(fake_body, bind(points, fake_body), params)
    wanted = torch.linalg.matrix_exp(
        torch.tensor([[0.0, 0.0, 0.7], [0.0, 0.0, 0.0], [-0.7, 0.0, 0.0]])
    )
    turned = quats_to_matrices(motion.rotations(torch.tensor([[1.0, 0, 0, 0]]).expand(len(points), 4)))
    assert torch.allclose(turned, wanted.expand_as(turned), atol=1e-4)


def test_quaternion_product_is_matrix_product():
    a, b = torch.nn.functional.normalize(torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    product = quats_to_matrices(quaternion_product(a, b))
    assert torch.allclose(product, quats_to_matrices(a) @ quats_to_matrices(b), atol=1e-5)


def test_hands_decode_with_their_mean(fake_body):
    components, mean = fake_body.hand_pca("left")
    coefficients = np.random.default_rng(0).normal(size=(2, 12))
    wanted = coefficients @ components[:12] + mean
    assert np.allclose(fake_body.decode_hand(coefficients, "left"), wanted)


def test_params_round_trip(tmp_path):
    params = random_params(3, 4)
    params.save(tmp_path / "poses.npz")
    again = BodyParams.load(tmp_path / "poses.npz")
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(params.items(), again.items(), strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("betas"), "betas is missing"),
        (lambda a: a.update(body_pose=a["body_pose"][:, :60]), "expected (frames, 63)"),
        (lambda a: a["transl"].fill(np.nan), "NaN"),
    ],
)
def test_bad_params_are_named(change, words):
    arrays = {name: value.numpy().copy() for name, value in random_params(4).items()}
    change(arrays)
    with pytest.raises(InputError, match=r"poses\.npz") as error:
        BodyParams.from_arrays(arrays, "poses.npz")
    assert words in str(error.value)


def test_body_files_that_are_none_are_refused(fake_body_file, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Body(tmp_path / "SMPLX_MALE.npz")
    broken = tmp_path / "SMPLX_NEUTRAL.npz"
    broken.write_bytes(fake_body_file.read_bytes()[:5000])
    with pytest.raises(InputError, match="not a readable npz"):
        Body(broken)
    np.savez(broken, v_template=np.zeros((5, 3)))
    with pytest.raises(InputError, match="lacks"):
        Body(broken)


class _Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def test_pickles_inside_a_body_file_never_run(fake_body_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = dict(np.load(fake_body_file))
    bomb = np.empty((), object)
    bomb[()] = _Bomb()
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", part2num=bomb, **arrays)
    body = Body(tmp_path / "SMPLX_NEUTRAL.npz")
    assert len(body.v_template) == len(arrays["v_template"])
    assert not (tmp_path / "exploded").exists()
