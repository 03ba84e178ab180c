"""From calibrated cameras to the clip coordinates that OpenGL-like rasterisers want."""

import numpy as np


def clip_coordinates(
    vertices: np.ndarray, w2c: np.ndarray, K: np.ndarray, width: int, height: int
) -> np.ndarray:
    """(V, 4) OpenGL clip coordinates whose x/w, y/w of -1..1 span the pixels 0..width and, row 0 first, 0..height.

    OpenGL's own images have row 0 at the bottom, so growing y/w with the row leaves nothing to flip. z/w runs from -1 at
    a near to 1 at a far plane laid closely around the vertices in front of the camera.
    """
    points = vertices @ w2c[:3, :3].T + w2c[:3, 3]
    z = points[:, 2]
    far = max(float(z.max(initial=0.0)) * 1.01, 1e-2)
    near = max(float(z.min(initial=far)) * 0.99, far * 1e-4)
    pixels = points @ K.T  # homogeneous: x, y, and z as w
    x = 2.0 * pixels[:, 0] / width - z
    y = 2.0 * pixels[:, 1] / height - z
    depth = ((far + near) * z - 2.0 * far * near) / (far - near)
    return np.stack([x, y, depth, z], axis=1)
