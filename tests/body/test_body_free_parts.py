"""The free body's parts against naive references: readers, macro weights, ray casting, PCA."""

import gzip

import numpy as np
import pytest
import trimesh

from avatarpipe.body.free import assets, macros
from avatarpipe.body.free.landmarks import cast_rays
from avatarpipe.body.free.shape_space import COMPONENTS, learn_shapes
from avatarpipe.errors import InputError


def test_read_target_is_dense_and_in_metres(tmp_path):
    path = tmp_path / "a.target.gz"
    path.write_bytes(gzip.compress(b"# comment\n2 1 -.5 0\n0 0 0 10\n"))
    wanted = [[0, 0, 1], [0, 0, 0], [0.1, -0.05, 0]]
    np.testing.assert_allclose(assets.read_target(path, 3), wanted, atol=1e-7)


def test_missing_asset_names_the_file_and_the_remedy(tmp_path):
    with pytest.raises(InputError, match=r"nose\.target.*pip install"):
        assets.read_target(tmp_path / "nose.target", 3)


def test_macro_weights_of_each_block_sum_to_one():
    targets = macros.macro_targets()
    rng = np.random.default_rng(0)
    people = {name: rng.random(5) for name in macros.LEVELS} | {"race": rng.dirichlet((1, 1, 1), 5)}
    people["age"] = 2 / 3 + people["age"] / 3
    weights = macros.macro_weights(people, targets)
    for block in ("macrodetails", "height", "proportions"):
        columns = [i for i, t in enumerate(targets) if t.path.parent.name == block]
        expected = (
            2.0 if block == "macrodetails" else 1.0
        )  # universal and race targets lie together
        np.testing.assert_allclose(weights[:, columns].sum(1), expected)


def test_macro_weight_is_one_where_a_person_is_the_target():
    targets = macros.macro_targets()
    person = {name: np.zeros(1) for name in macros.LEVELS} | {"race": np.array([[0.0, 0.0, 1.0]])}
    person["age"] = np.array([2 / 3])
    weights = macros.macro_weights(person, targets)[0]
    active = {targets[i].levels for i in np.flatnonzero(weights)}
    build = ("male", "young", "minmuscle", "minweight")
    assert active == {
        build, ("caucasian", "male", "young"), (*build, "minheight"), (*build, "idealproportions"),
    }  # fmt: skip


def test_cast_rays_finds_the_near_and_the_far_side_of_a_sphere():
    sphere = trimesh.creation.icosphere(3, 1.0)
    rng = np.random.default_rng(1)
    origins = np.column_stack([rng.uniform(-0.6, 0.6, (20, 2)), np.full(20, 3.0)])
    towards = np.tile([0.0, 0.0, -1.0], (20, 1))
    for which, sign in (("nearest", 1), ("farthest", -1)):
        faces, barycentric, points = cast_rays(origins, towards, sphere.triangles, which)
        np.testing.assert_allclose(
            (sphere.triangles[faces] * barycentric[..., None]).sum(1), points
        )
        np.testing.assert_allclose(points[:, :2], origins[:, :2], atol=1e-12)
        on_sphere = sign * np.sqrt(1 - (origins[:, :2] ** 2).sum(1))
        np.testing.assert_allclose(points[:, 2], on_sphere, atol=0.02)
    with pytest.raises(ValueError, match="no surface"):
        cast_rays(np.array([[5.0, 0, 3]]), towards[:1], sphere.triangles, "nearest")


def test_learn_shapes_separates_a_trait_from_the_rest():
    rng = np.random.default_rng(2)
    trait, other = rng.standard_normal((2, 100))
    grow, bend = rng.standard_normal((2, 30, 3))
    noise = 1e-3 * rng.standard_normal((100, 30, 3))
    people = trait[:, None, None] * grow + 0.3 * other[:, None, None] * bend + noise
    space = learn_shapes(people, people[:, :4], {"trait": 5 + 2 * trait})
    assert space.names[:2] == ["trait", "component1"]
    assert space.directions.shape == (30, 3, COMPONENTS)
    per_deviation = grow * trait.std()
    # what is left of `other` after the chance correlation of the two draws
    slope = 0.3 * np.cov(trait, other)[0, 1] / trait.var(ddof=1) * trait.std() * bend
    np.testing.assert_allclose(space.directions[..., 0], per_deviation + slope, atol=2e-2)
    found = space.directions[..., 1].ravel()
    alignment = abs(found @ bend.ravel()) / np.linalg.norm(found) / np.linalg.norm(bend)
    assert alignment > 0.999
    np.testing.assert_allclose(space.joint_directions, space.directions[:4], atol=1e-6)
