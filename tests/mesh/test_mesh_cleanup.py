"""Components and reports on meshes whose topology is known; votes on a half-masked sphere."""

import numpy as np
import pytest
import trimesh

from avatarpipe.cameras import orbit
from avatarpipe.errors import InputError
from avatarpipe.mesh.cleanup import keep_large_components, watertight_report
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import render_mesh
from avatarpipe.mesh.votes import face_adjacency, vote_faces


def ball(subdivisions: int = 2, centre=(0.0, 0, 0)) -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions)
    colors = sphere.vertices * 0.5 + 0.5
    return Mesh(sphere.vertices + np.array(centre), sphere.faces, vertex_colors=colors)


def test_components_by_size_and_by_rank():
    parts = [ball(2), ball(1, (3, 0, 0)), ball(0, (6, 0, 0))]
    mesh = Mesh.concatenate(parts)
    assert len(keep_large_components(mesh, min_faces=25).faces) == 320 + 80
    kept = keep_large_components(mesh, largest=1)
    np.testing.assert_array_equal(kept.vertices, parts[0].vertices)
    assert len(keep_large_components(mesh, min_faces=1000).faces) == 0


def test_report_of_closed_open_and_flipped_meshes():
    closed = watertight_report(ball(3))
    assert closed["is_watertight"] and closed["euler"] == 2 and closed["boundary_edges"] == 0
    assert closed["volume"] == pytest.approx(4 / 3 * np.pi, rel=0.02)
    torus = trimesh.creation.torus(1.0, 0.3)
    assert watertight_report(Mesh(torus.vertices, torus.faces))["euler"] == 0
    opened = watertight_report(ball(1).submesh(np.arange(79)))
    assert not opened["is_watertight"] and opened["boundary_edges"] == 3
    flipped = ball(1)
    flipped.faces[0] = flipped.faces[0][::-1]
    assert not watertight_report(flipped)["is_watertight"]


def test_votes_find_the_masked_half():
    mesh = ball(3)
    cameras = orbit([30, -30], range(0, 360, 45), 4.0, 40, 64, 64)
    labels = (mesh.vertices[mesh.faces].mean(axis=1)[:, 0] > 0).astype(np.uint8)
    mesh.face_labels = labels
    masks = render_mesh(mesh, cameras).labels == 1
    scores = vote_faces(mesh, cameras, masks)
    middle = np.abs(mesh.vertices[mesh.faces].mean(axis=1)[:, 0]) > 0.15
    assert ((scores >= 0.5) == (labels == 1))[middle].all()
    assert np.abs(scores[middle] - labels[middle]).mean() < 0.02  # outlines cost a face a view


def test_votes_count_views_and_soft_masks():
    mesh = ball(1)
    cameras = orbit([0], [0, 10, -10, 20], 4.0, 40, 64, 64)
    masks = np.zeros((4, 64, 64), np.float32)
    masks[:2], masks[2] = 0.6, 0.4
    front = np.argmax(mesh.normals()[:, 2])
    assert vote_faces(mesh, cameras, masks)[front] == pytest.approx(0.5)


def test_unseen_faces_follow_their_neighbours():
    mesh = Mesh.concatenate([ball(2), ball(1, (9, 9, 9))])
    cameras = orbit([0], [0], 4.0, 40, 64, 64)
    scores = vote_faces(mesh, cameras, np.ones((1, 64, 64), bool))
    assert (scores[:320] == 1).all()  # the back took the front's value
    assert (scores[320:] == 0).all()  # a part that no view sees at all


def test_adjacency_joins_faces_across_edges_only():
    neighbours = face_adjacency(ball(2)).toarray()
    assert (neighbours.sum(0) == 3).all() and (neighbours == neighbours.T).all()


def test_smoothing_removes_speckle():
    mesh = ball(3)
    cameras = orbit([40, 0, -40], range(0, 360, 30), 4.0, 40, 96, 96)
    rng = np.random.default_rng(0)
    masks = rng.random((len(cameras), 96, 96)) < 0.7
    rough = vote_faces(mesh, cameras, masks)
    smooth = vote_faces(mesh, cameras, masks, smoothing=3)
    assert smooth.std() < 0.6 * rough.std()


def test_masks_of_another_size_are_refused():
    cameras = orbit([0], [0], 4.0, 40, 64, 64)
    with pytest.raises(ValueError, match="masks"):
        vote_faces(ball(1), cameras, np.ones((1, 32, 32), bool))


def test_a_mesh_of_nothing_has_no_vote():
    nothing = ball(1).submesh(np.zeros(len(ball(1).faces), bool))
    with pytest.raises(InputError, match="no face"):
        vote_faces(nothing, orbit([0], [0], 4.0, 40, 64, 64), np.zeros((1, 64, 64)))
