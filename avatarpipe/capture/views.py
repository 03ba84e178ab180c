"""Which camera saw which frame, and in which files: a table where images are missing, else every camera every frame."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from avatarpipe.errors import InputError
from avatarpipe.tables import read_table

FILE_COLUMNS = {"images": "image", "masks": "mask", "boundaries": "boundary"}
"""Kinds of image whose files the table names, and the columns that do."""


class Views:
    """The (frame, camera) pairs that were seen, frame by frame in the capture's order.

    Images of the kinds in FILE_COLUMNS lie where the table says, seen from the table's own folder; all others, and all
    where there is no table, at {frame}/{camera}.png of their kind's folder.
    """

    def __init__(self, frames: Sequence[str], cameras: Sequence[str], table_path: Path | None):
        self._path = table_path
        if table_path is None:
            self.table = _product(frames, cameras)
        else:
            self.table = _ordered(read_table(table_path, ["frame", "camera"]), frames, cameras, table_path)
        pairs = zip(self.table["frame"], self.table["camera"], strict=True)
        self._rows = {pair: row for row, pair in enumerate(pairs)}

    def __contains__(self, pair: tuple[str, str]) -> bool:
        return pair in self._rows

    def names_files_of(self, kind: str) -> bool:
        """Whether the table says where the files of `kind` lie."""
        return FILE_COLUMNS.get(kind) in self.table.columns

    def path(self, kind: str, folder: Path, frame: str, camera: str) -> Path:
        """The file of a kind, whose folder is `folder`; InputError where the camera did not see the frame."""
        row = self._rows.get((frame, camera))
        if row is None:
            raise InputError(
                f"{self._path}: camera {camera} has no image of frame {frame}; missing.csv of the conversion says why. "
                "Use only the views that the table lists."
            )
        if not self.names_files_of(kind):
            return folder / frame / f"{camera}.png"
        return self._path.parent / self.table[FILE_COLUMNS[kind]].iat[row]

    def first_absent(self, kind: str, folder: Path) -> Path | None:
        """The first {frame}/{camera}.png in `folder` that is not there; files that the table names are trusted to be."""
        if self.names_files_of(kind):
            return None
        for frame, cameras in self._cameras_by_frame.items():
            present = _names_in(folder / frame)
            for name in cameras:
                if f"{name}.png" not in present:
                    return folder / frame / f"{name}.png"
        return None

    @cached_property
    def _cameras_by_frame(self) -> dict[str, list[str]]:
        seen: dict[str, list[str]] = {}
        for frame, camera in self._rows:
            seen.setdefault(frame, []).append(camera)
        return seen

    @cached_property
    def first_of_each_camera(self) -> list[tuple[str, str]]:
        """The (frame, camera) at which each camera is first seen."""
        first = self.table.drop_duplicates("camera")
        return list(zip(first["frame"], first["camera"], strict=True))


def _names_in(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def _product(frames: Sequence[str], cameras: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"frame": [frame for frame in frames for _ in cameras], "camera": list(cameras) * len(frames)}
    )


def _ordered(table: pd.DataFrame, frames: Sequence[str], cameras: Sequence[str], path: Path) -> pd.DataFrame:
    """The table sorted as the capture's frames and cameras are, each pair checked to be one of theirs and to come once."""
    for column, names in (("frame", frames), ("camera", cameras)):
        if unknown := sorted(set(table[column]) - set(names)):
            raise InputError(
                f"{path}: {column} {unknown[0]} is none of the capture's. Rerun the step that writes the table."
            )
    if not len(table) or table.duplicated(["frame", "camera"]).any():
        raise InputError(f"{path}: empty, or a view is listed twice. Rerun the step that writes the table.")
    ranks = {
        "frame": {name: rank for rank, name in enumerate(frames)},
        "camera": {name: rank for rank, name in enumerate(cameras)},
    }
    return table.sort_values(
        ["frame", "camera"], key=lambda column: column.map(ranks[column.name]), ignore_index=True
    )
