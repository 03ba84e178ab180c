"""Layers to textured meshes: the atlas of some faces, painted and lit at every texel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avatarpipe.mesh.mesh import Mesh
from avatarpipe.synthetic.atlas import Atlas, dilated, unwrap
from avatarpipe.synthetic.layer import Layer


@dataclass
class Part:
    """Some faces of a layer."""

    layer: Layer
    faces: np.ndarray  # (F, 3) into the layer's vertices


def baked(parts: Sequence[Part], size: int, supersample: int = 2) -> tuple[Mesh, Atlas]:
    """One textured mesh of all `parts`, with vertex labels, and its atlas.

    supersample: texels are painted this many times finer and averaged.
    """
    vertices, faces, labels, detail = _joined(parts)
    atlas = unwrap(vertices, faces, detail, size)
    texture = _painted(parts, atlas, size * supersample)
    texture = box_mean(texture, supersample)
    mesh = Mesh(
        vertices, faces, atlas.uvs, (texture * 255 + 0.5).astype(np.uint8), vertex_labels=labels
    )
    return mesh, atlas


def box_mean(image: np.ndarray, size: int) -> np.ndarray:
    """Means over size x size blocks of an (H, W) or (H, W, C) image."""
    height, width = image.shape[0] // size, image.shape[1] // size
    return image.reshape(height, size, width, size, *image.shape[2:]).mean(axis=(1, 3))


def _joined(parts: Sequence[Part]):
    """Vertices used, renumbered faces, vertex labels and face detail of all parts."""
    vertices, faces, labels, detail, start = [], [], [], [], 0
    for part in parts:
        used, local = np.unique(part.faces, return_inverse=True)
        vertices.append(part.layer.vertices[used])
        faces.append(local.reshape(-1, 3) + start)
        labels.append(np.full(len(used), part.layer.label, np.uint8))
        detail.append(part.layer.detail[part.faces].mean(axis=1))
        start += len(used)
    return tuple(np.concatenate(x) for x in (vertices, faces, labels, detail))


def _painted(parts: Sequence[Part], atlas: Atlas, size: int) -> np.ndarray:
    """(size, size, 3) float32 lit colours, dilated over the gaps."""
    face_ids, weights = atlas.texels(size)
    image = np.zeros((size, size, 3), np.float32)
    start = 0
    for part in parts:
        mask = (face_ids >= start) & (face_ids < start + len(part.faces))
        image[mask] = lit_color(part.layer, part.faces[face_ids[mask] - start], weights[mask])
        start += len(part.faces)
    return dilated(image, face_ids >= 0)


def lit_color(
    layer: Layer, corners: np.ndarray, weights: np.ndarray, chunk: int = 400_000
) -> np.ndarray:
    """(N, 3) colour at points of a layer given as (N, 3) vertex ids and barycentric weights."""
    out = np.empty((len(corners), 3), np.float32)
    for start in range(0, len(corners), chunk):
        part = slice(start, start + chunk)
        where, weight = corners[part], weights[part].astype(np.float64)
        values = {
            name: _interpolated(value, where, weight) for name, value in layer.attributes.items()
        }
        out[part] = layer.paint(values) * _interpolated(layer.shade, where, weight)
    return np.clip(out, 0.0, 1.0)


def _interpolated(value: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N,) or (N, k) values at points; one column at a time to spare memory."""
    if value.ndim == 1:
        return sum(weights[:, k] * value[corners[:, k]] for k in range(3))
    return np.stack([_interpolated(column, corners, weights) for column in value.T], axis=1)
