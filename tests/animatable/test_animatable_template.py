"""The template: the body in its big pose, a mesh given there, or one carried there from the layered method's canonical pose."""

import numpy as np
import pytest
import torch

from avatarpipe.body.skinning import canonical_vertices
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh, save_mesh
from avatarpipe.methods.animatable.rig import big_pose
from avatarpipe.methods.animatable.template import body_template, given_template, layered_template

BETAS = torch.tensor([1.0, 0.5, *[0.0] * 8])


def test_the_body_is_in_the_subjects_shape_and_big_pose(fake_body):
    template = body_template(fake_body, BETAS)
    assert np.allclose(template.vertices, fake_body.vertices(big_pose(BETAS))[0].numpy(), atol=1e-6)
    assert not np.allclose(
        template.vertices, body_template(fake_body, 0 * BETAS).vertices, atol=1e-3
    )


def test_a_mesh_of_the_layered_method_goes_where_the_body_goes(fake_body):
    canonical = Mesh(
        canonical_vertices(fake_body).numpy(), fake_body.faces,
        vertex_colors=np.full((len(fake_body.v_template), 3), 0.5),
    )  # fmt: skip
    carried = layered_template(canonical, fake_body, BETAS)
    expected = body_template(fake_body, BETAS)
    assert np.abs(carried.vertices - expected.vertices).max() < 1e-4
    assert np.array_equal(carried.faces, canonical.faces)
    assert np.array_equal(carried.vertex_colors, canonical.vertex_colors)


def test_clothes_stay_outside_by_as_much(fake_body):
    skin = canonical_vertices(fake_body).numpy().astype(np.float64)
    outward = Mesh(skin, fake_body.faces).vertex_normals()
    clothed = layered_template(Mesh(skin + 0.01 * outward, fake_body.faces), fake_body, BETAS)
    gap = np.linalg.norm(clothed.vertices - body_template(fake_body, BETAS).vertices, axis=1)
    assert np.median(gap) == pytest.approx(0.01, abs=0.002)


def test_a_given_mesh_is_taken_as_it_is(fake_body, tmp_path):
    mesh = body_template(fake_body, BETAS)
    save_mesh(mesh, tmp_path / "template.ply")
    given = given_template(tmp_path / "template.ply", fake_body, BETAS)
    assert np.allclose(given.vertices, mesh.vertices) and np.array_equal(given.faces, mesh.faces)


@pytest.mark.parametrize("wrong", ["millimetres", "elsewhere"])
def test_a_mesh_that_is_not_on_the_body_is_refused(fake_body, tmp_path, wrong):
    mesh = body_template(fake_body, BETAS)
    mesh.vertices = mesh.vertices * 1000 if wrong == "millimetres" else mesh.vertices + 2.0
    save_mesh(mesh, tmp_path / "template.ply")
    with pytest.raises(InputError, match=r"template\.ply.*big pose"):
        given_template(tmp_path / "template.ply", fake_body, BETAS)
