"""Which of the base mesh's surfaces make the free body, as triangles with UVs.

Kept: the skin (one closed surface with eye sockets and a mouth cavity) and both eyeballs. Left out: helper
geometry, tongue, teeth and lashes (they lie inside or float, and a fitted or textured body is better off
without them), and the nipples, which are flattened by a ring of quads as Anny does.
"""

from dataclasses import dataclass

import numpy as np

from avatarpipe.body.free.assets import BaseMesh

_NIPPLES = (*range(1778, 1794), *range(8450, 8466))
_NIPPLE_RIMS = (tuple(range(8434, 8450)), tuple(range(1762, 1778)))
_EYE_UV_CENTRE = np.array([0.786, 0.945])
_EYE_UV_SCALE = 3.5


@dataclass(frozen=True)
class Topology:
    """kept: (V,) base vertices; triangles (F, 3) into kept; uvs (T, 2); uv_triangles (F, 3) into uvs."""

    kept: np.ndarray
    triangles: np.ndarray
    uvs: np.ndarray
    uv_triangles: np.ndarray
    eyes: np.ndarray  # (V,) bool, vertices of the eyeballs


def body_topology(mesh: BaseMesh) -> Topology:
    eye_groups = ("helper-l-eye", "helper-r-eye")
    skin, skin_uv = _without_nipples(mesh.quads["body"], mesh.uv_quads["body"])
    quads = np.concatenate([skin, *(mesh.quads[g] for g in eye_groups)])
    uv_quads = np.concatenate([skin_uv, *(mesh.uv_quads[g] for g in eye_groups)])
    kept, triangles = _compact(_split(quads, mesh.vertices[quads]))
    used_uvs, uv_triangles = _compact(_split(uv_quads, mesh.vertices[quads]))
    uvs = mesh.uvs[used_uvs]
    eyes = np.isin(kept, np.concatenate([mesh.quads[g].ravel() for g in eye_groups]))
    eye_uvs = np.unique(uv_triangles[eyes[triangles].all(1)])
    uvs[eye_uvs] = (uvs[eye_uvs] - _EYE_UV_CENTRE) * _EYE_UV_SCALE + _EYE_UV_CENTRE
    return Topology(kept, triangles, uvs, uv_triangles, eyes)


def _without_nipples(quads: np.ndarray, uv_quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replace each nipple by seven quads across its rim of 16 vertices."""
    uv_of = dict(zip(quads.ravel(), uv_quads.ravel(), strict=True))
    keep = ~np.isin(quads, _NIPPLES).any(1)
    directed = {
        (a, b) for quad in quads[keep] for a, b in zip(quad, np.roll(quad, -1), strict=True)
    }
    caps = []
    for rim in _NIPPLE_RIMS:
        cap = np.array([[rim[-1 - k], rim[k], rim[k + 1], rim[-2 - k]] for k in range(7)])
        caps.append(cap[:, ::-1] if (rim[0], rim[1]) in directed else cap)
    caps = np.concatenate(caps)
    cap_uvs = np.array([[uv_of[v] for v in cap] for cap in caps])
    return np.concatenate([quads[keep], caps]), np.concatenate([uv_quads[keep], cap_uvs])


def _split(quads: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Quads (Q, 4) as triangles (F, 3), cut along the shorter diagonal of `corners` (Q, 4, 3)."""
    first = np.linalg.norm(corners[:, 0] - corners[:, 2], axis=1)
    second = np.linalg.norm(corners[:, 1] - corners[:, 3], axis=1)
    along_first = (first <= second)[:, None, None]
    halves = np.where(
        along_first, quads[:, [[0, 1, 2], [0, 2, 3]]], quads[:, [[1, 2, 3], [1, 3, 0]]]
    )
    return halves.reshape(-1, 3)


def _compact(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used, compact = np.unique(indices, return_inverse=True)
    return used, compact.reshape(indices.shape)
