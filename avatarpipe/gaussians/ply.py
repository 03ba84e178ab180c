"""Gaussian clouds as PLY files in the layout of the 3DGS release (Kerbl et al. 2023).

One float32 row a Gaussian: x y z nx ny nz f_dc_* f_rest_* opacity scale_* rot_*, with log scales,
logit opacities, quaternions wxyz and f_rest channel-major. A surfel file has two scales, as the 2DGS
release writes them, and says so in a comment. Extra features are not part of the layout: not saved.
"""

from pathlib import Path

import numpy as np
import torch

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.harmonics import C0

SURFEL_COMMENT = "comment gaussian_kind surfel"
OPACITY_EDGE = 1e-6  # opacities are kept this far from 0 and 1 so that their logit is finite
TINY_SCALE = 1e-12  # metres
BYTES = {
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
    "uchar": "u1",
    "uint8": "u1",
}
BYTES |= {"char": "i1", "int8": "i1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2"}
BYTES |= {"int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4"}


def save_ply(cloud: GaussianCloud, path) -> None:
    """Write a cloud, replacing the file at once when it is complete."""
    columns = _columns(cloud)
    comment = [SURFEL_COMMENT] if cloud.kind == "surfel" else []
    header = ["ply", "format binary_little_endian 1.0", *comment, f"element vertex {len(cloud)}"]
    header += [f"property float {name}" for name in columns] + ["end_header\n"]
    rows = np.stack([*columns.values()], axis=1).astype("<f4")
    with atomic_file(path) as temporary:
        temporary.write_bytes("\n".join(header).encode() + rows.tobytes())


def _columns(cloud: GaussianCloud) -> dict[str, np.ndarray]:
    cloud = cloud.detach().to("cpu")
    sh = (cloud.colors[:, None] - 0.5) / C0 if cloud.sh is None else cloud.sh
    opacity = cloud.opacities.double().clamp(OPACITY_EDGE, 1 - OPACITY_EDGE)
    scales = cloud.scales[:, : 2 if cloud.kind == "surfel" else 3].clamp_min(TINY_SCALE)
    groups = {
        ("x", "y", "z"): cloud.means,
        ("nx", "ny", "nz"): torch.zeros_like(cloud.means),
        _names("f_dc", 3): sh[:, 0],
        _names("f_rest", 3 * (sh.shape[1] - 1)): sh[:, 1:].transpose(1, 2).flatten(1),
        ("opacity",): torch.logit(opacity)[:, None],
        _names("scale", scales.shape[1]): scales.log(),
        _names("rot", 4): cloud.quats,
    }
    return {
        name: values[:, i].float().numpy()
        for names, values in groups.items()
        for i, name in enumerate(names)
    }


def _names(stem: str, count: int) -> tuple[str, ...]:
    return tuple(f"{stem}_{i}" for i in range(count))


def load_ply(path) -> GaussianCloud:
    """Read a binary 3DGS or 2DGS PLY; colours stay `colors` without f_rest, else become `sh`.

    Raises InputError on a file that is missing, cut short, or lacks a property of the layout.
    """
    path = require_file(path, "expected a Gaussian PLY as written by save_ply, 3DGS or 2DGS.")
    rows, comments = _read(path)
    surfel = SURFEL_COMMENT in comments or "scale_2" not in rows.dtype.names
    rest = sum(name.startswith("f_rest_") for name in rows.dtype.names)
    scales = _take(path, rows, _names("scale", 2 if surfel else 3)).exp()
    opacities = torch.sigmoid(_take(path, rows, ("opacity",)))[:, 0]
    placed = (
        _take(path, rows, ("x", "y", "z")),
        _take(path, rows, _names("rot", 4)),
        scales,
        opacities,
    )
    kind = "surfel" if surfel else "ellipsoid"
    dc = _take(path, rows, _names("f_dc", 3))
    if rest == 0:
        return GaussianCloud(*placed, colors=dc * C0 + 0.5, kind=kind)
    if rest not in (9, 24, 45):
        raise InputError(f"{path}: {rest} f_rest properties, expected 0, 9, 24 or 45.")
    bands = (
        _take(path, rows, _names("f_rest", rest)).reshape(len(rows), 3, rest // 3).transpose(1, 2)
    )
    return GaussianCloud(*placed, sh=torch.cat([dc[:, None], bands], dim=1), kind=kind)


def _take(path: Path, rows: np.ndarray, names: tuple[str, ...]) -> torch.Tensor:
    missing = [name for name in names if name not in rows.dtype.names]
    if missing:
        raise InputError(f"{path}: not a Gaussian PLY, it has no property {', '.join(missing)}.")
    return torch.from_numpy(np.stack([rows[name].astype(np.float32) for name in names], axis=1))


def _read(path: Path) -> tuple[np.ndarray, list[str]]:
    """The vertex rows as a structured array, and the comment lines of the header."""
    data = path.read_bytes()
    start = data.find(b"end_header\n")
    if not data.startswith(b"ply") or start < 0:
        raise InputError(f"{path}: not a PLY file, it does not begin with a PLY header.")
    lines = data[:start].decode("ascii", "replace").replace("\r", "").split("\n")
    count, dtype = _layout(path, lines)
    body = data[start + len(b"end_header\n") :]
    if len(body) < count * dtype.itemsize:
        need = count * dtype.itemsize
        raise InputError(
            f"{path}: cut short, {len(body)} of {need} bytes of vertices. Write it again."
        )
    return np.frombuffer(body, dtype, count), [line for line in lines if line.startswith("comment")]


def _layout(path: Path, lines: list[str]) -> tuple[int, np.dtype]:
    """Number of vertices and the type of one, from the lines of a header."""
    elements = [line.split() for line in lines if line.startswith("element")]
    if not any(line.startswith("format binary_little_endian") for line in lines):
        raise InputError(f"{path}: only binary little-endian PLY is read. Convert it first.")
    if not elements or elements[0][1] != "vertex":
        raise InputError(f"{path}: its first element is not 'vertex', so it holds no Gaussians.")
    begin = next(i for i, line in enumerate(lines) if line.startswith("element"))
    fields = []
    for line in lines[begin + 1 :]:
        words = line.split()
        if words[:1] == ["element"]:
            break
        if words[:1] == ["property"]:
            if len(words) != 3 or words[1] not in BYTES:
                raise InputError(f"{path}: cannot read '{line}': expected scalar properties only.")
            fields.append((words[2], "<" + BYTES[words[1]]))
    count = elements[0][2] if len(elements[0]) == 3 else ""
    if not count.isdecimal():
        raise InputError(f"{path}: '{' '.join(elements[0])}' says no number of vertices. Write it again.")
    return int(count), np.dtype(fields)
