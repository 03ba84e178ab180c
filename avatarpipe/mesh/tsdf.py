"""Depth maps to one closed, coloured surface: truncated signed distances fused on a grid, then marching cubes.

After Curless and Levoy 1996, "A Volumetric Method for Building Complex Models from Range Images": near a measured
surface the signed distances of all views are averaged; a voxel that views see through is empty; a voxel that views look
at but none sees is inside. The last makes the surface close where no view looks. Alpha says what is background, so
the empty space around the subject is carved by its true outline.
"""

import numpy as np
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from avatarpipe.cameras import Cameras
from avatarpipe.errors import InputError
from avatarpipe.mesh import tsdf_kernels as kernels
from avatarpipe.mesh.mesh import Mesh


def fuse_depth(
    depths: np.ndarray,
    rgbs: np.ndarray,
    alphas: np.ndarray,
    cameras: Cameras,
    voxel: float,
    truncation: float,
    bounds: np.ndarray | None = None,
    close: bool = True,
) -> Mesh:
    """The surface that C depth maps agree on, with vertex_colors.

    depths: (C, H, W) metres along z. rgbs: (C, H, W, 3). alphas: (C, H, W); a depth counts with its alpha as weight, and
    below 0.5 the pixel is background. A last axis of one is accepted. voxel: grid spacing, metres. truncation: distances
    beyond it say only empty or hidden; three to five voxels. bounds: (2, 3) lowest and highest corner, by default around
    the measured points. close: make hidden space solid and so the surface watertight; with a few cameras on one side
    use False, which leaves it open there. Takes 4 bytes a voxel of the bounds besides the images, and twice that while
    the triangles are made. Raises InputError if no pixel has a depth, or no surface lies in the bounds.
    """
    images = (len(cameras), cameras.height, cameras.width)
    depths, alphas = (np.ascontiguousarray(x, np.float32).reshape(images) for x in (depths, alphas))
    rgbs = np.ascontiguousarray(rgbs, np.float32).reshape(*images, 3)
    depths = np.where((alphas >= 0.5) & np.isfinite(depths), depths, 0.0)
    if bounds is None:
        bounds = _bounds(depths, cameras, truncation + 2 * voxel)
    origin, shape = _grid(np.asarray(bounds, np.float64), voxel)
    values = _distances(depths, alphas, cameras, origin, shape, voxel, truncation, close)
    vertices, faces = _surface(values, origin, voxel)
    colors = _vertex_colors(vertices, faces, depths, rgbs, alphas, cameras, 2 * voxel)
    return Mesh(vertices, faces, vertex_colors=colors)


def _bounds(depths: np.ndarray, cameras: Cameras, margin: float) -> np.ndarray:
    low, high = kernels.depth_bounds(depths, _pixel_to_world(cameras))
    if not np.isfinite(low).all():
        raise InputError(
            "depth fusion: no pixel has a positive depth where alpha is at least 0.5. "
            "Check that the cameras see the subject and that its opacities are not all low."
        )
    return np.stack([low - margin, high + margin])


def _grid(bounds: np.ndarray, voxel: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    shape = np.ceil((bounds[1] - bounds[0]) / voxel).astype(int) + 1
    if shape.min() < 2:
        raise InputError(f"depth fusion: bounds {bounds.tolist()} hold no voxel of {voxel} m.")
    return bounds[0].copy(), tuple(int(n) for n in shape)


def _pixel_to_world(cameras: Cameras) -> np.ndarray:
    """(C, 3, 4): world point = M[:, :3] @ (x, y, 1) * z + M[:, 3]."""
    rotations = cameras.w2c[:, :3, :3].transpose(0, 2, 1)
    return np.concatenate([rotations @ np.linalg.inv(cameras.K), cameras.centres[:, :, None]], 2)


def _world_to_pixel(cameras: Cameras) -> np.ndarray:
    """(C, 3, 4) projections K [R | t]: homogeneous pixels, whose last coordinate is depth."""
    return cameras.K @ cameras.w2c[:, :3]


def _distances(depths, alphas, cameras, origin, shape, voxel, truncation, close) -> np.ndarray:
    """(X, Y, Z) float32 signed distances in units of the truncation; NaN where hidden and not to be closed."""
    blocks = tuple(-(-n // kernels.BLOCK) for n in shape)
    near = np.zeros(blocks, np.bool_)
    reach = 1.5 * truncation + voxel  # distances are along z: a slanted ray is longer
    kernels.mark_blocks(near, depths, _pixel_to_world(cameras), origin, voxel, reach)
    values = np.empty(shape, np.float32)
    projections = _world_to_pixel(cameras)
    hidden = np.float32(-1.0 if close else np.nan)
    kernels.fuse(values, near, depths, alphas, projections, origin, voxel, truncation, hidden)
    return values


def _surface(values: np.ndarray, origin: np.ndarray, voxel: float):
    """Zero level of the grid; the border counts as empty, so that what the bounds cut is capped."""
    if not (np.nanmin(values) < 0 < np.nanmax(values)):
        raise InputError("depth fusion: no surface inside the bounds. Check the bounds and voxel.")
    values = np.pad(values, 1, constant_values=1.0)
    unknown = np.isnan(values)
    values[unknown] = -1.0
    vertices, faces, _, _ = marching_cubes(
        values, 0.0, gradient_direction="descent", allow_degenerate=False
    )
    if unknown.any():
        vertices, faces = _without_unknown(vertices, faces, unknown)
    return vertices.astype(np.float64) * voxel + (origin - voxel), faces.astype(np.int64)


def _without_unknown(vertices: np.ndarray, faces: np.ndarray, unknown: np.ndarray):
    """Drop what lies between a known and an unknown voxel: a vertex sits on the grid edge between two voxels."""
    low, high = np.floor(vertices).astype(int), np.ceil(vertices).astype(int)
    made_up = unknown[tuple(low.T)] | unknown[tuple(high.T)]
    kept, renumbered = np.unique(faces[~made_up[faces].any(axis=1)], return_inverse=True)
    return vertices[kept], renumbered.reshape(-1, 3)


def _vertex_colors(vertices, faces, depths, rgbs, alphas, cameras, tolerance) -> np.ndarray:
    """(V, 3) mean colour of the views that see a vertex at its own depth, the more face-on the more weight.

    A vertex that no view sees takes the colour of the nearest seen one.
    """
    normals = Mesh(vertices, faces).vertex_normals()
    args = (depths, rgbs, alphas, _world_to_pixel(cameras), cameras.centres, tolerance)
    colors, weights = kernels.gather_colors(vertices, normals, *args)
    seen = weights > 0
    if not seen.any():
        return np.full((len(vertices), 3), 0.5, np.float32)
    colors[seen] /= weights[seen, None]
    if not seen.all():
        nearest = cKDTree(vertices[seen]).query(vertices[~seen])[1]
        colors[~seen] = colors[seen][nearest]
    return np.clip(colors, 0.0, 1.0).astype(np.float32)
