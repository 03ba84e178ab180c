"""Pictures of meshes: colour, alpha, depth, normals, face ids and labels, unlit, from calibrated cameras.

Three backends answer one question, which face each pixel's centre sees: Embree (default, any CPU), nvdiffrast and
pytorch3d (CUDA, where installed). Everything else is computed once, in shading.py, so results agree but for which of two
faces a pixel on their very border gets. Faces are seen from both sides.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from importlib import import_module

import numpy as np

from avatarpipe.cameras import Cameras
from avatarpipe.errors import InputError
from avatarpipe.mesh import shading
from avatarpipe.mesh.mesh import Mesh

BACKENDS = {
    "embree": "avatarpipe.mesh.embree",
    "nvdiffrast": "avatarpipe.mesh.nvdiffrast_backend",
    "pytorch3d": "avatarpipe.mesh.pytorch3d_backend",
}


@dataclass
class MeshRendering:
    """Images of C cameras; nothing means that the ray through the pixel's centre meets no face."""

    rgb: np.ndarray  # (C, H, W, 3) float32 sRGB over the background
    alpha: np.ndarray  # (C, H, W) float32 coverage in [0, 1]
    depth: np.ndarray  # (C, H, W) float32 metres along the camera's z; 0 where nothing
    normals: np.ndarray  # (C, H, W, 3) float32 unit, world, outward; 0 where nothing
    face_ids: np.ndarray  # (C, H, W) int32, -1 where nothing
    labels: np.ndarray  # (C, H, W) uint8 of the face or its nearest corner; 0 where none

    @staticmethod
    def concatenate(parts: Sequence["MeshRendering"]) -> "MeshRendering":
        """The renderings of several groups of cameras as one."""
        names = [field.name for field in fields(MeshRendering)]
        return MeshRendering(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))


def render_mesh(
    mesh: Mesh,
    cameras: Cameras,
    supersample: int = 1,
    backend: str = "embree",
    background: Sequence[float] = (0.0, 0.0, 0.0),
) -> MeshRendering:
    """All `cameras` at once: 39 bytes a pixel, so use `render_views` where 72 large images would not fit.

    supersample: n > 1 makes rgb and alpha the mean over n x n rays a pixel (colour premultiplied by coverage, then laid
    over `background`); depth, normals, face ids and labels remain those of the pixel's centre, since their means over an
    edge would be no surface at all.
    """
    return MeshRendering.concatenate(
        list(render_views(mesh, cameras, supersample, backend, background))
    )


def render_views(
    mesh: Mesh,
    cameras: Cameras,
    supersample: int = 1,
    backend: str = "embree",
    background: Sequence[float] = (0.0, 0.0, 0.0),
) -> Iterator[MeshRendering]:
    """Like `render_mesh`, one camera (C = 1) at a time."""
    if supersample < 1:
        raise ValueError(f"supersample must be 1 or more, got {supersample}")
    visible_faces = visibility(mesh, backend)
    surface = shading.Surface.of(mesh)
    for w2c, K in zip(cameras.w2c, cameras.K, strict=True):
        view = _View(visible_faces, surface, mesh.vertices, w2c, cameras.width, cameras.height)
        yield _render_view(view, K, supersample, np.asarray(background, np.float32))


def visibility(mesh: Mesh, backend: str) -> Callable[..., np.ndarray]:
    """(w2c, K, width, height) -> (H, W) int32 id of the face that each pixel's centre sees, -1 for none.

    Raises InputError where the backend is unknown or not installed.
    """
    if backend not in BACKENDS:
        raise InputError(f"mesh backend {backend!r}: use one of {', '.join(BACKENDS)}.")
    try:
        module = import_module(BACKENDS[backend])
    except ImportError as error:
        raise InputError(
            f"mesh backend {backend!r} is not installed ({error}). Use embree, or install it from its source."
        ) from error
    return module.visibility(mesh)


@dataclass
class _View:
    visible_faces: Callable[..., np.ndarray]
    surface: shading.Surface
    vertices: np.ndarray
    w2c: np.ndarray
    width: int
    height: int

    def trace(self, K: np.ndarray, factor: int):
        """Face ids, barycentrics and depths at `factor` times the resolution."""
        K = np.diag([factor, factor, 1.0]) @ K
        face_ids = self.visible_faces(self.w2c, K, self.width * factor, self.height * factor)
        in_camera = self.vertices @ self.w2c[:3, :3].T + self.w2c[:3, 3]
        return face_ids, *shading.hits(face_ids, self.surface, in_camera, K)


def _render_view(view: _View, K: np.ndarray, supersample: int, background) -> MeshRendering:
    face_ids, barycentric, depth = view.trace(K, 1)
    normals, labels = shading.normals_and_labels(face_ids, barycentric, view.surface)
    if supersample == 1:
        rgb, alpha = _premultiplied(face_ids, barycentric, view.surface)
    else:
        fine_ids, fine_barycentric, _ = view.trace(K, supersample)
        fine = _premultiplied(fine_ids, fine_barycentric, view.surface)
        rgb, alpha = (_box_mean(image, supersample) for image in fine)
    if background.any():
        rgb = rgb + (1.0 - alpha[..., None]) * background
    images = (rgb, alpha, depth, normals, face_ids, labels)
    return MeshRendering(*(image[None] for image in images))


def _premultiplied(face_ids, barycentric, surface) -> tuple[np.ndarray, np.ndarray]:
    return shading.colors(face_ids, barycentric, surface), (face_ids >= 0).astype(np.float32)


def _box_mean(image: np.ndarray, size: int) -> np.ndarray:
    """Mean over size x size blocks of pixels."""
    height, width = image.shape[0] // size, image.shape[1] // size
    return image.reshape(height, size, width, size, *image.shape[2:]).mean(axis=(1, 3))
