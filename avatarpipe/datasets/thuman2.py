"""THuman2.0 and 2.1 (Yu et al., CVPR 2021): one textured scan a subject, with an SMPL-X fit.

Layout: {scans}/{id}/{id}.obj with material0.mtl and material0.jpeg, {fits}/{id}/smplx_param.pkl; {scans} and {fits} are
folders below the root. Scans have no unit: a fit says how a metric body is brought onto its scan,
    2.0: scale * body + translation        2.1: scale * (body + transl)
and the scan is divided by that scale here, so that scan and body share one metric world: the fit's transl is
translation / scale, or transl. 2.0 was fitted with the male body of 12 hand PCA coefficients, of men and women alike; 2.1
partly with the neutral body and hands of 45 numbers. Which one a file holds is told by its keys and widths.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.capture.manifest import check_name
from avatarpipe.datasets.arrays import FULL_HAND, decode_hand, finite, read_dict
from avatarpipe.datasets.multiview import Request
from avatarpipe.datasets.scans import ScanSource
from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.mesh.mesh import Mesh, load_mesh

_POSES = tuple(name for name in SIZES if name != "transl")
_HINT = "Give the folder that holds the folders of scans and of fits as root, and the scan's number as source."
_MAX_LOOSE = 0.01  # share of vertices without a face above which a scan counts as truncated


def read(request: Request) -> ScanSource:
    """The scan and fit that `request` asks for, scaled to metres; the scan is read when it is asked for.

    Options: `scans` and `fits`, folders below the root ("." where that is the root itself), and `flat_hand_mean`, whether
    hands of 45 numbers hold the hand mean already. Raises InputError on files that are missing, broken or do not agree.
    """
    number = check_name(request.source, "source")
    if request.frames != "0":
        raise InputError(f"frames {request.frames!r}: a THuman2 scan has frame 0 only.")
    scan = _below(request, "scans") / number / f"{number}.obj"
    fit = _below(request, "fits") / number / "smplx_param.pkl"
    poses, scale = read_fit(fit, request.body, bool(request.options.get("flat_hand_mean", True)))
    require_file(scan, _HINT)
    return ScanSource(
        frames=("0",),
        times=(0.0,),
        poses=poses,
        scan=lambda index: read_scan(scan, scale),
        inputs={"fit": fit, "scan": scan, **_materials(scan.parent)},
        world=np.diag([1 / scale, 1 / scale, 1 / scale, 1.0]),
    )


def _below(request: Request, name: str) -> Path:
    """The folder of an option: the root, or one below it."""
    folder = str(request.options.get(name, "."))
    if folder == ".":
        return Path(request.root)
    for part in folder.split("/"):
        check_name(part, f"option {name} {folder!r}: part")
    return Path(request.root, folder)


def _materials(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.glob("material*")) if path.is_file()}


def read_scan(path: Path, scale: float) -> Mesh:
    """The scan at `path` over `scale`, in metres. InputError where it has no texture or seems truncated."""
    if not _ends_with_a_line(path):
        raise InputError(f"{path}: truncated: its last line has no end. Fetch the file again.")
    mesh = load_mesh(path)
    if mesh.texture is None:
        raise InputError(f"{path}: no texture. Its material file and material0.jpeg belong beside it.")
    loose = 1.0 - len(np.unique(mesh.faces)) / len(mesh.vertices)
    if loose > _MAX_LOOSE:
        raise InputError(
            f"{path}: truncated: {loose:.0%} of its vertices belong to no face. Fetch the file again."
        )
    return replace(mesh, vertices=mesh.vertices / scale)


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 1))
        return stream.read() == b"\n"


def read_fit(path: Path, body: Body, flat_hand_mean: bool) -> tuple[BodyParams, float]:
    """The metric body fitted to the scan, and the scale that brings it onto the scan as it is stored."""
    raw = read_dict(path, (*_POSES, "scale"))
    scale = _scale(raw, path)
    arrays = {name: _parameter(raw, name, path) for name in _POSES}
    for side in ("left", "right"):
        name = f"{side}_hand_pose"
        arrays[name] = _hand(arrays[name], name, body, path, flat_hand_mean)
    arrays["transl"] = _transl(raw, scale, path)
    for name, size in SIZES.items():
        if arrays[name].shape != (1, size):
            raise InputError(
                f"{path}: {name} has shape {np.shape(raw.get(name))}, expected (1, {size})."
            )
    return BodyParams.from_arrays(arrays, path), scale


def _parameter(raw: Mapping, name: str, path: Path) -> np.ndarray:
    """(1, N); a body pose that starts with the root's three numbers loses them."""
    values = finite(raw, name, path, None).reshape(1, -1)
    if name == "body_pose" and values.shape[1] > SIZES[name]:
        return values[:, 3:]
    return values


def _hand(
    values: np.ndarray, name: str, body: Body, path: Path, flat_hand_mean: bool
) -> np.ndarray:
    if values.shape[1] != FULL_HAND:
        return decode_hand(values, name, body, path)
    return values if flat_hand_mean else values + body.hand_pca(name.partition("_")[0])[1]


def _scale(raw: Mapping, path: Path) -> float:
    values = finite(raw, "scale", path, None)
    if values.size != 1 or not values.reshape(-1)[0] > 0:
        raise InputError(f"{path}: scale must be one number above 0, got {values.tolist()}.")
    return float(values.reshape(-1)[0])


def _transl(raw: Mapping, scale: float, path: Path) -> np.ndarray:
    """(1, 3) metres, by the rule of the release that the key tells."""
    keys = [key for key in ("translation", "transl") if key in raw]
    if len(keys) != 1:
        raise InputError(
            f"{path}: expected translation (THuman2.0) or transl (THuman2.1), found {' and '.join(keys) or 'neither'}."
        )
    values = finite(raw, keys[0], path, None).reshape(1, -1)
    return values / scale if keys[0] == "translation" else values
