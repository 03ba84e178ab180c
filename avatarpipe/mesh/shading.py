"""From the face a pixel sees to depth, colour, normal and label: exact barycentrics in float64, on all cores."""

from dataclasses import dataclass

import numba
import numpy as np

from avatarpipe.mesh.mesh import Mesh

_GREY = 0.8  # colour of a mesh that has neither texture nor vertex colours
_NO_COLOR, _VERTEX_COLOR, _TEXTURE = range(3)


@dataclass
class Surface:
    """A mesh's attributes as plain arrays for the kernels; absent ones are empty."""

    faces: np.ndarray  # (F, 3) int64
    uvs: np.ndarray  # (F, 3, 2) float32
    texture: np.ndarray  # (H, W, 3) uint8
    colors: np.ndarray  # (V, 3) float32
    normals: np.ndarray  # (V, 3) float64
    vertex_labels: np.ndarray  # (V,) uint8
    face_labels: np.ndarray  # (F,) uint8
    color_source: int

    @classmethod
    def of(cls, mesh: Mesh) -> "Surface":
        """A texture wins over vertex colours; face labels win over vertex labels."""
        textured = mesh.texture is not None and mesh.uvs is not None
        colored = mesh.vertex_colors is not None
        return cls(
            mesh.faces,
            mesh.uvs if textured else np.empty((0, 3, 2), np.float32),
            mesh.texture if textured else np.empty((0, 0, 3), np.uint8),
            mesh.vertex_colors if colored else np.empty((0, 3), np.float32),
            mesh.vertex_normals(),
            _or_empty(mesh.vertex_labels),
            _or_empty(mesh.face_labels),
            _TEXTURE if textured else _VERTEX_COLOR if colored else _NO_COLOR,
        )


def _or_empty(labels: np.ndarray | None) -> np.ndarray:
    return np.empty(0, np.uint8) if labels is None else labels


def hits(face_ids: np.ndarray, surface: Surface, vertices: np.ndarray, K: np.ndarray):
    """Where pixel-centre rays meet the given faces.

    face_ids: (H, W) int32, -1 for none. vertices: (V, 3) in camera coordinates. Returns barycentric (H, W, 3) float32 and
    depth (H, W) float32 along the camera's z, both 0 where there is no face.
    """
    return _hits(face_ids, surface.faces, vertices, np.linalg.inv(K))


@numba.njit(parallel=True, cache=True)
def _hits(face_ids, faces, vertices, pixel_to_ray):
    height, width = face_ids.shape
    barycentric = np.zeros((height, width, 3), np.float32)
    depth = np.zeros((height, width), np.float32)
    m = pixel_to_ray
    for row in numba.prange(height):
        for column in range(width):
            face = face_ids[row, column]
            if face >= 0:
                x = m[0, 0] * (column + 0.5) + m[0, 1] * (row + 0.5) + m[0, 2]
                y = m[1, 1] * (row + 0.5) + m[1, 2]
                i, j, k = faces[face]
                u, v, w, z = _intersect(x, y, vertices[i], vertices[j], vertices[k])
                barycentric[row, column, 0] = u
                barycentric[row, column, 1] = v
                barycentric[row, column, 2] = w
                depth[row, column] = z
    return barycentric, depth


@numba.njit(inline="always")
def _volume(ax, ay, az, bx, by, bz, cx, cy, cz):
    """a . (b x c)"""
    return ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)


@numba.njit(cache=True)
def _intersect(x, y, a, b, c):
    """Barycentric weights and z of the ray (x, y, 1) from the origin with the triangle a, b, c.

    The weight of a corner is the ray's volume with the two others; weights are clipped to the triangle, since a
    rasteriser may give a pixel whose centre lies a hair outside. Edge-on faces get their first corner.
    """
    u = _volume(x, y, 1.0, b[0], b[1], b[2], c[0], c[1], c[2])
    v = _volume(x, y, 1.0, c[0], c[1], c[2], a[0], a[1], a[2])
    w = _volume(x, y, 1.0, a[0], a[1], a[2], b[0], b[1], b[2])
    total = u + v + w
    low, high = min(a[2], b[2], c[2]), max(a[2], b[2], c[2])
    if abs(total) < 1e-18:
        return 1.0, 0.0, 0.0, low
    z = _volume(a[0], a[1], a[2], b[0], b[1], b[2], c[0], c[1], c[2]) / total
    u, v, w = max(u / total, 0.0), max(v / total, 0.0), max(w / total, 0.0)
    return u / (u + v + w), v / (u + v + w), w / (u + v + w), min(max(z, low), high)


def colors(face_ids: np.ndarray, barycentric: np.ndarray, surface: Surface) -> np.ndarray:
    """(H, W, 3) float32 colours: bilinear texture lookup, interpolated vertex colours, or grey; 0 where no face."""
    s = surface
    return _colors(face_ids, barycentric, s.faces, s.uvs, s.texture, s.colors, s.color_source)


@numba.njit(parallel=True, cache=True)
def _colors(face_ids, barycentric, faces, uvs, texture, vertex_colors, color_source):
    height, width = face_ids.shape
    rgb = np.zeros((height, width, 3), np.float32)
    for row in numba.prange(height):
        for column in range(width):
            face, w = face_ids[row, column], barycentric[row, column]
            if face < 0:
                continue
            if color_source == _TEXTURE:
                u = w[0] * uvs[face, 0, 0] + w[1] * uvs[face, 1, 0] + w[2] * uvs[face, 2, 0]
                v = w[0] * uvs[face, 0, 1] + w[1] * uvs[face, 1, 1] + w[2] * uvs[face, 2, 1]
                _lookup(texture, u, v, rgb[row, column])
            elif color_source == _VERTEX_COLOR:
                for corner in range(3):
                    for k in range(3):
                        rgb[row, column, k] += w[corner] * vertex_colors[faces[face, corner], k]
            else:
                rgb[row, column] = _GREY
    return rgb


@numba.njit(cache=True)
def _lookup(texture, u, v, out):
    """Bilinear: texel centres at +0.5, v up; coordinates outside [0, 1] repeat, the image's own border is clamped."""
    height, width = texture.shape[0], texture.shape[1]
    u = u if 0.0 <= u <= 1.0 else u - np.floor(u)
    v = v if 0.0 <= v <= 1.0 else v - np.floor(v)
    x = min(max(u * width - 0.5, 0.0), width - 1.0)
    y = min(max((1.0 - v) * height - 0.5, 0.0), height - 1.0)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    fx, fy = x - left, y - top
    for k in range(3):
        upper = texture[top, left, k] * (1.0 - fx) + texture[top, right, k] * fx
        lower = texture[bottom, left, k] * (1.0 - fx) + texture[bottom, right, k] * fx
        out[k] = (upper * (1.0 - fy) + lower * fy) / 255.0


def normals_and_labels(face_ids: np.ndarray, barycentric: np.ndarray, surface: Surface):
    """(H, W, 3) float32 unit world normals, smooth over vertices, and (H, W) uint8 labels of the face or nearest corner."""
    s = surface
    args = (face_ids, barycentric, s.faces, s.normals, s.vertex_labels, s.face_labels)
    return _normals_and_labels(*args)


@numba.njit(parallel=True, cache=True)
def _normals_and_labels(face_ids, barycentric, faces, vertex_normals, vertex_labels, face_labels):
    height, width = face_ids.shape
    normals = np.zeros((height, width, 3), np.float32)
    labels = np.zeros((height, width), np.uint8)
    for row in numba.prange(height):
        for column in range(width):
            face, w = face_ids[row, column], barycentric[row, column]
            if face < 0:
                continue
            i, j, k = faces[face]
            x = (
                w[0] * vertex_normals[i, 0]
                + w[1] * vertex_normals[j, 0]
                + w[2] * vertex_normals[k, 0]
            )
            y = (
                w[0] * vertex_normals[i, 1]
                + w[1] * vertex_normals[j, 1]
                + w[2] * vertex_normals[k, 1]
            )
            z = (
                w[0] * vertex_normals[i, 2]
                + w[1] * vertex_normals[j, 2]
                + w[2] * vertex_normals[k, 2]
            )
            length = max(np.sqrt(x * x + y * y + z * z), 1e-12)
            normals[row, column, 0] = x / length
            normals[row, column, 1] = y / length
            normals[row, column, 2] = z / length
            if face_labels.size:
                labels[row, column] = face_labels[face]
            elif vertex_labels.size:
                labels[row, column] = vertex_labels[faces[face, np.argmax(w)]]
    return normals, labels
