"""What hidden skin looks like where no diffusion model is asked: a stated prior on the body surface.

Colour: of what was seen, a mean by the direction that the surface faces (scans carry their light baked in) plus what is
particular to the place. The latter stands where skin was seen; elsewhere it is the smoothest one that fits what was seen
around it and on the other side of the body: the harmonic extension over the surface, with an edge between each unseen
vertex and its mirror image. Trousers or a skirt that come out below the garment are taken to reach up to the waist, with
their own colour continued. Shape: what is hidden lies on the fitted body.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from avatarpipe.body.model import JOINT_NAMES, Body
from avatarpipe.cameras import Cameras
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import Label, garment_labels, garment_mask
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import visibility

MIRROR_WEIGHT = 1.0  # of the edge between an unseen vertex and its mirror image; a surface edge weighs 1
SEEN_WEIGHT = 100.0  # of an observation, for a face seen by many pixels
WAIST = "spine1"  # the joint at whose height trousers end
WAIST_EDGE = 0.03  # metres over which trousers go over into skin
MOSTLY_LOWER = 0.3  # share of lower garment, against skin, from which trousers reach up there
MIN_COSINE = 0.3  # of the viewing angle, below which a pixel tells little about a face


@dataclass(frozen=True)
class SkinPrior:
    """Per body vertex: hidden (V,) in [0, 1], whether the garment covers it; colors (V, 3) sRGB of what is under it."""

    hidden: torch.Tensor
    colors: torch.Tensor


def skin_prior(body: Body, capture: Capture, garment: str, split: str = "train") -> SkinPrior:
    """The prior for what `garment` hides of a captured single frame, from the views of `split`."""
    posed = Mesh(body.vertices(capture.poses[0])[0].cpu().numpy(), body.faces)
    seen = _observe(posed, capture, garment, split)
    graph = _surface_graph(body.faces, len(posed.vertices))
    hidden = _hidden_vertices(seen, graph)
    mirrored = graph + _mirror_edges(body, seen.skin == 0)
    colors = _continued(seen.skin, seen.skin_color, posed.vertex_normals(), mirrored)
    if seen.lower.sum() > 0:
        below = _reaching_the_waist(body, seen, graph)
        trousers = _continued(seen.lower, seen.lower_color, posed.vertex_normals(), graph)
        colors = colors + below[:, None] * (trousers - colors)
    to_tensor = {"dtype": torch.float32, "device": body.device}
    return SkinPrior(torch.as_tensor(hidden, **to_tensor), torch.as_tensor(colors, **to_tensor))


@dataclass
class _Observations:
    """Per body vertex, summed over pixels: of anything, of the garment, of skin and lower garment with their colours."""

    pixels: np.ndarray
    garment: np.ndarray
    skin: np.ndarray
    skin_color: np.ndarray
    lower: np.ndarray
    lower_color: np.ndarray


def _observe(posed: Mesh, capture: Capture, garment: str, split: str) -> _Observations:
    """What the views of `split` show on each vertex; the lower garment only where it is not what is taken off."""
    cameras, count = capture.cameras(split), len(posed.faces)
    normals, taken = posed.normals(), garment_labels(garment)
    under = {"skin": Label.SKIN, "lower": Label.LOWER}
    sums = {name: np.zeros((count, 4)) for name in under} | {"pixels": np.zeros((count, 2))}
    visible_faces = visibility(posed, "embree")
    for index, name in enumerate(cameras.names):
        w2c, K = cameras.w2c[index], cameras.K[index]
        faces = visible_faces(w2c, K, cameras.width, cameras.height)
        labels, image = capture.labels(name), capture.image(name)
        drawn = (faces >= 0) & (labels != Label.BACKGROUND)
        ids, weight = faces[drawn], _facing(normals, cameras[index], faces, drawn)
        on_garment = garment_mask(labels[drawn], garment)
        sums["pixels"] += _per_face(ids, weight, np.stack([np.ones(len(ids)), on_garment], 1), count)
        for part, label in under.items():
            values = np.concatenate([np.ones((len(ids), 1)), image[drawn]], axis=1)
            shown = weight * (labels[drawn] == label) * (label not in taken)
            sums[part] += _per_face(ids, shown, values, count)
    at = {name: _to_vertices(values, posed.faces, len(posed.vertices)) for name, values in sums.items()}
    pixels, on_garment = at["pixels"].T
    parts = {}
    for part in under:
        trusted = at[part] * (at[part][:, :1] > 0.5 * pixels[:, None])  # not the fringe of a sleeve
        parts |= {part: trusted[:, 0], f"{part}_color": trusted[:, 1:]}
    return _Observations(pixels, on_garment, **parts)


def _per_face(ids: np.ndarray, weight: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """(F, D) sums of weight (P,) times values (P, D) over the pixels of each face."""
    return np.stack([np.bincount(ids, weight * column, count) for column in values.T], axis=1)


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
    """(V, D) sums over the faces around each vertex."""
    columns = [np.bincount(faces.ravel(), np.repeat(column, 3), count) for column in per_face.T]
    return np.stack(columns, axis=1)


def _extend(values: np.ndarray, certainty: np.ndarray, graph) -> np.ndarray:
    """(V, D) minimiser of sum c_v (x_v - values_v)^2 + sum over edges (x_i - x_j)^2; certainty c is (V,)."""
    degree = np.asarray(graph.sum(axis=1)).ravel()
    system = diags(degree + certainty) - graph
    return spsolve(system.tocsc(), certainty[:, None] * values)


def _hidden_vertices(seen: _Observations, graph) -> np.ndarray:
    """(V,) share of the pixels on a vertex that show the garment, smoothly extended to vertices never seen."""
    share = seen.garment / np.maximum(seen.pixels, 1e-9)
    certainty = SEEN_WEIGHT * seen.pixels / (seen.pixels + 1.0) + 1e-6
    return np.clip(_extend(share[:, None], certainty, graph).reshape(-1), 0.0, 1.0)


def _continued(weight: np.ndarray, color: np.ndarray, normals: np.ndarray, graph) -> np.ndarray:
    """(V, 3) colours: seen ones, and their continuation by facing direction and smoothness.

    weight: (V,) how much of the part was seen at a vertex; color: (V, 3) its colours times that weight.
    """
    if not weight.any():
        return np.full((len(weight), 3), 0.5)
    observed = color / np.maximum(weight, 1e-9)[:, None]
    shading = np.concatenate([np.ones((len(normals), 1)), normals], axis=1)  # constant and linear: first-order light
    gram = (shading * weight[:, None]).T @ shading + 1e-2 * weight.sum() * np.diag([0.0, 1.0, 1.0, 1.0])
    lit = shading @ np.linalg.solve(gram, (shading * weight[:, None]).T @ observed)
    certainty = SEEN_WEIGHT * weight / (weight + 1.0) + 1e-4  # far from all that was seen: the mean by direction
    particular = np.where(weight[:, None] > 0, observed - lit, 0.0)
    return np.clip(lit + _extend(particular, certainty, graph), 0.0, 1.0)


def _reaching_the_waist(body: Body, seen: _Observations, graph) -> np.ndarray:
    """(V,) in [0, 1]: below the waist, and not far from where a lower garment was seen; a soft edge, lest the triangles
    that lie across show as teeth.
    """
    share = seen.lower / np.maximum(seen.lower + seen.skin, 1e-9)
    known = seen.lower + seen.skin
    extended = _extend(share[:, None], SEEN_WEIGHT * known / (known + 1.0) + 1e-6, graph).reshape(-1)
    waist = body.rest_joints()[JOINT_NAMES.index(WAIST), 1]
    below = (waist - body.v_template[:, 1].cpu().numpy()) / WAIST_EDGE + 0.5
    return (extended > MOSTLY_LOWER) * np.clip(below, 0.0, 1.0)


def _mirror_edges(body: Body, unseen: np.ndarray):
    """(V, V) edges between each unseen vertex and the vertex nearest to its mirror image in the T-pose."""
    template = body.v_template.cpu().numpy()
    _, mirror = cKDTree(template).query(template * np.array([-1.0, 1.0, 1.0]))
    source = np.flatnonzero(unseen)
    weight = np.full(len(source), MIRROR_WEIGHT)
    half = coo_matrix((weight, (source, mirror[source])), (len(template), len(template)))
    return (half + half.T).tocsr()
