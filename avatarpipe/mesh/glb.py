"""Binary glTF through trimesh: one self-contained file that any viewer opens."""

from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file
from avatarpipe.mesh.mesh import Mesh


def read(path: Path) -> Mesh:
    """The triangles of `path` in world space, corners at one position joined again; one texture at most."""
    loaded = trimesh.load(path, process=False, maintain_order=True, force="scene")
    parts = [part for part in loaded.dump() if isinstance(part, trimesh.Trimesh)]
    if not parts:
        raise InputError(f"{path}: holds no triangle mesh.")
    return Mesh.concatenate([_joined(_from_trimesh(part)) for part in parts])


def _from_trimesh(part: trimesh.Trimesh) -> Mesh:
    uvs = texture = colors = None
    if isinstance(part.visual, TextureVisuals):
        if part.visual.uv is not None:
            uvs = np.asarray(part.visual.uv, np.float32)[part.faces]
            texture = _image(part.visual.material)
        colors = part.visual.vertex_attributes.get("color")
    elif part.visual.kind == "vertex":
        colors = part.visual.vertex_colors
    if colors is not None:
        scale = 255.0 if np.issubdtype(colors.dtype, np.integer) else 1.0
        colors = np.asarray(colors[:, :3], np.float32) / scale
    extra = part.vertex_attributes
    face_labels = extra.get("_FACE_LABEL")
    if face_labels is not None:
        face_labels = np.asarray(face_labels).reshape(-1)[part.faces[:, 0]]
    vertex_labels = extra.get("_LABEL")
    if vertex_labels is not None:
        vertex_labels = np.asarray(vertex_labels).reshape(-1)
    return Mesh(part.vertices, part.faces, uvs, texture, colors, vertex_labels, face_labels)


def _image(material) -> np.ndarray | None:
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    return None if image is None else np.asarray(image.convert("RGB"))


def _joined(mesh: Mesh) -> Mesh:
    """Vertices at exactly one position, split for the format's sake, made one; those left keep their order."""
    _, first, inverse = np.unique(mesh.vertices, axis=0, return_index=True, return_inverse=True)
    kept = np.sort(first)
    faces = np.argsort(np.argsort(first))[inverse.reshape(-1)][mesh.faces]
    per_vertex = (None if a is None else a[kept] for a in (mesh.vertex_colors, mesh.vertex_labels))
    return Mesh(mesh.vertices[kept], faces, mesh.uvs, mesh.texture, *per_vertex, mesh.face_labels)


def write(mesh: Mesh, path: Path) -> None:
    """One GLB with a rough, metal-free material; labels go into the attributes _LABEL and _FACE_LABEL.

    Vertex colours are left out where there are UVs: viewers multiply them with the texture.
    """
    vertex_ids, faces, uvs, face_labels = _split(mesh)
    out = trimesh.Trimesh(mesh.vertices[vertex_ids], faces, process=False)
    if mesh.vertex_labels is not None:
        out.vertex_attributes["_LABEL"] = mesh.vertex_labels[vertex_ids].astype(np.float32)
    if face_labels is not None:
        out.vertex_attributes["_FACE_LABEL"] = face_labels.astype(np.float32)
    if uvs is not None:
        image = None if mesh.texture is None else Image.fromarray(mesh.texture)
        material = PBRMaterial(baseColorTexture=image, metallicFactor=0.0, roughnessFactor=1.0)
        out.visual = TextureVisuals(uv=uvs, material=material)
    elif mesh.vertex_colors is not None:
        rounded = np.round(np.clip(mesh.vertex_colors, 0, 1) * 255).astype(np.uint8)
        out.visual = ColorVisuals(out, vertex_colors=rounded[vertex_ids])
    with atomic_file(path) as temporary:
        temporary.write_bytes(out.export(file_type="glb"))


def _split(mesh: Mesh):
    """The format's vertices: one for each pair of vertex, UV and face label that occurs; order of the vertices kept."""
    columns = [mesh.faces.reshape(-1, 1).astype(np.float64)]
    if mesh.uvs is not None:
        columns.append(mesh.uvs.reshape(-1, 2))
    if mesh.face_labels is not None:
        columns.append(np.repeat(mesh.face_labels, 3)[:, None])
    rows, inverse = np.unique(np.hstack(columns), axis=0, return_inverse=True)
    uvs = rows[:, 1:3].astype(np.float32) if mesh.uvs is not None else None
    labels = rows[:, -1] if mesh.face_labels is not None else None
    return rows[:, 0].astype(np.int64), inverse.reshape(-1, 3), uvs, labels
