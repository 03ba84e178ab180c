"""Pictures of a posed cast: paint times light, coverage and labels, traced only where the person is."""

from dataclasses import dataclass

import numpy as np

from avatarpipe.cameras import Cameras
from avatarpipe.mesh import shading
from avatarpipe.mesh.embree import visibility
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.synthetic.bake import box_mean

BACKDROP = (0.55, 0.57, 0.60)


@dataclass
class Picture:
    """What one camera sees."""

    rgb: np.ndarray  # (H, W, 3) uint8 before the backdrop
    mask: np.ndarray  # (H, W) uint8 coverage
    labels: np.ndarray  # (H, W) uint8 of the face at each pixel's centre


class Photographer:
    """Traces one posed mesh: textured, with (V, 3) light on its vertices."""

    def __init__(self, mesh: Mesh, light: np.ndarray, supersample: int):
        self.mesh, self.supersample = mesh, supersample
        self.visible = visibility(mesh)
        self.paint = shading.Surface.of(mesh)
        lit = Mesh(mesh.vertices, mesh.faces, vertex_colors=light)
        self.light = shading.Surface.of(lit)

    def picture(self, cameras: Cameras, index: int) -> Picture:
        """Of camera `index`."""
        w2c, K = cameras.w2c[index], cameras.K[index]
        x0, y0, x1, y1 = self._frame(w2c, K, cameras.width, cameras.height)
        size = cameras.height, cameras.width
        rgb = np.broadcast_to(np.float32(BACKDROP), (*size, 3)).copy()
        alpha, labels = np.zeros(size, np.float32), np.zeros(size, np.uint8)
        if x1 > x0 and y1 > y0:
            window = (slice(y0, y1), slice(x0, x1))
            moved = K.copy()
            moved[:2, 2] -= [x0, y0]
            color, alpha[window], labels[window] = self._traced(w2c, moved, x1 - x0, y1 - y0)
            rgb[window] = color + (1.0 - alpha[window][..., None]) * rgb[window]
        return Picture(_bytes(rgb), _bytes(alpha), labels)

    def _frame(self, w2c, K, width: int, height: int) -> tuple[int, int, int, int]:
        """Columns and rows between which the whole mesh lies."""
        seen = self.mesh.vertices @ w2c[:3, :3].T + w2c[:3, 3]
        pixels = (seen @ K.T)[:, :2] / seen[:, 2:]
        low, high = np.floor(pixels.min(axis=0)) - 1, np.ceil(pixels.max(axis=0)) + 1
        limits = np.clip([*low, *high], 0, [width, height, width, height])
        return tuple(int(x) for x in limits)

    def _traced(self, w2c, K, width: int, height: int):
        """Colour premultiplied by coverage, coverage, labels."""
        s = self.supersample
        fine = np.diag([s, s, 1.0]) @ K
        face_ids = self.visible(w2c, fine, width * s, height * s)
        in_camera = self.mesh.vertices @ w2c[:3, :3].T + w2c[:3, 3]
        barycentric, _ = shading.hits(face_ids, self.paint, in_camera, fine)
        paint = shading.colors(face_ids, barycentric, self.paint)
        light = shading.colors(face_ids, barycentric, self.light)
        rgb = np.clip(paint * light, 0.0, 1.0)
        covered = (face_ids >= 0).astype(np.float32)
        return box_mean(rgb, s), box_mean(covered, s), self._labels(face_ids, barycentric, s)

    def _labels(self, face_ids: np.ndarray, barycentric: np.ndarray, s: int) -> np.ndarray:
        """Of the ray nearest to each pixel's centre."""
        middle = (slice(s // 2, None, s), slice(s // 2, None, s))
        ids, weights = face_ids[middle], barycentric[middle]
        corner = np.take_along_axis(
            self.mesh.faces[np.maximum(ids, 0)], weights.argmax(axis=2)[..., None], axis=2
        )[..., 0]
        return np.where(ids >= 0, self.mesh.vertex_labels[corner], 0).astype(np.uint8)


def _bytes(image: np.ndarray) -> np.ndarray:
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
