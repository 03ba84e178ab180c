"""A capture, written: everything else first, the manifest last, all of it or nothing."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.errors import InputError
from avatarpipe.tables import write_table

_DRAFT = ".partial-"


def write_frames(
    folder: Path, poses: BodyParams, names: Sequence[str], times: Sequence[float]
) -> dict:
    """frames.parquet and poses.npz in `folder`; returns the entries that the manifest needs."""
    table = pd.DataFrame({"frame": list(names), "time": [float(time) for time in times]})
    write_table(table, folder / "frames.parquet")
    poses.save(folder / "poses.npz")
    return {"frames": "frames.parquet", "poses": "poses.npz"}


def write_cameras(folder: Path, cameras: dict[str, Cameras]) -> dict:
    """cameras.parquet in `folder` from the cameras by split; returns the entry that the manifest needs."""
    tables = [part.to_table().assign(split=split) for split, part in cameras.items() if len(part)]
    write_table(pd.concat(tables, ignore_index=True), folder / "cameras.parquet")
    return {"cameras": "cameras.parquet"}


@contextmanager
def publishing(manifest_path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder; if the block succeeds, what it holds moves beside `manifest_path`, the manifest last.

    The old manifest goes first, so that a manifest in place always speaks of what lies beside it; if the block fails
    nothing has changed. Entries of other names in the folder are left alone, but for what a killed run left of its draft.
    """
    manifest_path = Path(manifest_path)
    if manifest_path.suffix != ".json":
        raise InputError(f"{manifest_path}: the output is a manifest; its name must end in .json.")
    folder = manifest_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{_DRAFT}*"):
        shutil.rmtree(leftover)
    with TemporaryDirectory(prefix=_DRAFT, dir=folder) as name:
        draft = Path(name)
        yield draft
        manifest_path.unlink(missing_ok=True)
        entries = sorted(draft.iterdir(), key=lambda entry: entry.name == manifest_path.name)
        for entry in entries:
            _replace(entry, folder / entry.name, draft)


def _replace(entry: Path, target: Path, draft: Path) -> None:
    """Move `entry` to `target`; what stood there is deleted together with the draft."""
    if target.exists():
        target.rename(draft / f".old-{target.name}")
    entry.rename(target)
