"""Write scans and fits as 4D-Dress does (Wang et al., CVPR 2024): pickles of arrays, atlas bottom row first."""

import pickle
from pathlib import Path

import numpy as np

from avatarpipe.capture.labels import Label
from avatarpipe.datasets.writers.scans import RawScans, fit_arrays
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file
from avatarpipe.mesh.mesh import Mesh, save_mesh


def write(folder: Path, recording: RawScans, to_world: np.ndarray | None = None) -> None:
    """Every frame of a recording below `folder`, which is the recording's own SUBJECT/OUTFIT/SEQUENCE; basic_info.pkl last.

    to_world: (4, 4) noted as basic_info's rotation and offset, as real recordings have them; neither is ever applied.
    """
    for index, number in enumerate(recording.frames):
        _write_frame(folder, f"{number:05d}", recording, index)
    matrix = np.eye(4) if to_world is None else np.asarray(to_world, np.float64)
    _write(
        folder / "basic_info.pkl",
        {
            "scan_frames": [f"{number:05d}" for number in recording.frames],
            "rotation": matrix[:3, :3].copy(),
            "offset": matrix[:3, 3].copy(),
            "gender": recording.gender,
        },
    )


def _write_frame(folder: Path, frame: str, recording: RawScans, index: int) -> None:
    scan, pose = recording.scan(index), recording.poses[index]
    _write(folder / "Meshes_pkl" / f"mesh-f{frame}.pkl", _mesh_arrays(scan))
    _write(folder / "Meshes_pkl" / f"atlas-f{frame}.pkl", np.ascontiguousarray(scan.texture[::-1]))
    _write(folder / "SMPLX" / f"mesh-f{frame}_smplx.pkl", fit_arrays(recording, index))
    fit = Mesh(recording.body.vertices(pose)[0].cpu().numpy(), recording.body.faces)
    save_mesh(fit, folder / "SMPLX" / f"mesh-f{frame}_smplx.ply")
    if scan.vertex_labels is not None:
        labels = scan.vertex_labels.astype(np.int64) - int(Label.SKIN)  # theirs count from skin 0
        _write(folder / "Semantic" / "labels" / f"label-f{frame}.pkl", {"scan_labels": labels})


def _mesh_arrays(scan: Mesh) -> dict[str, np.ndarray]:
    uvs = _vertex_uvs(scan)
    height, width = scan.texture.shape[:2]
    columns = np.clip((uvs[:, 0] * width).astype(int), 0, width - 1)
    rows = np.clip(((1.0 - uvs[:, 1]) * height).astype(int), 0, height - 1)
    return {
        "vertices": scan.vertices.astype(np.float32),
        "faces": scan.faces,
        "colors": np.column_stack([scan.texture[rows, columns], np.full(len(uvs), 255, np.uint8)]),
        "normals": scan.vertex_normals().astype(np.float32),
        "uvs": uvs,
    }


def _vertex_uvs(scan: Mesh) -> np.ndarray:
    """(V, 2) float32; the format has one UV a vertex, so seams need vertices of their own."""
    if scan.uvs is None or scan.texture is None:
        raise InputError("scan: 4D-Dress scans have UVs and a texture; this one lacks them.")
    uvs = np.zeros((len(scan.vertices), 2), np.float32)
    uvs[scan.faces.ravel()] = scan.uvs.reshape(-1, 2)
    if not np.array_equal(uvs[scan.faces], scan.uvs):
        raise InputError("scan: a vertex has two UVs; split the scan at its seams first.")
    return uvs


def _write(path: Path, value: object) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        pickle.dump(value, stream, protocol=4)
