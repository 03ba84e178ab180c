"""Which face each pixel sees, by pytorch3d's rasteriser (install it from github.com/facebookresearch/pytorch3d)."""

from collections.abc import Callable

import numpy as np
import torch
from pytorch3d.renderer import MeshRasterizer, RasterizationSettings
from pytorch3d.structures import Meshes
from pytorch3d.utils import cameras_from_opencv_projection

from avatarpipe.mesh.mesh import Mesh

_NEAR = 1e-2  # metres; faces are cut there, or those around the camera would project to infinity


def visibility(mesh: Mesh) -> Callable[..., np.ndarray]:
    """Put `mesh` on the GPU (or the CPU, slowly) once; see render.visibility for what the returned function gives."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    vertices = torch.as_tensor(mesh.vertices, dtype=torch.float32, device=device)
    meshes = Meshes([vertices], [torch.as_tensor(mesh.faces, device=device)])

    def visible_faces(w2c: np.ndarray, K: np.ndarray, width: int, height: int) -> np.ndarray:
        cameras = cameras_from_opencv_projection(*_opencv(w2c, K, width, height, device))
        settings = RasterizationSettings(
            image_size=(height, width), blur_radius=0.0, faces_per_pixel=1, z_clip_value=_NEAR
        )
        rasterizer = MeshRasterizer(cameras=cameras, raster_settings=settings)
        face_ids = rasterizer(meshes).pix_to_face[0, :, :, 0]
        return face_ids.to(torch.int32).contiguous().cpu().numpy()

    return visible_faces


def _opencv(w2c: np.ndarray, K: np.ndarray, width: int, height: int, device: str):
    """Rotation, translation, intrinsics and image size (height, width), each with a batch axis of one."""
    arrays = (w2c[:3, :3], w2c[:3, 3], K, np.array([height, width]))
    return [torch.as_tensor(a[None], dtype=torch.float32, device=device) for a in arrays]
