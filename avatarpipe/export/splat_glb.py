"""Gaussian clouds as glTF with KHR_gaussian_splatting, kernel "ellipse": one primitive of points.

Facts of the extension (Khronos, https://github.com/KhronosGroup/glTF, extensions/2.0/Khronos/KHR_gaussian_splatting):
linear scales, opacities in [0, 1], unit quaternions xyzw, SH coefficients with the Condon-Shortley phase as 3DGS has
them, one attribute for each; colours are reconstructed, and blended, in the named colour space. COLOR_0, for viewers
that know points only, is linear. glTF's world is as ours: right-handed, +Y up, front toward +Z, metres.
"""

from pathlib import Path

import numpy as np
import torch

from avatarpipe import __version__
from avatarpipe.errors import InputError
from avatarpipe.export.glb_file import ArrayBuffer, read_accessor, read_glb, write_glb
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.harmonics import C0

EXTENSION = "KHR_gaussian_splatting"
PROPERTIES = {
    "kernel": "ellipse",
    "colorSpace": "srgb_rec709_display",
    "projection": "perspective",
    "sortingMethod": "cameraDistance",
}
_POINTS = 0  # mode of a primitive
_MOVES = ("matrix", "translation", "rotation", "scale")


def save_splat_glb(cloud: GaussianCloud, path: str | Path, name: str, notes: dict | None = None) -> None:
    """Write a cloud of ellipsoids. name: of its node. notes: further facts, kept as the node's extras.

    Raises ValueError on surfels, which the kernel cannot hold, and InputError on an empty cloud, which glTF cannot.
    """
    if cloud.kind != "ellipsoid":
        raise ValueError("glTF's ellipse kernel has three axes: make the surfels ellipsoids first")
    if not len(cloud):
        raise InputError(f"{path}: no Gaussians to write, and glTF holds no empty clouds. Export as ply.")
    buffer = ArrayBuffer()
    attributes = {key: buffer.add(*how) for key, how in _attributes(cloud.detach().to("cpu")).items()}
    primitive = {"mode": _POINTS, "attributes": attributes, "extensions": {EXTENSION: PROPERTIES}}
    node = {"name": name, "mesh": 0} | ({"extras": notes} if notes else {})
    document = {
        "asset": {"version": "2.0", "generator": f"avatarpipe {__version__}"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [node],
        "meshes": [{"name": name, "primitives": [primitive]}],
    }
    write_glb(path, document, buffer)


def _attributes(cloud: GaussianCloud) -> dict[str, tuple]:
    """What `ArrayBuffer.add` takes for each attribute."""
    sh = (cloud.colors[:, None] - 0.5) / C0 if cloud.sh is None else cloud.sh
    quats = torch.nn.functional.normalize(cloud.quats.double(), dim=1)[:, [1, 2, 3, 0]]
    opacities = cloud.opacities.clamp(0, 1)
    splat = {"ROTATION": quats, "SCALE": cloud.scales.clamp_min(0), "OPACITY": opacities}
    splat |= {_sh_name(k): sh[:, k] for k in range(sh.shape[1])}
    return {
        "POSITION": (_floats(cloud.means), False, True),
        "COLOR_0": (_fallback(sh[:, 0], opacities), True),
        **{f"{EXTENSION}:{key}": (_floats(values),) for key, values in splat.items()},
    }


def _floats(values: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.numpy(), "<f4")


def _sh_name(index: int) -> str:
    """Of the coefficient `index` of a flat list: bands of 1, 3, 5, 7, each from the lowest order to the highest."""
    degree = int(index**0.5)
    return f"SH_DEGREE_{degree}_COEF_{index - degree**2}"


def _fallback(dc: torch.Tensor, opacities: torch.Tensor) -> np.ndarray:
    """(N, 4) uint16 linear colour and opacity; the sRGB curve of IEC 61966-2-1 undone."""
    srgb = (dc * C0 + 0.5).clamp(0, 1).double()
    linear = torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    rgba = torch.cat([linear, opacities[:, None].double()], dim=1)
    return np.round(rgba.numpy() * 65535).astype("<u2")


def load_splat_glb(path: str | Path) -> GaussianCloud:
    """The first cloud of a .glb, as ellipsoids; constant colours stay `colors`, others become `sh`.

    Raises InputError where there is none, it is of another kernel or colour space, its node moves it, or an attribute is
    missing or broken.
    """
    document, buffer = read_glb(path)
    try:
        primitive = _splat_primitive(document)
        _check(document, primitive, path)
        return _cloud(document, buffer, primitive["attributes"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no sound Gaussian cloud in it ({error!r}). Export it again.") from error


def _splat_primitive(document: dict) -> dict:
    primitives = (primitive for mesh in document["meshes"] for primitive in mesh["primitives"])
    found = [item for item in primitives if EXTENSION in item.get("extensions", {})]
    if not found:
        raise ValueError(f"no primitive has {EXTENSION}")
    return found[0]


def _check(document: dict, primitive: dict, path: str | Path) -> None:
    properties = PROPERTIES | primitive["extensions"][EXTENSION]
    for key in ("kernel", "colorSpace"):
        if properties[key] != PROPERTIES[key]:
            raise InputError(f"{path}: {key} {properties[key]!r}; only {PROPERTIES[key]!r} is read.")
    if "extensions" in properties or any(key in node for node in document["nodes"] for key in _MOVES):
        raise InputError(f"{path}: compressed, or moved by its node; only plain clouds are read.")


def _cloud(document: dict, buffer: bytes, attributes: dict) -> GaussianCloud:
    def values(name: str) -> torch.Tensor:
        return torch.from_numpy(read_accessor(document, buffer, attributes[name]))

    count = sum(name.startswith(f"{EXTENSION}:SH_DEGREE") for name in attributes)
    sh = torch.stack([values(f"{EXTENSION}:{_sh_name(k)}") for k in range(count)], dim=1)
    colour = {"colors": sh[:, 0] * C0 + 0.5} if count == 1 else {"sh": sh}
    return GaussianCloud(
        values("POSITION"),
        values(f"{EXTENSION}:ROTATION")[:, [3, 0, 1, 2]],
        values(f"{EXTENSION}:SCALE"),
        values(f"{EXTENSION}:OPACITY")[:, 0],
        **colour,
        kind="ellipsoid",
    )
