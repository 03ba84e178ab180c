"""capture.json: a closed, versioned list of what a capture holds and where, relative to the manifest's folder."""

import os
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import read_json, write_json

MANIFEST_NAME = "capture.json"
FORMAT_VERSION = 1
GENDERS = ("neutral", "female", "male")
FILES = ("frames", "poses", "cameras", "views", "scan")
FOLDERS = ("images", "masks", "boundaries", "labels", "truth_labels", "class_maps", "hidden")


@dataclass(frozen=True)
class Manifest:
    """What capture.json says. Paths are relative to its folder and may lead to the folder of an earlier step.

    frames: parquet, a row a frame. poses: npz, a body a frame. cameras: parquet, a row a camera. scan: a mesh, with
    "{frame}" in the name where each frame has its own. images, masks, labels, truth_labels, class_maps: folders of
    {frame}/{camera}.png; class_maps keep a segmenter's own numbering. boundaries: pixels that no comparison should count.
    views: parquet, a row for each frame and camera that has an image, with the files of its image, mask and boundary;
    without it every camera saw every frame. photographs: the images show their background too. hidden: a folder of
    {garment}/{images,masks}/{frame}/{camera}.png, the subject without that garment (synthetic subjects only).
    normalization: 4x4 from the dataset's world to this one. truth: ground truth by name. fit: how well body and scan agree.
    """

    subject: str
    gender: str
    frames: str
    poses: str
    provenance: dict
    cameras: str | None = None
    views: str | None = None
    scan: str | None = None
    images: str | None = None
    masks: str | None = None
    boundaries: str | None = None
    labels: str | None = None
    truth_labels: str | None = None
    class_maps: str | None = None
    hidden: str | None = None
    photographs: bool | None = None
    normalization: list[list[float]] | None = None
    fit: dict[str, float] | None = None
    truth: dict[str, str] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write capture.json, without the entries that are None."""
        content = {name: value for name, value in asdict(self).items() if value is not None}
        write_json(
            path, {"format": "avatarpipe.capture", "format_version": FORMAT_VERSION, **content}
        )

    @staticmethod
    def load(path: str | Path) -> "Manifest":
        """Read and check capture.json; InputError names the key that is missing, unknown or wrong."""
        document = read_json(path)
        if not isinstance(document, dict) or document.pop("format", None) != "avatarpipe.capture":
            raise InputError(f"{path}: not a capture manifest. Give the capture.json of a capture.")
        version = document.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise InputError(
                f"{path}: format_version {version!r}, but this avatarpipe reads {FORMAT_VERSION}. "
                "Rerun the step that wrote it."
            )
        _check_keys(document, path)
        _check_values(document, path)
        return Manifest(**document)

    def moved(self, old_folder: Path, new_folder: Path, **changes) -> "Manifest":
        """The manifest as it must read in `new_folder` to mean the same files, with `changes` laid over it."""
        content = asdict(self)
        for name in (*FILES, *FOLDERS):
            if content[name]:
                content[name] = relative(old_folder / content[name], new_folder)
        content["truth"] = {
            name: relative(old_folder / target, new_folder) for name, target in self.truth.items()
        }
        return Manifest(**(content | changes))


def _check_keys(document: dict, path: str | Path) -> None:
    known = {item.name: item for item in fields(Manifest)}
    required = {
        name
        for name, item in known.items()
        if item.default is MISSING and item.default_factory is MISSING
    }
    if unknown := sorted(document.keys() - known.keys()):
        raise InputError(f"{path}: unknown key {', '.join(unknown)}. Known are {', '.join(known)}.")
    if missing := sorted(required - document.keys()):
        raise InputError(
            f"{path}: key {', '.join(missing)} is missing. Rerun the step that wrote it."
        )


def _check_values(document: dict, path: str | Path) -> None:
    check_name(document["subject"], f"{path}: subject")
    if document["gender"] not in GENDERS:
        raise InputError(f"{path}: gender {document['gender']!r}; use one of {', '.join(GENDERS)}.")
    for name in (*FILES, *FOLDERS):
        if not isinstance(document.get(name, ""), str):
            raise InputError(f"{path}: {name} must be a path relative to the manifest.")
    if not isinstance(document.get("photographs", True), bool):
        raise InputError(f"{path}: photographs must be true or false.")
    truth = document.get("truth", {})
    if not isinstance(truth, dict) or not all(isinstance(target, str) for target in truth.values()):
        raise InputError(f"{path}: truth must give a relative path for each name.")
    matrix = np.asarray(document.get("normalization", np.eye(4)), dtype=object)
    if matrix.shape != (4, 4) or not all(isinstance(x, (int, float)) for x in matrix.flat):
        raise InputError(f"{path}: normalization must be 4 rows of 4 numbers.")


def check_name(name: object, what: str) -> str:
    """`name` if it can name a folder (letters, digits, dot, dash, underscore), or InputError about `what`."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(
            f"{what} {name!r}: only letters, digits, '.', '-' and '_' make a name, starting with a letter or digit."
        )
    return name


def relative(target: str | Path, folder: str | Path) -> str:
    """`target` as seen from `folder`, with forward slashes, both resolved by name only."""
    return Path(os.path.relpath(target, folder)).as_posix()
