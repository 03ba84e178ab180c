"""Write a scan and its fit as 4D-Dress does (Wang et al., CVPR 2024): pickles of arrays, atlas bottom row first."""

import pickle
from pathlib import Path

import numpy as np

from avatarpipe.capture.labels import Label
from avatarpipe.files import atomic_file
from avatarpipe.mesh.mesh import Mesh, save_mesh
from avatarpipe.synthetic.person import Person
from avatarpipe.synthetic.scan import split_at_seams

RECORDING = "synthetic/Inner/Take1"
FRAME = "00000"


def write_recording(
    folder: Path, person: Person, scan: Mesh, charts: np.ndarray, body: Mesh
) -> None:
    """One frame of one recording below `folder`, which is the recording's own."""
    vertices, faces, uvs, labels = split_at_seams(scan, charts)
    _write(
        folder / "Meshes_pkl" / f"mesh-f{FRAME}.pkl",
        _mesh_arrays(vertices, faces, uvs, scan.texture),
    )
    _write(folder / "Meshes_pkl" / f"atlas-f{FRAME}.pkl", np.ascontiguousarray(scan.texture[::-1]))
    _write(folder / "SMPLX" / f"mesh-f{FRAME}_smplx.pkl", fit_arrays(person))
    save_mesh(body, folder / "SMPLX" / f"mesh-f{FRAME}_smplx.ply")
    scan_labels = labels.astype(np.int64) - int(Label.SKIN)  # theirs count from skin 0
    _write(folder / "Semantic" / "labels" / f"label-f{FRAME}.pkl", {"scan_labels": scan_labels})
    _write(folder / "basic_info.pkl", _basic_info(person))


def _mesh_arrays(vertices, faces, uvs, texture: np.ndarray) -> dict[str, np.ndarray]:
    height, width = texture.shape[:2]
    columns = np.clip((uvs[:, 0] * width).astype(int), 0, width - 1)
    rows = np.clip(((1.0 - uvs[:, 1]) * height).astype(int), 0, height - 1)
    colors = np.column_stack([texture[rows, columns], np.full(len(uvs), 255, np.uint8)])
    return {
        "vertices": vertices.astype(np.float32),
        "faces": faces.astype(np.int64),
        "colors": colors,
        "normals": Mesh(vertices, faces).vertex_normals().astype(np.float32),
        "uvs": uvs.astype(np.float32),
    }


def fit_arrays(person: Person) -> dict[str, np.ndarray]:
    """The SMPL-X parameters as 1-D float32 arrays; hands as 12 PCA coefficients without the mean."""
    arrays = {
        name: value[0].cpu().numpy().astype(np.float32) for name, value in person.params.items()
    }
    arrays["left_hand_pose"] = np.asarray(person.hands.left, np.float32)
    arrays["right_hand_pose"] = np.asarray(person.hands.right, np.float32)
    return arrays


def _basic_info(person: Person) -> dict:
    """rotation is filled because real recordings have it; it is not to be applied to scan or fit."""
    return {
        "scan_frames": [FRAME],
        "rotation": person.to_world[:3, :3].copy(),
        "offset": person.to_world[:3, 3].copy(),
        "gender": person.traits.gender,
    }


def _write(path: Path, value) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        pickle.dump(value, stream, protocol=4)
