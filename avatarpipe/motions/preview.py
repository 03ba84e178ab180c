"""A motion as a person sees it at a glance: the posed body on a checkered floor, a strip of frames, front and side."""

import numpy as np
from PIL import Image, ImageDraw

from avatarpipe.body.model import Body
from avatarpipe.cameras import Cameras, orbit
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import render_mesh
from avatarpipe.motions.motion import Motion

VIEWS = {"front": 0.0, "from its left": 90.0}
_PAPER, _SKIN = (0.97, 0.97, 0.96), np.array([0.66, 0.76, 0.90])
_TILES = np.array([[0.86, 0.86, 0.84], [0.76, 0.76, 0.74]])
_FOV, _ELEVATION = 25.0, 12.0
_KEY = np.array([0.35, 0.75, 0.56])


def strip(motion: Motion, body: Body, columns: int = 8, height: int = 320) -> np.ndarray:
    """(2 height, W, 3) uint8: `columns` frames evenly over the motion, a row for each of VIEWS.

    The floor is the plane y = 0 in half-metre squares: a wrong axis lies or hangs there, a wrong unit is too big or small.
    """
    chosen = np.unique(np.linspace(0, len(motion) - 1, columns).round().astype(int))
    bodies = body.vertices(motion.poses[chosen.tolist()]).double().cpu().numpy()
    rows = [
        [_image(vertices, body.faces, camera, f"{k / motion.fps:.2f} s")
         for k, vertices, camera in zip(chosen, bodies, _following(bodies, azimuth, height), strict=True)]
        for azimuth in VIEWS.values()
    ]  # fmt: skip
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def clip(motion: Motion, body: Body, frames: int = 48, height: int = 320) -> list[np.ndarray]:
    """(height, W, 3) uint8 images of at most `frames` evenly picked frames, both views side by side."""
    step = max(1, -(-len(motion) // frames))
    chosen = list(range(0, len(motion), step))
    bodies = body.vertices(motion.poses[chosen]).double().cpu().numpy()
    views = [_following(bodies, azimuth, height) for azimuth in VIEWS.values()]
    return [
        np.concatenate(
            [
                _image(bodies[k], body.faces, view[k], f"{chosen[k] / motion.fps:.2f} s")
                for view in views
            ],
            axis=1,
        )
        for k in range(len(chosen))
    ]


def _following(bodies: np.ndarray, azimuth: float, height: int) -> list[Cameras]:
    """A camera a body, at one distance, that follows it over the floor but not up or down."""
    low, high = bodies.min(axis=1), bodies.max(axis=1)
    middle = 0.5 * (low + high)
    middle[:, 1] = 0.5 * (low[:, 1].min() + high[:, 1].max())
    tall, wide = high[:, 1].max() - low[:, 1].min(), (high - low)[:, [0, 2]].max()
    width = round(height * np.clip(1.15 * wide / tall, 0.5, 1.2))
    size = max(tall, wide * height / width, 0.1)
    distance = 0.57 * size / np.tan(np.radians(_FOV / 2)) + 0.2 * size
    return [
        orbit([_ELEVATION], [azimuth], distance, _FOV, width, height, target=at) for at in middle
    ]


def _image(vertices: np.ndarray, faces: np.ndarray, camera: Cameras, caption: str) -> np.ndarray:
    shown = Mesh.concatenate([_lit(vertices, faces), _floor(vertices)])
    rgb = render_mesh(shown, camera, supersample=2, background=_PAPER).rgb[0]
    image = Image.fromarray((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
    ImageDraw.Draw(image).text((6, 4), caption, (70, 70, 70))
    return np.asarray(image)


def _lit(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    mesh = Mesh(vertices, faces)
    normals = mesh.vertex_normals()
    shade = 0.42 + 0.52 * np.clip(normals @ _KEY, 0, 1) + 0.15 * (0.5 + 0.5 * normals[:, 1])
    mesh.vertex_colors = (shade[:, None] * _SKIN).astype(np.float32)
    return mesh


def _floor(vertices: np.ndarray, half: int = 4, edge: float = 0.5) -> Mesh:
    """A checkerboard at y = 0 under the body, its lines at multiples of `edge` metres of the world."""
    origin = np.round(vertices.mean(axis=0)[[0, 2]] / edge)
    at = (
        np.stack(np.meshgrid(*[np.arange(-half, half)] * 2, indexing="ij"), -1).reshape(-1, 2)
        + origin
    )
    corners = at[:, None] + np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    points = np.insert(corners.reshape(-1, 2) * edge, 1, 0.0, axis=1)
    first = 4 * np.arange(len(at))[:, None]
    faces = np.concatenate([np.add(first, [0, 1, 2]), np.add(first, [0, 2, 3])])
    colors = np.repeat(_TILES[at.sum(axis=1).astype(int) % 2], 4, axis=0)
    return Mesh(points, faces, vertex_colors=colors.astype(np.float32))
