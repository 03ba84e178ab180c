"""A triangle mesh with what avatarpipe hangs on it: texture, colours, labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avatarpipe.errors import InputError


@dataclass
class Mesh:
    """Triangles in metres, counter-clockwise seen from outside.

    vertices: (V, 3) float64. faces: (F, 3) int64 vertex ids. uvs: (F, 3, 2) float32 a corner, v up (0 is the bottom row
    of the image). texture: (H, W, 3) uint8, top row first. vertex_colors: (V, 3) float32 sRGB in [0, 1].
    vertex_labels: (V,) uint8. face_labels: (F,) uint8. All but vertices and faces may be None. ValueError on wrong shapes.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray | None = None
    texture: np.ndarray | None = None
    vertex_colors: np.ndarray | None = None
    vertex_labels: np.ndarray | None = None
    face_labels: np.ndarray | None = None

    def __post_init__(self):
        self.vertices = np.ascontiguousarray(self.vertices, np.float64).reshape(-1, 3)
        self.faces = np.ascontiguousarray(self.faces, np.int64).reshape(-1, 3)
        if self.faces.size and not 0 <= self.faces.min() <= self.faces.max() < len(self.vertices):
            raise ValueError(f"faces name vertices outside 0..{len(self.vertices) - 1}")
        V, F = len(self.vertices), len(self.faces)
        self.uvs = _checked("uvs", self.uvs, np.float32, (F, 3, 2))
        self.vertex_colors = _checked("vertex_colors", self.vertex_colors, np.float32, (V, 3))
        self.vertex_labels = _checked("vertex_labels", self.vertex_labels, np.uint8, (V,))
        self.face_labels = _checked("face_labels", self.face_labels, np.uint8, (F,))
        if self.texture is not None:
            shape = (*np.shape(self.texture)[:2], 3)
            self.texture = _checked("texture", self.texture, np.uint8, shape)

    def area_vectors(self) -> np.ndarray:
        """(F, 3) face normals whose length is the face's area in square metres."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return 0.5 * np.cross(b - a, c - a)

    def normals(self) -> np.ndarray:
        """(F, 3) unit face normals; zero for a face without area."""
        return _unit(self.area_vectors())

    def vertex_normals(self) -> np.ndarray:
        """(V, 3) unit vertex normals, faces weighted by area; zero for a vertex without faces."""
        weighted = np.repeat(self.area_vectors(), 3, axis=0)
        corners = self.faces.ravel()
        sums = [np.bincount(corners, weighted[:, k], len(self.vertices)) for k in range(3)]
        return _unit(np.stack(sums, axis=1))

    def transformed(self, matrix: np.ndarray) -> "Mesh":
        """The mesh under an affine (4, 4) `matrix`; a mirroring one also flips the faces, so that outside stays outside."""
        matrix = np.asarray(matrix, np.float64)
        moved = replace(self, vertices=self.vertices @ matrix[:3, :3].T + matrix[:3, 3])
        if np.linalg.det(matrix[:3, :3]) < 0:
            moved.faces = np.ascontiguousarray(moved.faces[:, ::-1])
            moved.uvs = None if moved.uvs is None else np.ascontiguousarray(moved.uvs[:, ::-1])
        return moved

    def submesh(self, face_mask: np.ndarray) -> "Mesh":
        """The faces chosen by a (F,) boolean mask or face ids, with only the vertices that they use, in their order."""
        faces = self.faces[face_mask]
        kept, renumbered = np.unique(faces, return_inverse=True)
        return Mesh(
            self.vertices[kept],
            renumbered.reshape(-1, 3),
            _at(self.uvs, face_mask),
            self.texture,
            _at(self.vertex_colors, kept),
            _at(self.vertex_labels, kept),
            _at(self.face_labels, face_mask),
        )

    @staticmethod
    def concatenate(meshes: Sequence["Mesh"]) -> "Mesh":
        """All `meshes` as one.

        A property survives where every mesh has it; textures of one mesh survive only if all share the same image, so
        turn several textures into vertex colours first (ValueError otherwise).
        """
        textures = [mesh.texture for mesh in meshes if mesh.texture is not None]
        if any(not np.array_equal(textures[0], texture) for texture in textures[1:]):
            raise ValueError("meshes with different textures cannot be concatenated")
        starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
        return Mesh(
            np.concatenate([mesh.vertices for mesh in meshes]),
            np.concatenate(faces),
            _joined([mesh.uvs for mesh in meshes]),
            textures[0] if len(textures) == len(meshes) else None,
            _joined([mesh.vertex_colors for mesh in meshes]),
            _joined([mesh.vertex_labels for mesh in meshes]),
            _joined([mesh.face_labels for mesh in meshes]),
        )


def _checked(name: str, array, dtype, shape: tuple[int, ...]) -> np.ndarray | None:
    if array is None:
        return None
    array = np.ascontiguousarray(array, dtype)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return array


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def _at(array: np.ndarray | None, index) -> np.ndarray | None:
    return None if array is None else array[index]


def _joined(arrays: list[np.ndarray | None]) -> np.ndarray | None:
    return None if any(array is None for array in arrays) else np.concatenate(arrays)


def load_mesh(path: str | Path) -> Mesh:
    """The triangle mesh in a .ply, .obj (with its .mtl and texture) or .glb file.

    Vertex order is the file's own for .ply and .obj; .glb vertices split along UV seams are joined again. Raises
    InputError where the file is missing, broken, empty, of another format, or has vertices that are not finite.
    """
    from avatarpipe.mesh.formats import read_mesh  # imports this module, hence here

    mesh = read_mesh(Path(path))
    if not len(mesh.faces):
        raise InputError(f"{path}: no triangles. A surface mesh was expected.")
    if not np.isfinite(mesh.vertices).all():
        bad = int((~np.isfinite(mesh.vertices)).any(axis=1).sum())
        raise InputError(f"{path}: {bad} vertices are NaN or infinite. Repair or export it again.")
    return mesh


def save_mesh(mesh: Mesh, path: str | Path) -> None:
    """Write `mesh` by the ending of `path`; the file appears whole or not at all, textures before what refers to them.

    .ply: everything, float64, texture in {stem}.png. .obj: geometry, UVs, vertex colours or texture ({stem}.mtl,
    {stem}.png), no labels. .glb: everything in one file, float32. Colours are rounded to 8 bits.
    """
    from avatarpipe.mesh.formats import write_mesh

    write_mesh(mesh, Path(path))
