"""4D-Dress (Wang et al., CVPR 2024): textured scans of clothed people with SMPL-X fits and semantic labels.

Layout: {subject}/{outfit}/{sequence}/ with basic_info.pkl, Meshes_pkl/{mesh,atlas}-f{frame}.pkl,
SMPLX/mesh-f{frame}_smplx.pkl and Semantic/labels/label-f{frame}.pkl. Scan and fit share one world: y up, metres.
The fits are for gendered SMPL-X models with 12 PCA coefficients a hand and flat_hand_mean=False.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.capture.frames import frame_numbers
from avatarpipe.capture.labels import Label
from avatarpipe.capture.manifest import check_name
from avatarpipe.datasets.arrays import decode_hand, finite, read_dict, stacked
from avatarpipe.datasets.multiview import Request
from avatarpipe.datasets.scans import ScanSource
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.pickles import load_pickle

# What scan_labels count from 0.
SCAN_LABELS = (Label.SKIN, Label.HAIR, Label.SHOE, Label.UPPER, Label.LOWER, Label.OUTER)
FPS = 30.0
_GENDERS = ("female", "male")


@dataclass(frozen=True)
class Recording:
    """One frame of one sequence of the dataset."""

    folder: Path
    frame: str  # five digits

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


def read(request: Request) -> ScanSource:
    """The scans and fits that `request` asks for; scans are read when they are asked for.

    Option `fps`: scans a second. Raises InputError where the source is no SUBJECT/OUTFIT/SEQUENCE, lacks a frame, or was
    fitted with the body of another gender.
    """
    recordings = find(request.root, request.source, request.frames, request.gender)
    numbers = [int(recording.frame) for recording in recordings]
    fps = float(request.options.get("fps", FPS))
    return ScanSource(
        frames=tuple(recording.frame for recording in recordings),
        times=tuple((number - numbers[0]) / fps for number in numbers),
        poses=stacked([read_fit(recording, request.body) for recording in recordings]),
        scan=lambda index: read_scan(recordings[index]),
        inputs=_inputs(recordings),
    )


def _inputs(recordings: list[Recording]) -> dict[str, Path]:
    """Every file that is read, by role; of several frames with the frame behind the role."""
    several = len(recordings) > 1
    return {
        f"{role}-{recording.frame}" if several and role != "basic_info" else role: path
        for recording in recordings
        for role, path in recording.files().items()
        if path.exists()
    }


def find(root: str | Path, source: str, frames: str, gender: str | None = None) -> list[Recording]:
    """The frames of `source` ("00122/Inner/Take8") below `root` that `frames` names.

    Raises InputError where the source is no such path, its folder is missing, it does not list a frame, or it says that
    its subject is of another gender than `gender` (None: not compared; basic_info.pkl need not say).
    """
    folder = _folder(root, source)
    path = folder / "basic_info.pkl"
    info = load_pickle(path)
    listed = info.get("scan_frames") if isinstance(info, dict) else None
    if listed is None or len(listed) == 0:
        raise InputError(f"{path}: scan_frames is missing or empty. Fetch the file again.")
    found = str(info.get("gender", "")).lower()
    if gender is not None and found in _GENDERS:
        _check_gender(found, gender, path)
    try:
        numbers = frame_numbers(frames, sorted(int(name) for name in listed))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return [Recording(folder, f"{number:05d}") for number in numbers]


def _folder(root: str | Path, source: str) -> Path:
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
    return folder


def _check_gender(found: str, wanted: str, path: Path) -> None:
    if found != wanted:
        raise InputError(
            f"{path}: the subject is {found}, but {wanted} was asked for; its fits belong to the {found} body. "
            f"Write {found} in the subject table."
        )


def read_scan(recording: Recording) -> Mesh:
    """The textured scan, with vertex labels (our `Label`) where the recording has them.

    Raises InputError on shapes that do not fit together, NaN, and labels that do not match the vertices.
    """
    files = recording.files()
    raw = read_dict(files["mesh"], ("vertices", "faces", "uvs"))
    vertices = finite(raw, "vertices", files["mesh"], (None, 3))
    faces = _faces(raw, len(vertices), files["mesh"])
    uvs = finite(raw, "uvs", files["mesh"], (len(vertices), 2)).astype(np.float32)
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
    labels = np.asarray(read_dict(path, ("scan_labels",))["scan_labels"])
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
    raw = read_dict(path, tuple(SIZES))
    arrays = {}
    for name, size in SIZES.items():
        values = np.atleast_2d(finite(raw, name, path, None))
        if name.endswith("hand_pose"):
            values = decode_hand(values, name, body, path)
        if values.shape != (1, size):
            raise InputError(f"{path}: {name} has shape {np.shape(raw[name])}, expected ({size},).")
        arrays[name] = values
    return BodyParams.from_arrays(arrays, path)


def _faces(raw: dict, vertex_count: int, path: Path) -> np.ndarray:
    faces = finite(raw, "faces", path, (None, 3)).astype(np.int64)
    if not len(faces) or faces.min() < 0 or faces.max() >= vertex_count:
        raise InputError(
            f"{path}: faces are none, or name vertices outside 0 to {vertex_count - 1}."
        )
    return faces
