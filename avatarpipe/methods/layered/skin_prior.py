"""What hidden skin looks like where no diffusion model is asked: a stated prior on the body surface.

Colour: where skin was seen its mean colour stands; where it was not, the colour is the smoothest one that fits what
was seen around it and on the other side of the body (the harmonic extension over the surface, with an edge between
each unseen vertex and its mirror image). Shape: hidden skin lies on the fitted body.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from avatarpipe.body.model import Body
from avatarpipe.cameras import Cameras
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import Label, garment_mask
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import render_mesh

MIRROR_WEIGHT = 1.0  # of the edge between an unseen vertex and its mirror image; a surface edge weighs 1
SEEN_WEIGHT = 100.0  # of an observation, for a face seen by many pixels
MIN_COSINE = 0.3  # of the viewing angle, below which a pixel tells little about a face


@dataclass(frozen=True)
class SkinPrior:
    """Per body vertex: hidden (V,) in [0, 1], whether the garment covers it; colors (V, 3) sRGB of the skin."""

    hidden: torch.Tensor
    colors: torch.Tensor


def skin_prior(body: Body, capture: Capture, garment: str, split: str = "train") -> SkinPrior:
    """The prior for what `garment` hides of a captured single frame, from the views of `split`."""
    posed = Mesh(body.vertices(capture.poses[0])[0].cpu().numpy(), body.faces)
    seen = _observe(posed, capture, garment, split)
    graph = _surface_graph(body.faces, len(posed.vertices))
    hidden = _hidden_vertices(seen, graph, body.faces)
    colors = _complete_colors(body, seen, graph)
    to_tensor = {"dtype": torch.float32, "device": body.device}
    return SkinPrior(torch.as_tensor(hidden, **to_tensor), torch.as_tensor(colors, **to_tensor))


@dataclass
class _Observations:
    """Sums over pixels, per body face: any role, garment, skin, and the colours of skin."""

    pixels: np.ndarray
    garment: np.ndarray
    skin: np.ndarray
    color: np.ndarray


def _observe(posed: Mesh, capture: Capture, garment: str, split: str) -> _Observations:
    cameras = capture.cameras(split)
    count = len(posed.faces)
    sums = _Observations(np.zeros(count), np.zeros(count), np.zeros(count), np.zeros((count, 3)))
    normals = posed.normals()
    for index, name in enumerate(cameras.names):
        camera = cameras[index]
        faces = render_mesh(posed, camera).face_ids[0]
        drawn = (faces >= 0) & (capture.labels(name) != Label.BACKGROUND)
        ids, weight = faces[drawn], _facing(normals, camera, faces, drawn)
        labels = capture.labels(name)[drawn]
        on_skin = weight * (labels == Label.SKIN)
        sums.pixels += np.bincount(ids, weight, count)
        sums.garment += np.bincount(ids, weight * garment_mask(labels, garment), count)
        sums.skin += np.bincount(ids, on_skin, count)
        colors = capture.image(name)[drawn]
        sums.color += np.stack([np.bincount(ids, on_skin * colors[:, k], count) for k in range(3)], axis=1)
    return sums


def _facing(normals: np.ndarray, camera: Cameras, faces: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(P,) squared cosine between each drawn pixel's face normal and its ray, 0 below MIN_COSINE."""
    rows, columns = np.nonzero(drawn)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=1)
    rays = pixels @ np.linalg.inv(camera.K[0]).T @ camera.w2c[0, :3, :3]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    cosine = np.abs(np.einsum("pi,pi->p", rays, normals[faces[drawn]]))
    return np.where(cosine > MIN_COSINE, cosine**2, 0.0)


def _surface_graph(faces: np.ndarray, count: int):
    """(V, V) symmetric adjacency of the mesh's edges, each of weight 1."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    ones = np.ones(len(edges))
    half = coo_matrix((ones, (edges[:, 0], edges[:, 1])), (count, count))
    return (half + half.T).tocsr()


def _to_vertices(per_face: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(faces.ravel(), np.repeat(per_face, 3), count)


def _extend(values: np.ndarray, certainty: np.ndarray, graph) -> np.ndarray:
    """(V, D) minimiser of sum c_v (x_v - values_v)^2 + sum over edges (x_i - x_j)^2; certainty c is (V,)."""
    degree = np.asarray(graph.sum(axis=1)).ravel()
    system = diags(degree + certainty) - graph
    return spsolve(system.tocsc(), certainty[:, None] * values)


def _hidden_vertices(seen: _Observations, graph, faces: np.ndarray) -> np.ndarray:
    """(V,) share of the pixels on a vertex that show the garment, smoothly extended to vertices never seen."""
    count = graph.shape[0]
    pixels, garment = (_to_vertices(x, faces, count) for x in (seen.pixels, seen.garment))
    share = garment / np.maximum(pixels, 1e-9)
    certainty = SEEN_WEIGHT * pixels / (pixels + 1.0) + 1e-6
    return np.clip(_extend(share[:, None], certainty, graph).reshape(count), 0.0, 1.0)


def _complete_colors(body: Body, seen: _Observations, graph) -> np.ndarray:
    faces, count = body.faces, graph.shape[0]
    skin = _to_vertices(seen.skin, faces, count)
    color = np.stack([_to_vertices(seen.color[:, k], faces, count) for k in range(3)], axis=1)
    share = skin / np.maximum(_to_vertices(seen.pixels, faces, count), 1e-9)
    mean = color.sum(axis=0) / max(skin.sum(), 1e-9) if skin.sum() else np.full(3, 0.5)
    trusted = np.where(share > 0.5, skin, 0.0)  # not the fringe of a sleeve
    observed = np.where(trusted[:, None] > 0, color / np.maximum(skin, 1e-9)[:, None], mean)
    certainty = SEEN_WEIGHT * trusted / (trusted + 1.0) + 1e-4  # unreachable parts fall back to the mean
    graph = graph + _mirror_edges(body, trusted == 0)
    return np.clip(_extend(observed, certainty, graph), 0.0, 1.0)


def _mirror_edges(body: Body, unseen: np.ndarray):
    """(V, V) edges between each unseen vertex and the vertex nearest to its mirror image in the T-pose."""
    template = body.v_template.cpu().numpy()
    _, mirror = cKDTree(template).query(template * np.array([-1.0, 1.0, 1.0]))
    source = np.flatnonzero(unseen)
    weight = np.full(len(source), MIRROR_WEIGHT)
    half = coo_matrix((weight, (source, mirror[source])), (len(template), len(template)))
    return (half + half.T).tocsr()
