"""Which face each pixel sees, by nvdiffrast's CUDA rasteriser (install it from github.com/NVlabs/nvdiffrast)."""

from collections.abc import Callable

import numpy as np
import nvdiffrast.torch as dr
import torch

from avatarpipe.mesh.clip import clip_coordinates
from avatarpipe.mesh.mesh import Mesh

_BLOCK = 8  # the rasteriser wants both sides of the image to be multiples of this


def visibility(mesh: Mesh) -> Callable[..., np.ndarray]:
    """Put `mesh` on the GPU once; see render.visibility for what the returned function gives."""
    context = dr.RasterizeCudaContext()
    faces = torch.as_tensor(mesh.faces, dtype=torch.int32, device="cuda").contiguous()

    def visible_faces(w2c: np.ndarray, K: np.ndarray, width: int, height: int) -> np.ndarray:
        padded = (-(-height // _BLOCK) * _BLOCK, -(-width // _BLOCK) * _BLOCK)
        clip = clip_coordinates(mesh.vertices, w2c, K, padded[1], padded[0])
        positions = torch.as_tensor(clip[None], dtype=torch.float32, device="cuda")
        raster, _ = dr.rasterize(context, positions, faces, padded, grad_db=False)
        face_ids = raster[0, :height, :width, 3].to(torch.int32) - 1  # 0 means no face
        return face_ids.contiguous().cpu().numpy()

    return visible_faces
