"""Which images of a recording lie on disk, found by listing folders, never by asking for one file after the other."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from avatarpipe.datasets.multiview import View
from avatarpipe.errors import InputError

_ENDING = r"\.(?:jpg|jpeg|png)"


def numbered_files(folder: Path, pattern: str = r"(\d+)") -> dict[int, Path]:
    """{number: file} of the JPEG and PNG files of `folder` whose stem fits `pattern`, whose group is the number.

    A folder that is not there has no files. InputError where two files claim one number.
    """
    wanted = re.compile(pattern + _ENDING, re.IGNORECASE)
    found: dict[int, Path] = {}
    for name in _names(folder):
        if match := wanted.fullmatch(name):
            if (number := int(match[1])) in found:
                raise InputError(
                    f"{folder / name} and {found[number].name} are both frame {number}. Delete one of them."
                )
            found[number] = folder / name
    return found


def listed_as_missing(path: Path, cameras: Sequence[str]) -> set[tuple[str, int]]:
    """(camera, frame number) of each line of missing_img_files.txt or its like; none where there is no such file.

    A line is a path with either kind of slash, in which a folder is the camera and the last number the frame.
    """
    if not path.is_file():
        return set()
    listed = set()
    for line in path.read_text(errors="replace").splitlines():
        *folders, name = re.split(r"[\\/]", line.strip())
        camera = next((folder for folder in reversed(folders) if folder in cameras), None)
        if (numbers := re.findall(r"\d+", name)) and camera is not None:
            listed.add((camera, int(numbers[-1])))
    return listed


def pair_views(
    frames: Sequence[tuple[int, str]],
    cameras: Sequence[str],
    images: Sequence[Mapping[int, Path]],
    masks: Sequence[Mapping[int, Path]],
    listed: Mapping[str, set[tuple[str, int]]],
) -> tuple[list[View], list[tuple[str, str, str]]]:
    """The views that have both image and mask, and (frame name, camera, reason) of each that has not.

    frames: number and name. images, masks: files by number, a mapping a camera. listed: what lists of missing files name.
    """
    views, missing = [], []
    for index, (number, name) in enumerate(frames):
        for camera, label in enumerate(cameras):
            reasons = [
                f"listed in {file}" for file, pairs in listed.items() if (label, number) in pairs
            ]
            reasons += ["no image"] * (number not in images[camera])
            reasons += ["no mask"] * (number not in masks[camera])
            if reasons:
                missing.append((name, label, reasons[0]))
            else:
                views.append(View(index, camera, images[camera][number], masks[camera][number]))
    return views, missing


def check_cameras_and_folders(
    calibrated: Sequence[str], chosen: Sequence[str], folders: Sequence[str], path: Path
) -> None:
    """InputError where a folder of images has no calibration, or a chosen camera no folder; `path` is the calibration."""
    if strangers := sorted(set(folders) - set(calibrated)):
        raise InputError(
            f"{path}: no camera {', '.join(strangers)}, but the dataset has a folder of its images. "
            "Fetch the whole calibration again, or move the folder away."
        )
    if absent := [name for name in chosen if name not in set(folders)]:
        raise InputError(
            f"{path.parent}: no images of camera {', '.join(absent)}, which {path.name} lists. "
            "Fetch them, or name the cameras that you have in the option cameras."
        )


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in `folder`; none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."
            )
    except FileNotFoundError:
        return []


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
