"""The light of a capture stage on a person who moves: an even dome, a soft key light, and what the pose shades.

Both are fixed to the room; the dome gives most of the light, as in stages built for capture.
"""

import numpy as np
import scipy.sparse as sparse
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from avatarpipe.mesh.mesh import Mesh
from avatarpipe.synthetic.light import sky_share
from avatarpipe.synthetic.noise import smoothstep

_KEY = np.array([0.45, 0.62, 0.64]) / np.linalg.norm([0.45, 0.62, 0.64])
_RIM = np.array([-0.75, 0.35, -0.56]) / np.linalg.norm([-0.75, 0.35, -0.56])
_WARM, _COOL = np.array([1.02, 1.0, 0.96]), np.array([0.98, 0.99, 1.02])
_SHELTERED = 0.22  # of the sky that reaches an inner sheet
_STEPS = 3  # over which the noise of few rays is smoothed


def shade(mesh: Mesh, sheltered: np.ndarray, smooth: sparse.spmatrix, rays: int) -> np.ndarray:
    """(V, 3) float32 factor on the paint of `mesh` as it now stands; smooth: (V, V) means over neighbours."""
    normals = mesh.vertex_normals()
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, mesh.vertices[mesh.faces].astype(np.float32))
    sky = np.full(len(mesh.vertices), _SHELTERED)
    open_ids = np.flatnonzero(~sheltered)
    sky[open_ids], _ = sky_share(scene, mesh.vertices[open_ids], normals[open_ids], rays)
    for _ in range(_STEPS):
        sky = smooth @ sky
    free = np.clip(sky / 0.78, 0.0, 1.15)
    reached = smoothstep(free, 0.05, 0.7)
    key = 0.40 * smoothstep(normals @ _KEY, -0.45, 0.95) * reached
    rim = 0.14 * smoothstep(normals @ _RIM, -0.2, 1.0) * reached
    ambient = 0.20 + 0.42 * free
    return (ambient[:, None] * _COOL + (key + rim)[:, None] * _WARM).astype(np.float32)
