"""From a level set to a sewn garment: surface, smooth rest coordinates, folds, clearance, hems, thickness."""

from dataclasses import dataclass

import igl
import numpy as np
from scipy.spatial import cKDTree

from avatarpipe.mesh.closest import closest_points
from avatarpipe.synthetic.fields import Grid
from avatarpipe.synthetic.figure import Figure
from avatarpipe.synthetic.sheets import clip, largest_pieces, smoothing, thicken

CLEARANCE = 0.004  # metres that the outside of cloth keeps from what is beneath


@dataclass
class Scene:
    """The figure with its dense sampling and the grid on which garments are made."""

    figure: Figure
    grid: Grid
    samples: np.ndarray  # (S, 3) posed
    sample_rest: np.ndarray  # (S, 3)
    sample_normals: np.ndarray
    shares: dict[str, np.ndarray]  # (S,) arm, leg, hand, foot, head
    tree: cKDTree

    @staticmethod
    def of(figure: Figure, spacing: float) -> "Scene":
        """Refine the figure once more for its samples."""
        shares = np.column_stack([figure.arm, figure.leg, figure.hand, figure.foot, figure.head])
        fine, faces = igl.loop(
            np.column_stack([figure.vertices, figure.rest, shares]), figure.faces, 1
        )
        samples = np.ascontiguousarray(fine[:, :3])
        names = ("arm", "leg", "hand", "foot", "head")
        return Scene(
            figure, Grid.around(figure.vertices, spacing), samples, fine[:, 3:6],
            igl.per_vertex_normals(samples, faces), dict(zip(names, fine[:, 6:].T, strict=True)),
            cKDTree(samples),
        )  # fmt: skip


def extract(scene: Scene, field: np.ndarray, mask: np.ndarray, steps: int = 12):
    """The zero level set of `field` with rest coordinates of the nearest samples in `mask`, smoothed.

    Returns vertices (V, 3), faces, rest (V, 3), arm share (V,).
    """
    vertices, faces = scene.grid.surface(field)
    faces, vertices = largest_pieces(faces, vertices)
    ids = np.flatnonzero(mask)
    _, nearest = cKDTree(scene.samples[ids]).query(vertices)
    carried = np.column_stack([scene.sample_rest, scene.shares["arm"]])[ids[nearest]]
    smooth = smoothing(faces, len(vertices))
    for _ in range(steps):
        carried = smooth @ carried
    for _ in range(2):
        vertices = smooth @ vertices
    return vertices, faces, carried[:, :3], carried[:, 3]


def displaced(vertices: np.ndarray, faces: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Vertices moved along their normals by (V,) metres."""
    return vertices + igl.per_vertex_normals(vertices, faces) * amount[:, None]


def cleared(
    vertices: np.ndarray, below: tuple[np.ndarray, np.ndarray], clearance: float = CLEARANCE
):
    """Vertices pushed out of the surface `below` (vertices, faces) to at least `clearance` above it."""
    points, face_ids, weights, distances = closest_points(vertices, *below)
    normals = igl.per_vertex_normals(*below)
    normal = np.einsum("nk,nkc->nc", weights, normals[below[1][face_ids]])
    height = np.where(np.einsum("nk,nk->n", vertices - points, normal) < 0, -distances, distances)
    facing = (
        np.abs(np.einsum("nk,nk->n", vertices - points, normal)) > 0.7 * distances
    )  # not beyond a rim
    low = (height < clearance) & (distances < 0.06) & (facing | (distances < clearance))
    vertices = vertices.copy()
    vertices[low] = points[low] + normal[low] * clearance
    return vertices


def sewn(vertices, faces, carried: np.ndarray, keep: np.ndarray, thickness: float):
    """Cut the sheet along `keep` = 0 and give it thickness.

    carried: (V, C). Returns vertices, faces, carried of both sides with a last column that is 1 on the inner side.
    """
    faces, columns = clip(faces, np.column_stack([vertices, carried, keep]), keep)
    faces, columns = largest_pieces(faces, columns)
    vertices, faces = thicken(columns[:, :3], faces, thickness)
    inside = np.repeat([0.0, 1.0], len(columns))
    return vertices, faces, np.column_stack([np.tile(columns[:, 3:], (2, 1)), inside])


def soft_steps(smooth, values: np.ndarray, steps: int) -> np.ndarray:
    """`values` averaged over neighbours `steps` times."""
    for _ in range(steps):
        values = smooth @ values
    return values
