"""Which face each pixel sees, by Embree's rays through pixel centres. Works on any CPU."""

from collections.abc import Callable

import numba
import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from avatarpipe.mesh.mesh import Mesh


def visibility(mesh: Mesh) -> Callable[..., np.ndarray]:
    """Build the ray tree of `mesh` once; see render.visibility for what the returned function gives."""
    centre = mesh.vertices.mean(axis=0)  # rays are float32: keep numbers small around the mesh
    corners = _box_corners(mesh.vertices)
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, (mesh.vertices - centre)[mesh.faces].astype(np.float32))

    def visible_faces(w2c: np.ndarray, K: np.ndarray, width: int, height: int) -> np.ndarray:
        to_world = w2c[:3, :3].T
        origin = -to_world @ w2c[:3, 3] - centre
        image = np.full((height, width), -1, np.int32)
        rows, columns = _window(corners @ w2c[:3, :3].T + w2c[:3, 3], K, width, height)
        seen = image[rows, columns]
        if seen.size:
            rays = pixel_rays(to_world @ np.linalg.inv(K), columns.start, rows.start, *seen.shape)
            origins = np.ascontiguousarray(np.broadcast_to(origin.astype(np.float32), rays.shape))
            seen[:] = scene.run(origins, rays).reshape(seen.shape)
        return image

    return visible_faces


def _box_corners(vertices: np.ndarray) -> np.ndarray:
    """(8, 3) corners of the box around the vertices."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)


def _window(corners: np.ndarray, K: np.ndarray, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns outside of which the box with these corners (8, 3), in the camera's frame, shows nowhere."""
    if (corners[:, 2] < 1e-6).any():  # the box reaches behind the camera
        return slice(0, height), slice(0, width)
    pixels = corners @ K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    size = np.array([width, height])
    low = np.clip(np.floor(pixels.min(axis=0)) - 1, 0, size).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0)) + 1, low, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


@numba.njit(parallel=True, cache=True)
def pixel_rays(
    pixel_to_ray: np.ndarray, left: int, top: int, height: int, width: int
) -> np.ndarray:
    """(H * W, 3) float32 directions `pixel_to_ray @ (x, y, 1)` through the pixel centres of a window, rows first."""
    rays = np.empty((height * width, 3), np.float32)
    for row in numba.prange(height):
        y = top + row + 0.5
        for column in range(width):
            x = left + column + 0.5
            for k in range(3):
                value = pixel_to_ray[k, 0] * x + pixel_to_ray[k, 1] * y + pixel_to_ray[k, 2]
                rays[row * width + column, k] = value
    return rays
