"""Wavefront OBJ with MTL and one texture. Our own reader keeps vertex order and per-corner UVs, which splitters lose."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file
from avatarpipe.images import read_image, require_whole, write_image
from avatarpipe.mesh.mesh import Mesh

_CHECKED = (".png", ".jpg", ".jpeg")  # decoders fill the rest of a truncated one with grey


def read(path: Path) -> Mesh:
    """The mesh at `path`: polygons cut into fans, `v x y z r g b` colours kept, groups and normals ignored."""
    points, uvs, corners, libraries = _parse(path)
    values = _rectangular(points, path)
    faces, uv_ids = corners[..., 0], corners[..., 1]
    textured = bool((uv_ids >= 0).any())
    if textured and (uv_ids < 0).any():
        raise InputError(f"{path}: some face corners have UVs and some have none. Export it again.")
    return Mesh(
        values[:, :3],
        faces,
        np.array(uvs, np.float32)[uv_ids] if textured else None,
        _texture(path, libraries) if textured else None,
        values[:, 3:6].astype(np.float32) if values.shape[1] >= 6 else None,
    )


def _parse(path: Path):
    """Vertex rows, UV rows, (F, 3, 2) vertex and UV ids (-1 for no UV), names of material libraries."""
    points, uvs, corners, libraries = [], [], [], []
    with path.open(encoding="utf-8", errors="strict") as stream:
        for line in stream:
            key, _, rest = line.strip().partition(" ")
            if key == "v":
                points.append([float(x) for x in rest.split()])
            elif key == "vt":
                uvs.append([float(x) for x in rest.split()[:2]])
            elif key == "f":
                polygon = [_corner(word, len(points), len(uvs)) for word in rest.split()]
                if len(polygon) < 3:
                    raise InputError(f"{path}: a face has fewer than three corners: {line!r}.")
                corners += [(polygon[0], b, c) for b, c in pairwise(polygon[1:])]
            elif key == "mtllib":
                libraries.append(rest.strip())
    return points, uvs, np.array(corners, np.int64).reshape(-1, 3, 2), libraries


def _corner(word: str, vertex_count: int, uv_count: int) -> tuple[int, int]:
    """`v`, `v/vt`, `v//vn` or `v/vt/vn`, 1-based or counted back from the latest, as 0-based ids."""
    vertex, _, rest = word.partition("/")
    uv = rest.partition("/")[0]
    return _absolute(vertex, vertex_count), _absolute(uv, uv_count) if uv else -1


def _absolute(word: str, count: int) -> int:
    number = int(word)
    return number - 1 if number > 0 else count + number


def _rectangular(points: list[list[float]], path: Path) -> np.ndarray:
    widths = {len(row) for row in points}
    if not widths:
        raise InputError(f"{path}: no vertices. Is it an OBJ file at all?")
    if min(widths) < 3:
        raise InputError(f"{path}: a vertex has fewer than three coordinates. Export it again.")
    width = 6 if min(widths) >= 6 else 3
    return np.array([row[:width] for row in points])


def _texture(path: Path, libraries: list[str]) -> np.ndarray | None:
    """The first diffuse map that the material libraries name, (H, W, 3) uint8."""
    for library in libraries:
        file = _beside(path, library)
        if not file.is_file():
            raise InputError(
                f"{path}: its material file {file} is missing. Put it beside the mesh."
            )
        for line in file.read_text(errors="replace").splitlines():
            words = line.split()
            if words[:1] == ["map_Kd"] and len(words) > 1:
                texture = _beside(file, words[-1])
                if texture.suffix.lower() in _CHECKED:
                    require_whole(texture)
                image = read_image(texture)
                return np.round(image * 255).astype(np.uint8)
    return None


def _beside(path: Path, name: str) -> Path:
    """The file that `path` names, in its folder or below; a file from elsewhere may not choose what is read here."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{path}: {name!r} leads out of its folder. Put what it names beside it.")
    return path.parent / name


def write(mesh: Mesh, path: Path) -> None:
    """Texture, then {stem}.mtl, then the mesh; labels have no place in the format."""
    lines = []
    if mesh.texture is not None and mesh.uvs is not None:
        _write_material(mesh.texture, path)
        lines += [f"mtllib {path.stem}.mtl", "usemtl material"]
    colored = mesh.vertex_colors is not None
    rows = np.hstack([mesh.vertices, mesh.vertex_colors]) if colored else mesh.vertices
    lines += ["v " + " ".join(f"{x:.9g}" for x in row) for row in rows.tolist()]
    lines += _faces(mesh)
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def _faces(mesh: Mesh) -> list[str]:
    faces = (mesh.faces + 1).tolist()
    if mesh.uvs is None:
        return [f"f {a} {b} {c}" for a, b, c in faces]
    uvs, ids = np.unique(mesh.uvs.reshape(-1, 2), axis=0, return_inverse=True)
    lines = [f"vt {u:.9g} {v:.9g}" for u, v in uvs.tolist()]
    corners = (ids.reshape(-1, 3) + 1).tolist()
    both = zip(faces, corners, strict=True)
    return lines + [f"f {a}/{i} {b}/{j} {c}/{k}" for (a, b, c), (i, j, k) in both]


def _write_material(texture: np.ndarray, path: Path) -> None:
    write_image(path.with_suffix(".png"), texture.astype(np.float32) / 255.0)
    with atomic_file(path.with_suffix(".mtl")) as temporary:
        temporary.write_text(f"newmtl material\nKd 1 1 1\nillum 0\nmap_Kd {path.stem}.png\n")
