"""PLY: everything a Mesh has in one binary file, plus a PNG where there is a texture."""

import re
from pathlib import Path

import numpy as np
import trimesh

from avatarpipe.files import atomic_file
from avatarpipe.images import read_image, write_image
from avatarpipe.mesh.mesh import Mesh


def read(path: Path) -> Mesh:
    """The mesh at `path`, ascii or binary, vertex order kept.

    UVs are read from MeshLab's `texcoord` list a face or from (texture_u, texture_v), (u, v) or (s, t) a vertex; labels
    from a property `label`; the texture from `comment TextureFile`.
    """
    loaded = trimesh.load(path, process=False, fix_texture=False, maintain_order=True)
    raw = loaded.metadata["_ply_raw"]
    vertex, face = raw["vertex"]["data"], raw["face"]["data"]
    uvs = _uvs(vertex, face, loaded.faces)
    colors = _columns(vertex, ("red", "green", "blue"))
    if colors is not None and colors.dtype == np.uint8:
        colors = colors.astype(np.float32) / 255.0
    return Mesh(
        loaded.vertices,
        loaded.faces,
        uvs,
        _texture(path) if uvs is not None else None,
        colors,
        _column(vertex, "label"),
        _column(face, "label"),
    )


def _column(data, name: str) -> np.ndarray | None:
    names = data.dtype.names if isinstance(data, np.ndarray) else data
    return np.asarray(data[name]).reshape(-1) if name in (names or ()) else None


def _columns(data, names: tuple[str, ...]) -> np.ndarray | None:
    columns = [_column(data, name) for name in names]
    return None if any(column is None for column in columns) else np.stack(columns, axis=-1)


def _uvs(vertex, face, faces: np.ndarray) -> np.ndarray | None:
    if "texcoord" in ((face.dtype.names if isinstance(face, np.ndarray) else face) or ()):
        listed = face["texcoord"]
        listed = listed["f1"] if getattr(listed.dtype, "names", None) else listed
        return listed.reshape(len(faces), 3, 2)
    for names in (("texture_u", "texture_v"), ("u", "v"), ("s", "t")):
        pair = _columns(vertex, names)
        if pair is not None:
            return pair[faces]
    return None


def _texture(path: Path) -> np.ndarray | None:
    with path.open("rb") as stream:
        header = stream.read(65536).partition(b"end_header")[0].decode("utf-8", "replace")
    named = re.search(r"^comment TextureFile (.+?)\s*$", header, re.MULTILINE)
    if not named:
        return None
    return np.round(read_image(path.parent / named.group(1)) * 255).astype(np.uint8)


_PLY_TYPES = {"f8": "double", "f4": "float", "u1": "uchar", "i4": "int"}


def write(mesh: Mesh, path: Path) -> None:
    """Binary little-endian PLY: double positions, uchar colours and labels, MeshLab's `texcoord` list for UVs."""
    comment = []
    if mesh.texture is not None and mesh.uvs is not None:
        write_image(path.with_suffix(".png"), mesh.texture.astype(np.float32) / 255.0)
        comment = [f"comment TextureFile {path.stem}.png"]
    vertex, face = _vertex_rows(mesh), _face_rows(mesh)
    header = ["ply", "format binary_little_endian 1.0", *comment]
    header += [f"element vertex {len(vertex)}", *_scalar_properties(vertex.dtype)]
    header += [f"element face {len(face)}", "property list uchar int vertex_indices"]
    header += ["property list uchar float texcoord"] if mesh.uvs is not None else []
    header += ["property uchar label"] if mesh.face_labels is not None else []
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        stream.write(("\n".join([*header, "end_header"]) + "\n").encode())
        stream.write(vertex.tobytes())
        stream.write(face.tobytes())


def _scalar_properties(dtype: np.dtype) -> list[str]:
    return [f"property {_PLY_TYPES[dtype[name].str[1:]]} {name}" for name in dtype.names]


def _vertex_rows(mesh: Mesh) -> np.ndarray:
    fields = {axis: mesh.vertices[:, k].astype("<f8") for k, axis in enumerate("xyz")}
    if mesh.vertex_colors is not None:
        rounded = np.round(np.clip(mesh.vertex_colors, 0, 1) * 255).astype(np.uint8)
        fields |= {name: rounded[:, k] for k, name in enumerate(("red", "green", "blue"))}
    if mesh.vertex_labels is not None:
        fields["label"] = mesh.vertex_labels
    return _packed(fields, len(mesh.vertices))


def _face_rows(mesh: Mesh) -> np.ndarray:
    count = len(mesh.faces)
    fields = {"n": np.full(count, 3, np.uint8), "vertex_indices": mesh.faces.astype("<i4")}
    if mesh.uvs is not None:
        fields["m"] = np.full(count, 6, np.uint8)
        fields["texcoord"] = mesh.uvs.reshape(count, 6).astype("<f4")
    if mesh.face_labels is not None:
        fields["label"] = mesh.face_labels
    return _packed(fields, count)


def _packed(fields: dict[str, np.ndarray], count: int) -> np.ndarray:
    rows = np.empty(count, [(name, a.dtype, a.shape[1:]) for name, a in fields.items()])
    for name, values in fields.items():
        rows[name] = values
    return rows
