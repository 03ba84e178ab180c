"""Rendering against geometry that is known in closed form, and the GPU backends against Embree."""

import importlib.util

import numpy as np
import pytest
import trimesh

from avatarpipe.cameras import Cameras, look_at, orbit
from avatarpipe.errors import InputError
from avatarpipe.mesh.clip import clip_coordinates
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import render_mesh

OFF_CENTRE = np.array([[90.0, 0, 41.3], [0, 120.0, 22.7], [0, 0, 1]])


def one_camera(
    K=OFF_CENTRE, width=80, height=56, centre=(0.2, 0.1, 6.0), target=(0, 0, 0)
) -> Cameras:
    return Cameras(look_at(centre, target)[None], K[None], width, height, ("a",))


def quad(**attributes) -> Mesh:
    """The square [-1, 1]^2 in the plane z = 0, facing +Z, its UVs spanning the texture."""
    vertices = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    uvs = (vertices[:, :2] * 0.5 + 0.5)[faces]
    return Mesh(vertices, faces, uvs=uvs, **attributes)


def rays(camera: Cameras) -> tuple[np.ndarray, np.ndarray]:
    """Centre (3,) and world directions (H, W, 3) with unit depth, written out pixel by pixel."""
    directions = np.zeros((camera.height, camera.width, 3))
    K, R = camera.K[0], camera.w2c[0, :3, :3]
    for row in range(camera.height):
        for column in range(camera.width):
            local = [(column + 0.5 - K[0, 2]) / K[0, 0], (row + 0.5 - K[1, 2]) / K[1, 1], 1.0]
            directions[row, column] = R.T @ np.array(local)
    return camera.centres[0], directions


def test_plane_depth_hits_and_normals_are_exact():
    camera = one_camera()
    image = render_mesh(quad(), camera)
    centre, directions = rays(camera)
    depth = -centre[2] / directions[..., 2]
    points = centre + directions * depth[..., None]
    inside = (np.abs(points[..., :2]).max(-1) < 1) & (depth > 0)
    edge = np.abs(np.abs(points[..., :2]).max(-1) - 1) < 1e-6
    assert 400 < inside.sum() < inside.size - 100
    np.testing.assert_array_equal((image.alpha[0] > 0)[~edge], inside[~edge])
    np.testing.assert_allclose(image.depth[0][inside], depth[inside], atol=1e-6)
    np.testing.assert_allclose(image.normals[0][inside], [[0, 0, 1]] * inside.sum(), atol=1e-6)
    assert (image.depth[0][~inside & ~edge] == 0).all()
    assert (image.face_ids[0] == -1)[~inside & ~edge].all()


def test_sphere_depth_and_coverage_match_the_analytic_sphere():
    sphere = trimesh.creation.icosphere(7)  # facets are at most 2.5e-5 off the sphere
    mesh = Mesh(sphere.vertices * 0.5, sphere.faces)
    camera = orbit([10], [30], 2.0, 40, 96, 96)
    image = render_mesh(mesh, camera, supersample=4)
    centre, directions = rays(camera)
    a = (directions**2).sum(-1)
    b = directions @ centre
    discriminant = b**2 - a * (centre @ centre - 0.25)
    inner = discriminant > 0.05  # where the ray is not nearly tangent
    depth = (-b[inner] - np.sqrt(discriminant[inner])) / a[inner]
    np.testing.assert_allclose(image.depth[0][inner], depth, atol=1e-4)
    radius = camera.K[0, 0, 0] * 0.5 / np.sqrt(2.0**2 - 0.5**2)  # of the outline, pixels
    assert abs(image.alpha[0].sum() / (np.pi * radius**2) - 1) < 2e-3
    soft = (image.alpha > 0) & (image.alpha < 1)
    assert soft.sum() > 100
    normals = (centre + directions * image.depth[0][..., None]) / 0.5
    np.testing.assert_allclose(image.normals[0][inner], normals[inner], atol=2e-3)


def test_texture_lookup_shows_each_texel_where_it_belongs():
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    K = np.array(
        [[32.0, 0, 32], [0, 32.0, 32], [0, 0, 1]]
    )  # the quad at distance 1 fills 64 x 64 pixels
    camera = Cameras(look_at((0, 0, 1), (0, 0, 0))[None], K[None], 64, 64, ("a",))
    image = render_mesh(quad(texture=texture), camera).rgb[0]
    enlarged = np.zeros((64, 64, 3))
    for row in range(
        64
    ):  # bilinear by hand: 8 pixels a texel, texture's top row at the top of the image
        for column in range(64):
            x, y = np.clip([(column + 0.5) / 8 - 0.5, (row + 0.5) / 8 - 0.5], 0, 7)
            i, j = min(int(y), 6), min(int(x), 6)
            block = texture[i : i + 2, j : j + 2].astype(float) / 255
            across = block[:, 0] * (1 - (x - j)) + block[:, 1] * (x - j)
            enlarged[row, column] = across[0] * (1 - (y - i)) + across[1] * (y - i)
    np.testing.assert_allclose(image, enlarged, atol=1e-5)


def test_checkerboard_has_its_first_row_at_the_top():
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[0, 0], texture[3, 3] = (255, 0, 0), (0, 255, 0)
    image = render_mesh(quad(texture=texture), orbit([0], [0], 2.0, 60, 64, 64)).rgb[0]
    reddest = np.unravel_index(image[..., 0].argmax(), (64, 64))
    greenest = np.unravel_index(image[..., 1].argmax(), (64, 64))
    assert max(reddest) < 32 and min(greenest) > 32


def test_vertex_colors_are_perspective_correct():
    colors = quad().vertices * 0.5 + 0.5
    camera = one_camera(centre=(1.2, 0.5, 0.9))
    image = render_mesh(Mesh(quad().vertices, quad().faces, vertex_colors=colors), camera)
    centre, directions = rays(camera)
    points = centre + directions * image.depth[0][..., None]
    hit = image.alpha[0] > 0
    np.testing.assert_allclose(image.rgb[0][hit], points[hit] * 0.5 + 0.5, atol=1e-5)


def test_labels_by_face_and_by_nearest_corner():
    camera = one_camera()
    by_face = render_mesh(quad(face_labels=[3, 5]), camera)
    hit = by_face.face_ids[0] >= 0
    np.testing.assert_array_equal(
        by_face.labels[0][hit], np.array([3, 5])[by_face.face_ids[0][hit]]
    )
    assert (by_face.labels[0][~hit] == 0).all()
    by_vertex = render_mesh(quad(vertex_labels=[1, 2, 3, 4]), camera)
    centre, directions = rays(camera)
    points = centre + directions * by_vertex.depth[0][..., None]
    for corner, label in zip(quad().vertices, [1, 2, 3, 4], strict=True):
        near = hit & (np.linalg.norm(points - corner, axis=-1) < 0.5)
        assert near.any() and (by_vertex.labels[0][near] == label).all()


def test_supersampling_mixes_coverage_and_background():
    camera = one_camera()
    white = Mesh(quad().vertices, quad().faces, vertex_colors=np.ones((4, 3)))
    image = render_mesh(white, camera, supersample=4, background=(0.0, 0.5, 1.0))
    alpha = image.alpha[0][..., None]
    np.testing.assert_allclose(image.rgb[0], alpha + (1 - alpha) * [0, 0.5, 1], atol=1e-6)
    fine = Cameras(camera.w2c, np.diag([4, 4, 1]) @ camera.K, 320, 224, ("a",))
    coverage = render_mesh(white, fine).alpha[0].reshape(56, 4, 80, 4).mean((1, 3))
    np.testing.assert_allclose(image.alpha[0], coverage, atol=1e-6)
    np.testing.assert_array_equal(image.depth, render_mesh(white, camera).depth)


def test_nearer_face_wins_and_what_is_behind_the_camera_is_not_seen():
    near, far = quad(face_labels=[1, 1]), quad(face_labels=[2, 2])
    shift = np.eye(4)
    shift[2, 3] = -0.5
    behind = np.eye(4)
    behind[2, 3] = 5.0
    camera = one_camera(centre=(0, 0, 2.0))
    both = Mesh.concatenate([far.transformed(shift), near, near.transformed(behind)])
    image = render_mesh(both, camera)
    alone = render_mesh(near, camera)
    np.testing.assert_array_equal(image.depth[alone.alpha > 0], alone.depth[alone.alpha > 0])


def test_cameras_are_rendered_one_by_one_alike():
    cameras = orbit([0, 20], [0, 90], 3.0, 40, 24, 32)
    together = render_mesh(quad(), cameras)
    assert together.rgb.shape == (4, 32, 24, 3) and together.rgb.dtype == np.float32
    for i in range(4):
        np.testing.assert_array_equal(together.depth[i], render_mesh(quad(), cameras[i]).depth[0])


def test_clip_coordinates_land_on_the_pixels_of_the_projection():
    camera = one_camera(width=80, height=56)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    clip = clip_coordinates(points, camera.w2c[0], camera.K[0], 80, 56)
    local = points @ camera.w2c[0, :3, :3].T + camera.w2c[0, :3, 3]
    expected = (local @ camera.K[0].T)[:, :2] / local[:, 2:]
    pixels = (clip[:, :2] / clip[:, 3:] + 1) * 0.5 * [80, 56]
    np.testing.assert_allclose(pixels, expected, atol=1e-9)
    depth = clip[:, 2] / clip[:, 3]
    assert np.abs(depth).max() <= 1
    np.testing.assert_array_equal(np.argsort(depth), np.argsort(local[:, 2]))


@pytest.mark.parametrize("backend", ["nvdiffrast", "pytorch3d"])
def test_gpu_backends_agree_with_embree(backend):
    """Tolerances: coverage differs in at most 0.2 % of the covered pixels; where both see the same face, depth 1e-6 m and
    colour 1e-6; where they see different faces (on borders), depth 2 mm in all but 0.5 % (grazing ones)."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (source install, CUDA)")
    if backend == "nvdiffrast":
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("nvdiffrast needs a CUDA device")
    sphere = trimesh.creation.icosphere(4)
    mesh = Mesh(
        sphere.vertices * [0.4, 0.9, 0.3], sphere.faces, vertex_colors=sphere.vertices * 0.5 + 0.5
    )
    K = np.tile(np.array([[150.0, 0, 60.5], [0, 170, 81], [0, 0, 1]]), (4, 1, 1))
    views = orbit([20, -10], [0, 130], 2.5, 50, 131, 149)
    cameras = Cameras(views.w2c, K, 131, 149, views.names)
    expected, image = render_mesh(mesh, cameras), render_mesh(mesh, cameras, backend=backend)
    covered = expected.alpha > 0
    assert (covered != (image.alpha > 0)).sum() <= 0.002 * covered.sum()
    same = covered & (expected.face_ids == image.face_ids)
    assert same.sum() > 0.96 * covered.sum()  # nvdiffrast snaps vertices to a sixteenth of a pixel
    np.testing.assert_allclose(image.depth[same], expected.depth[same], atol=1e-6)
    np.testing.assert_allclose(image.rgb[same], expected.rgb[same], atol=1e-6)
    both = covered & (image.alpha > 0)
    off = np.abs(image.depth[both] - expected.depth[both]) > 2e-3
    assert off.mean() <= 0.005, f"{off.sum()} of {off.size} depths are off by more than 2 mm"


def test_missing_and_unknown_backends_are_input_errors():
    with pytest.raises(InputError, match="opengl"):
        render_mesh(quad(), one_camera(), backend="opengl")
    if importlib.util.find_spec("nvdiffrast") is None:
        with pytest.raises(InputError, match="not installed"):
            render_mesh(quad(), one_camera(), backend="nvdiffrast")
