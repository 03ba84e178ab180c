"""Mesh files: what is written comes back, and what is broken is said so."""

import numpy as np
import pytest
import trimesh

from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh, load_mesh, save_mesh


def textured_mesh(seed: int = 0) -> Mesh:
    """A sphere with random UVs in every corner (so that every edge is a seam), texture, colours and labels."""
    rng = np.random.default_rng(seed)
    sphere = trimesh.creation.icosphere(2)
    V, F = len(sphere.vertices), len(sphere.faces)
    return Mesh(
        sphere.vertices,
        sphere.faces,
        rng.random((F, 3, 2)),
        rng.integers(0, 256, (16, 24, 3)),
        rng.random((V, 3)),
        rng.integers(0, 7, V),
        rng.integers(0, 7, F),
    )


@pytest.mark.parametrize(("suffix", "tolerance"), [("ply", 0), ("obj", 1e-8), ("glb", 1e-7)])
def test_geometry_uvs_and_texture_round_trip(tmp_path, suffix, tolerance):
    mesh = textured_mesh()
    save_mesh(mesh, tmp_path / f"scan.{suffix}")
    back = load_mesh(tmp_path / f"scan.{suffix}")
    np.testing.assert_allclose(back.vertices, mesh.vertices, atol=tolerance)
    np.testing.assert_array_equal(back.faces, mesh.faces)
    np.testing.assert_allclose(back.uvs, mesh.uvs, atol=1e-7)
    np.testing.assert_array_equal(back.texture, mesh.texture)


@pytest.mark.parametrize("suffix", ["ply", "glb"])
def test_labels_round_trip(tmp_path, suffix):
    mesh = textured_mesh()
    save_mesh(mesh, tmp_path / f"scan.{suffix}")
    back = load_mesh(tmp_path / f"scan.{suffix}")
    np.testing.assert_array_equal(back.vertex_labels, mesh.vertex_labels)
    np.testing.assert_array_equal(back.face_labels, mesh.face_labels)


@pytest.mark.parametrize("suffix", ["ply", "obj", "glb"])
def test_vertex_colors_round_trip(tmp_path, suffix):
    full = textured_mesh()
    mesh = Mesh(full.vertices, full.faces, vertex_colors=full.vertex_colors)
    save_mesh(mesh, tmp_path / f"mesh.{suffix}")
    back = load_mesh(tmp_path / f"mesh.{suffix}")
    np.testing.assert_allclose(back.vertex_colors, mesh.vertex_colors, atol=0.5 / 255 + 1e-6)
    assert back.uvs is None and back.texture is None


def test_ascii_ply_with_texcoords_a_vertex(tmp_path):
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        "property float s\nproperty float t\nelement face 1\nproperty list uchar int vertex_indices\n"
        "end_header\n0 0 0 0 0\n1 0 0 1 0\n0 1 0 0 1\n3 0 1 2\n"
    )
    mesh = load_mesh(tmp_path / "a.ply")
    np.testing.assert_array_equal(mesh.uvs, [[[0, 0], [1, 0], [0, 1]]])


def test_obj_with_quads_negative_indices_and_normals(tmp_path):
    (tmp_path / "q.obj").write_text(
        "# a quad, then a triangle counted back\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
        "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\n"
        "f 1/1/1 2/2/1 3/3/1 4/4/1\nv 0 2 0\nf -3/-2/-1 -1/1/1 -2/4/1\n"
    )
    mesh = load_mesh(tmp_path / "q.obj")
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3], [2, 4, 3]])
    np.testing.assert_array_equal(mesh.uvs[2], [[1, 1], [0, 0], [0, 1]])


_BROKEN = {
    "noise.ply": bytes(range(256)),
    "noise.glb": bytes(range(256)),
    "noise.obj": bytes(range(256)),
    "empty.ply": b"",
    "empty.obj": b"",
    "empty.glb": b"",
    "range.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n",
    "word.obj": b"v 0 0 0\nv 1 0 0\nv 0 x 0\nf 1 2 3\n",
    "nan.obj": b"v 0 0 0\nv 1 0 0\nv nan 1 0\nf 1 2 3\n",
    "half.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\nf 1 2 3\n",
    "edge.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\nf 1 2\n",
    "points.obj": b"v 0 0 0\nv 1 0 0\n",
    "material.obj": b"mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\n",
    "mesh.stl": b"solid",
}


@pytest.mark.parametrize("name", _BROKEN)
def test_broken_files_are_input_errors_naming_the_file(tmp_path, name):
    (tmp_path / name).write_bytes(_BROKEN[name])
    with pytest.raises(InputError, match=name):
        load_mesh(tmp_path / name)


@pytest.mark.parametrize("suffix", ["ply", "obj", "glb"])
def test_truncated_and_missing_files(tmp_path, suffix):
    path = tmp_path / f"scan.{suffix}"
    with pytest.raises(InputError, match="no such file"):
        load_mesh(path)
    save_mesh(textured_mesh(), path)
    path.write_bytes(path.read_bytes()[:-300])
    if suffix == "obj":  # text cut between lines is still an OBJ file; cut within one it is not
        path.write_text(path.read_text().rpartition("/")[0])
    with pytest.raises(InputError, match=path.name):
        load_mesh(path)


def test_failed_write_leaves_nothing(tmp_path):
    mesh = textured_mesh()
    mesh.face_labels = mesh.face_labels[:-1]  # inconsistent behind the dataclass's back
    with pytest.raises(ValueError):
        save_mesh(mesh, tmp_path / "scan.ply")
    assert not (tmp_path / "scan.ply").exists()


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="vertex_labels"):
        Mesh(np.zeros((3, 3)), [[0, 1, 2]], vertex_labels=[1, 2])
    with pytest.raises(ValueError, match="outside"):
        Mesh(np.zeros((3, 3)), [[0, 1, 3]])


def test_transform_submesh_and_concatenate():
    mesh = textured_mesh()
    mirrored = mesh.transformed(np.diag([-1.0, 1, 1, 1]))
    outward = np.einsum("fi,fi->f", mirrored.normals(), mirrored.vertices[mirrored.faces].mean(1))
    assert outward.min() > 0
    half = mesh.face_labels < 3
    parts = [mesh.submesh(half), mesh.submesh(~half)]
    joined = Mesh.concatenate(parts)
    order = np.argsort(~half, kind="stable")
    corners = mesh.vertices[mesh.faces][order]
    np.testing.assert_array_equal(joined.vertices[joined.faces], corners)
    np.testing.assert_array_equal(joined.uvs, mesh.uvs[order])
    np.testing.assert_array_equal(joined.face_labels, mesh.face_labels[order])
    np.testing.assert_allclose(mesh.vertex_normals(), mesh.vertices, atol=0.05)
