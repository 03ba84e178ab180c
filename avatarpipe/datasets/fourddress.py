"""4D-Dress (Wang et al., CVPR 2024): textured scans of clothed people with SMPL-X fits and semantic labels.

Layout: {subject}/{outfit}/{sequence}/ with basic_info.pkl, Meshes_pkl/{mesh,atlas}-f{frame}.pkl,
SMPLX/mesh-f{frame}_smplx.pkl and Semantic/labels/label-f{frame}.pkl. Scan and fit share one world: y up, metres.
The fits are for gendered SMPL-X models with 12 PCA coefficients a hand and flat_hand_mean=False.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.capture.labels import Label
from avatarpipe.capture.manifest import check_name
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.pickles import load_pickle

# What scan_labels count from 0.
SCAN_LABELS = (Label.SKIN, Label.HAIR, Label.SHOE, Label.UPPER, Label.LOWER, Label.OUTER)
_MAX_HAND = 45


@dataclass(frozen=True)
class Recording:
    """One sequence of the dataset and one frame of it, by name."""

    folder: Path
    frame: str

    @staticmethod
    def find(root: str | Path, source: str, frame: str | int) -> "Recording":
        """The recording `source` ("00122/Inner/Take8") below `root`, and the frame as five digits.

        Raises InputError where the source is no such path, its folder is missing, or it does not list the frame.
        """
        parts = source.split("/")
        if len(parts) != 3:
            raise InputError(
                f"source {source!r}: expected SUBJECT/OUTFIT/SEQUENCE, such as 00122/Inner/Take8."
            )
        for part in parts:
            check_name(part, f"source {source!r}: part")
        folder = Path(root).joinpath(*parts)
        if not folder.is_dir():
            raise InputError(
                f"{folder}: no such folder. Give the folder into which 4D-Dress was unpacked as root, "
                "and SUBJECT/OUTFIT/SEQUENCE below it as source."
            )
        if not re.fullmatch(r"\d{1,5}", str(frame)):
            raise InputError(f"frame {frame!r}: a frame is a number of at most five digits.")
        recording = Recording(folder, f"{int(frame):05d}")
        recording._check_frame()
        return recording

    def _check_frame(self) -> None:
        path = self.files()["basic_info"]
        info = load_pickle(path)
        frames = info.get("scan_frames") if isinstance(info, dict) else None
        if frames is None or len(frames) == 0:
            raise InputError(f"{path}: scan_frames is missing or empty. Fetch the file again.")
        names = [f"{int(name):05d}" for name in frames]
        if self.frame not in names:
            raise InputError(
                f"{path}: frame {self.frame} is not in the sequence; it has {len(names)}, "
                f"from {min(names)} to {max(names)}."
            )

    def files(self) -> dict[str, Path]:
        """The files that are read, by role. "labels" need not exist."""
        frame = self.frame
        return {
            "basic_info": self.folder / "basic_info.pkl",
            "mesh": self.folder / "Meshes_pkl" / f"mesh-f{frame}.pkl",
            "atlas": self.folder / "Meshes_pkl" / f"atlas-f{frame}.pkl",
            "fit": self.folder / "SMPLX" / f"mesh-f{frame}_smplx.pkl",
            "labels": self.folder / "Semantic" / "labels" / f"label-f{frame}.pkl",
        }


def read_scan(recording: Recording) -> Mesh:
    """The textured scan, with vertex labels (our `Label`) where the recording has them.

    Raises InputError on shapes that do not fit together, NaN, and labels that do not match the vertices.
    """
    files = recording.files()
    raw = _read_dict(files["mesh"], ("vertices", "faces", "uvs"))
    vertices = _array(raw, "vertices", files["mesh"], (None, 3))
    faces = _faces(raw, len(vertices), files["mesh"])
    uvs = _array(raw, "uvs", files["mesh"], (len(vertices), 2)).astype(np.float32)
    labels = read_labels(files["labels"], len(vertices)) if files["labels"].exists() else None
    return Mesh(vertices, faces, uvs[faces], read_atlas(files["atlas"]), vertex_labels=labels)


def read_atlas(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 texture, top row first; the dataset stores the bottom row first."""
    atlas = load_pickle(path)
    shape = getattr(atlas, "shape", ())
    if getattr(atlas, "dtype", None) != np.uint8 or len(shape) != 3 or shape[2] not in (3, 4):
        raise InputError(
            f"{path}: corrupt atlas: expected a (height, width, 3) uint8 array, got "
            f"{type(atlas).__name__} {shape} {getattr(atlas, 'dtype', '')}. Fetch the file again."
        )
    if not atlas.size or atlas.min() == atlas.max():
        raise InputError(
            f"{path}: corrupt atlas: empty, or one colour throughout. Fetch the file again."
        )
    return np.ascontiguousarray(atlas[::-1, :, :3])


def read_labels(path: Path, vertex_count: int) -> np.ndarray:
    """(V,) uint8 of our `Label` from the dataset's scan_labels."""
    labels = np.asarray(_read_dict(path, ("scan_labels",))["scan_labels"])
    if labels.reshape(-1).shape != (vertex_count,):
        raise InputError(
            f"{path}: {labels.size} labels for a scan of {vertex_count} vertices. "
            "Labels and mesh are not of the same frame; fetch both again."
        )
    labels = labels.reshape(-1)
    if not np.isin(labels, range(len(SCAN_LABELS))).all():
        raise InputError(
            f"{path}: labels other than 0 to {len(SCAN_LABELS) - 1}. Fetch the file again."
        )
    return np.array(SCAN_LABELS, np.uint8)[labels.astype(np.int64)]


def read_fit(recording: Recording, body: Body) -> BodyParams:
    """The body fitted to the frame: hands decoded from any number of PCA coefficients, their mean added."""
    path = recording.files()["fit"]
    raw = _read_dict(path, tuple(SIZES))
    arrays = {}
    for name, size in SIZES.items():
        values = np.atleast_2d(_array(raw, name, path, None))
        if name.endswith("hand_pose"):
            values = _decoded_hand(values, name, body, path)
        if values.shape != (1, size):
            raise InputError(f"{path}: {name} has shape {np.shape(raw[name])}, expected ({size},).")
        arrays[name] = values
    return BodyParams.from_arrays(arrays, path)


def _decoded_hand(coefficients: np.ndarray, name: str, body: Body, path: Path) -> np.ndarray:
    if coefficients.ndim != 2 or not 1 <= coefficients.shape[1] <= _MAX_HAND:
        raise InputError(
            f"{path}: {name} has shape {coefficients.shape}, expected 1 to {_MAX_HAND} PCA coefficients."
        )
    return body.decode_hand(coefficients, name.partition("_")[0])


def _read_dict(path: Path, keys: tuple[str, ...]) -> dict:
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a dict, got {type(content).__name__}. Fetch the file again."
        )
    if missing := [key for key in keys if key not in content]:
        raise InputError(f"{path}: {', '.join(missing)} missing. Fetch the file again.")
    return content


def _array(raw: dict, name: str, path: Path, shape: tuple[int | None, ...] | None) -> np.ndarray:
    """raw[name] as float64, finite, of `shape` (None leaves a size, or the whole shape, open)."""
    try:
        array = np.asarray(raw[name], np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {name} is not an array of numbers ({error}).") from error
    if shape is not None and (
        array.ndim != len(shape)
        or any(size not in (None, actual) for size, actual in zip(shape, array.shape, strict=True))
    ):
        expected = tuple("any" if size is None else size for size in shape)
        raise InputError(f"{path}: {name} has shape {array.shape}, expected {expected}.")
    if bad := int((~np.isfinite(array)).sum()):
        raise InputError(
            f"{path}: {name} holds {bad} NaN or infinite numbers. Fetch the file again."
        )
    return array


def _faces(raw: dict, vertex_count: int, path: Path) -> np.ndarray:
    faces = _array(raw, "faces", path, (None, 3)).astype(np.int64)
    if not len(faces) or faces.min() < 0 or faces.max() >= vertex_count:
        raise InputError(
            f"{path}: faces are none, or name vertices outside 0 to {vertex_count - 1}."
        )
    return faces
