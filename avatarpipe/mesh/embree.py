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
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, (mesh.vertices - centre)[mesh.faces].astype(np.float32))

    def visible_faces(w2c: np.ndarray, K: np.ndarray, width: int, height: int) -> np.ndarray:
        to_world = w2c[:3, :3].T
        origin = -to_world @ w2c[:3, 3] - centre
        rays = pixel_rays(to_world @ np.linalg.inv(K), width, height)
        origins = np.broadcast_to(origin.astype(np.float32), rays.shape)
        face_ids = scene.run(np.ascontiguousarray(origins), rays)
        return face_ids.reshape(height, width)

    return visible_faces


@numba.njit(parallel=True, cache=True)
def pixel_rays(pixel_to_ray: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H * W, 3) float32 directions `pixel_to_ray @ (x, y, 1)` through the pixel centres, rows first."""
    rays = np.empty((height * width, 3), np.float32)
    for row in numba.prange(height):
        y = row + 0.5
        for column in range(width):
            x = column + 0.5
            for k in range(3):
                value = pixel_to_ray[k, 0] * x + pixel_to_ray[k, 1] * y + pixel_to_ray[k, 2]
                rays[row * width + column, k] = value
    return rays
