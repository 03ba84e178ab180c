"""Write scans and fits as THuman2.0 and 2.1 do (Yu et al., CVPR 2021): OBJ, MTL and JPEG beside a pickle of the fit."""

import pickle
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from avatarpipe.datasets.writers.scans import RawScans, fit_arrays
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file
from avatarpipe.mesh.mesh import Mesh, save_mesh

JPEG_QUALITY = 95


def write(
    scans: Path, fits: Path, number: str, recording: RawScans, scale: float, release: Literal["2.0", "2.1"]
) -> None:
    """The one frame of `recording` as {scans}/{number}/{number}.obj and {fits}/{number}/smplx_param.pkl.

    scale: what a metre of the recording is in the stored scan. release 2.0: scan = scale * body + translation, hands of 12
    PCA coefficients; 2.1: scan = scale * (body + transl), full hands.
    """
    if len(recording.frames) != 1:
        raise InputError(f"{number}: THuman2 has one frame a subject, got {len(recording.frames)}.")
    scan = recording.scan(0)
    if scan.texture is None:
        raise InputError(f"{number}: THuman2 scans have a texture; this one has none.")
    _write_scan(scans / number, number, scan.transformed(np.diag([scale, scale, scale, 1.0])))
    arrays = _release_arrays(recording, scale, release)
    path = fits / number / "smplx_param.pkl"
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        pickle.dump({name: value[None] for name, value in arrays.items()}, stream, protocol=4)


def _release_arrays(recording: RawScans, scale: float, release: str) -> dict[str, np.ndarray]:
    arrays = fit_arrays(recording, 0)
    if release == "2.1":
        for name in ("left_hand_pose", "right_hand_pose"):
            arrays[name] = getattr(recording.poses, name)[0].cpu().numpy()
    else:
        arrays["translation"] = arrays.pop("transl") * np.float32(scale)
    return arrays | {"scale": np.float32(scale)}


def _write_scan(folder: Path, number: str, scan: Mesh) -> None:
    """The mesh with its material renamed to what the dataset calls it, the texture as a JPEG."""
    path = folder / f"{number}.obj"
    save_mesh(Mesh(scan.vertices, scan.faces, scan.uvs, scan.texture), path)
    with atomic_file(folder / "material0.jpeg") as temporary:
        Image.fromarray(scan.texture).save(temporary, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    with atomic_file(folder / "material0.mtl") as temporary:
        temporary.write_text("newmtl material0\nKd 1 1 1\nillum 0\nmap_Kd material0.jpeg\n")
    text = path.read_text().replace(f"mtllib {number}.mtl", "mtllib material0.mtl")
    with atomic_file(path) as temporary:
        temporary.write_text(text.replace("usemtl material\n", "usemtl material0\n"))
    path.with_suffix(".mtl").unlink()
    path.with_suffix(".png").unlink()
