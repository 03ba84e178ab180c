"""The published way to spread skinning weights: PointInterpolant of Kazhdan's Adaptive Multigrid Solvers, one run a joint.

It fits a smoothing spline that over- and undershoots and is not converged far from the body, so shares are cut to [0, 1] and made to
sum to 1. For volumes like those of published avatars; `weight_volume` is better and quicker.
"""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from avatarpipe.body.harmonic import extend
from avatarpipe.body.weight_solve import PADDING, Solved, cube_around
from avatarpipe.body.weight_volume import WeightVolume
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh

GRADIENT_WEIGHT = 0.05  # published
_LEAST_SUM = 0.05  # nodes where the splines leave less than this are filled from those around


def interpolated_volume(
    executable: str, vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, resolution: int = 128,
    padding: float = PADDING,
) -> Solved:  # fmt: skip
    """As `weight_volume`, by the program `executable`. InputError where it is not there, fails, or cannot make such a grid."""
    program = shutil.which(executable)
    if program is None:
        raise InputError(
            f"{executable}: no such program. PointInterpolant of https://github.com/mkazhdan/PoissonRecon was expected: build "
            "it and give its path as `animatable.weights.interpolant`, or leave that empty."
        )
    depth = resolution.bit_length() - 1
    if resolution != 2**depth:
        raise InputError(
            f"a resolution of {resolution}: PointInterpolant makes grids of a power of two, such as 128."
        )
    mesh, field = Mesh(vertices, faces), np.zeros((resolution,) * 3 + weights.shape[1:], np.float32)
    for joint in np.flatnonzero(weights.any(axis=0)):
        field[..., joint] = _joint_field(program, mesh, weights[:, joint], depth, padding)
    field.clip(0.0, 1.0, out=field)
    sums = field.sum(axis=-1, keepdims=True)
    if not (sums > _LEAST_SUM).any():
        raise InputError(f"{program}: all weights that it found are zero. Is it PointInterpolant?")
    error = float(np.abs(sums - 1.0).max())
    field /= np.maximum(sums, _LEAST_SUM)
    solved = extend(field, sums[..., 0] > _LEAST_SUM)
    low, high = _outermost(mesh.vertices, padding, resolution)
    return Solved(WeightVolume(torch.from_numpy(solved.field), low, high), solved.cycles, error)


def _outermost(
    vertices: np.ndarray, padding: float, resolution: int
) -> tuple[np.ndarray, np.ndarray]:
    """(3,) corners of the box of cell centres: half a cell inside of the cube, as its values lie at the centres."""
    low, high = cube_around(vertices, padding)
    half = (high - low) / (2 * resolution)
    return low + half, high - half


def _joint_field(
    program: str, mesh: Mesh, values: np.ndarray, depth: int, padding: float
) -> np.ndarray:
    """(X, Y, Z) float64 of one joint, its grid along x first."""
    with TemporaryDirectory(prefix="interpolant-") as name:
        folder = Path(name)
        np.savetxt(folder / "values.txt", np.column_stack([mesh.vertices, values]))
        np.savetxt(
            folder / "gradients.txt",
            np.column_stack([mesh.vertices, vertex_gradients(mesh, values)]),
        )
        command = [
            program, "--inValues", "values.txt", "--inGradients", "gradients.txt", "--dim", "3", "--depth", str(depth),
            "--gradientWeight", str(GRADIENT_WEIGHT), "--scale", str(padding), "--grid", "out.grd",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        grid, count = folder / "out.grd", 8 ** (depth + 1)
        if done.returncode or not grid.is_file() or grid.stat().st_size < count:
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise InputError(
                f"{program}: ended with status {done.returncode} and no grid of {2**depth}^3 ({said})."
            )
        payload = np.frombuffer(grid.read_bytes()[-count:], "<f8")
    if not np.isfinite(payload).all():
        raise InputError(f"{program}: its grid holds NaN or infinity.")
    return payload.reshape((2**depth,) * 3).transpose(2, 1, 0)


def vertex_gradients(mesh: Mesh, values: np.ndarray) -> np.ndarray:
    """(V, 3) gradient along the surface of values (V,) that are linear on faces: the mean over a vertex's faces by area."""
    corners, normals = mesh.vertices[mesh.faces], mesh.area_vectors()
    doubled = 4.0 * (normals**2).sum(axis=1, keepdims=True)  # (twice the area) squared
    slopes = np.zeros_like(normals)
    for k in range(3):
        opposite = corners[:, (k + 2) % 3] - corners[:, (k + 1) % 3]
        slopes += values[mesh.faces[:, k], None] * np.cross(2.0 * normals, opposite)
    areas = np.linalg.norm(normals, axis=1)
    slopes *= (areas / np.maximum(doubled[:, 0], 1e-300))[:, None]
    ids = mesh.faces.ravel()
    summed = [np.bincount(ids, np.repeat(slopes[:, k], 3), len(mesh.vertices)) for k in range(3)]
    around = np.bincount(ids, np.repeat(areas, 3), len(mesh.vertices))
    return np.stack(summed, axis=1) / np.maximum(around, 1e-300)[:, None]
