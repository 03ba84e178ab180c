"""Labels from pictures onto the surface: every view that sees a face votes whether it carries the label."""

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags

from avatarpipe.cameras import Cameras
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import visibility


def vote_faces(
    mesh: Mesh,
    cameras: Cameras,
    masks: np.ndarray,
    supersample: int | None = None,
    backend: str = "embree",
    smoothing: int = 0,
) -> np.ndarray:
    """(F,) float32 share in [0, 1] of the views seeing a face in which it carries the label.

    masks: (C, H, W) in [0, 1] or bool, of the cameras' image size. A view votes for a face if the mask's mean over the
    face's pixels is at least one half. supersample: rays a pixel and axis, so that faces smaller than a pixel are seen; by
    default as many as make a pixel no larger than a mean edge.
    A face that no view sees takes the mean of its neighbours, from the seen ones outward; 0 where it has none.
    smoothing: rounds of averaging over edge neighbours, which removes speckle.
    """
    expected = (len(cameras), cameras.height, cameras.width)
    if masks.shape != expected:
        raise ValueError(f"masks: expected {expected}, got {masks.shape}")
    if not len(mesh.faces):
        raise InputError(
            "vote: the surface has no face. Check that the avatar's opacities are not all low, and the voxel size."
        )
    supersample = supersample or _rays_an_edge(mesh, cameras)
    visible, labelled = count_views(mesh, cameras, masks, supersample, backend)
    scores = np.where(visible > 0, labelled / np.maximum(visible, 1), np.nan)
    neighbours = face_adjacency(mesh)
    scores = _fill_unseen(scores, neighbours)
    for _ in range(smoothing):
        scores = _neighbour_mean(scores, neighbours, own=1.0)
    return scores.astype(np.float32)


def count_views(mesh: Mesh, cameras: Cameras, masks: np.ndarray, supersample: int, backend: str):
    """(F,) int64 each: in how many views a face is seen, and in how many of these the mask covers it."""
    visible_faces = visibility(mesh, backend)
    fine = cameras.resized(cameras.width * supersample, cameras.height * supersample)
    count = len(mesh.faces)
    visible, labelled = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for w2c, K, mask in zip(fine.w2c, fine.K, masks, strict=True):
        face_ids = visible_faces(w2c, K, fine.width, fine.height)
        hit = face_ids >= 0
        mask = np.kron(np.asarray(mask, np.float32), np.ones((supersample,) * 2, np.float32))
        pixels = np.bincount(face_ids[hit], minlength=count)
        covered = np.bincount(face_ids[hit], mask[hit], minlength=count)
        visible += pixels > 0
        labelled += (pixels > 0) & (covered >= 0.5 * pixels)
    return visible, labelled


def _rays_an_edge(mesh: Mesh, cameras: Cameras) -> int:
    """Rays a pixel and axis, 1 to 4, that lie no farther apart on the mesh than its mean edge is long."""
    corners = mesh.vertices[mesh.faces]
    edge = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).mean()
    away = np.linalg.norm(cameras.centres - mesh.vertices.mean(axis=0), axis=1).mean()
    return int(np.clip(np.ceil(away / cameras.K[:, 0, 0].mean() / edge), 1, 4))


def face_adjacency(mesh: Mesh) -> csr_matrix:
    """(F, F) ones between faces that share an edge."""
    count = len(mesh.faces)
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, edge_ids = np.unique(edges @ [len(mesh.vertices), 1], return_inverse=True)
    owner = np.repeat(np.arange(count), 3)
    incidence = coo_matrix((np.ones(len(owner), np.float32), (owner, edge_ids))).tocsr()
    shared = (incidence @ incidence.T).tocsr()
    shared = shared - diags(shared.diagonal())
    shared.eliminate_zeros()
    shared.data[:] = 1.0
    return shared.tocsr()


def _neighbour_mean(scores: np.ndarray, neighbours: csr_matrix, own: float) -> np.ndarray:
    """Mean over a face's known neighbours and, with weight `own`, itself; NaN where none of them is known."""
    known = np.isfinite(scores)
    values = np.where(known, scores, 0.0)
    total = neighbours @ values + own * values
    weight = neighbours @ known.astype(np.float64) + own * known
    return np.divide(total, weight, out=np.full(len(scores), np.nan), where=weight > 0)


def _fill_unseen(scores: np.ndarray, neighbours: csr_matrix) -> np.ndarray:
    unseen = np.isnan(scores)
    while unseen.any():
        scores = np.where(unseen, _neighbour_mean(scores, neighbours, own=0.0), scores)
        still = np.isnan(scores)
        if still.sum() == unseen.sum():
            break
        unseen = still
    return np.nan_to_num(scores, nan=0.0)
