import numpy as np
import pytest

from avatarpipe.cameras import orbit
from avatarpipe.capture.hidden import share_texture, without_garment
from avatarpipe.capture.labels import Label
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh, save_mesh
from avatarpipe.mesh.render import render_mesh


def plate(z, size, texture):
    """A square at depth `z` facing +Z, its texture upright."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size + [0, 0, z]
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)[faces]
    return Mesh(corners, faces, uvs, texture)


@pytest.fixture
def layers(tmp_path):
    rng = np.random.default_rng(0)
    parts = {
        "body": plate(0.0, 0.5, rng.integers(0, 256, (8, 16, 3), np.uint8)),
        "lower": plate(0.1, 0.3, rng.integers(0, 256, (32, 4, 3), np.uint8)),
        "upper": plate(0.2, 0.2, rng.integers(0, 256, (5, 7, 3), np.uint8)),
    }
    for name, mesh in parts.items():
        save_mesh(mesh, tmp_path / f"{name}.ply")
    return {f"layer_{name}": tmp_path / f"{name}.ply" for name in parts}, parts


@pytest.mark.parametrize("garment, left", [("upper", {1, 5}), ("lower", {1, 4}), ("both", {1})])
def test_only_the_garment_is_taken_off(layers, garment, left):
    mesh = without_garment(layers[0], garment)
    assert set(mesh.face_labels.tolist()) == left


def test_layers_keep_their_looks_under_a_shared_texture(layers):
    parts = list(layers[1].values())
    camera = orbit([0], [0], 2, 40, 40, 40)
    shared = Mesh.concatenate(share_texture(parts))
    together = render_mesh(shared, camera)
    for index, part in enumerate(parts):
        alone = render_mesh(part, camera)
        seen = together.face_ids[0] // 2 == index
        assert seen.sum() > 50
        assert np.abs(together.rgb[0] - alone.rgb[0])[seen].max() < 1e-4


def test_vertex_colours_need_no_texture(layers):
    plain = [Mesh(mesh.vertices, mesh.faces) for mesh in layers[1].values()]
    assert share_texture(plain) is plain
    with pytest.raises(InputError, match="some have a texture"):
        share_texture([plain[0], layers[1]["upper"]])


def test_a_layer_without_a_label(layers):
    truth = layers[0] | {
        "layer_cape": layers[0]["layer_upper"],
        "body_poses": layers[0]["layer_upper"],
    }
    with pytest.raises(InputError, match="'layer_cape': no label is called CAPE"):
        without_garment(truth, "upper")
    assert Label.SKIN in without_garment(layers[0], "both").face_labels
