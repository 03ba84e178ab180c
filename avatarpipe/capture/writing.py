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
from avatarpipe.locks import alone
from avatarpipe.record import note_written
from avatarpipe.tables import write_table

_DRAFT = ".partial-"
_RESUMED = ".unfinished"
_OLD = ".old-"
_LOCK = ".writing"


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


def write_split(folder: Path, cameras: Cameras, test: Sequence[str]) -> dict:
    """cameras.parquet in `folder`, in the cameras' own order, those named in `test` held out; returns the manifest's entry."""
    split = ["test" if name in test else "train" for name in cameras.names]
    write_table(cameras.to_table().assign(split=split), folder / "cameras.parquet")
    return {"cameras": "cameras.parquet"}


def write_views(folder: Path, views: pd.DataFrame) -> dict:
    """views.parquet in `folder`: frame, camera and the files image, mask, boundary, seen from it; returns the entry."""
    write_table(views, folder / "views.parquet")
    return {"views": "views.parquet"}


@contextmanager
def publishing(manifest_path: str | Path, resume: bool = False) -> Iterator[Path]:
    """Yield a temporary folder; if the block succeeds, what it holds moves beside `manifest_path`, the manifest last.

    The old manifest goes first, so that a manifest in place always speaks of what lies beside it; if the block fails
    nothing has changed. Entries of other names in the folder are left alone, but for what a killed run left of its draft.
    resume: the draft of a run that failed or was killed is kept, and yielded again to the next one, which must itself
    know what in there is whole and still wanted. Entries whose names begin with a dot are notes of the draft: not moved.
    InputError where another process publishes in the same folder: what it is at would be taken for what a kill has left.
    """
    manifest_path = Path(manifest_path)
    if manifest_path.suffix != ".json":
        raise InputError(f"{manifest_path}: the output is a manifest; its name must end in .json.")
    folder = manifest_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / _LOCK, "writing"):
        for leftover in folder.glob(f"{_DRAFT}*"):
            shutil.rmtree(leftover)
        with _kept_draft(folder) if resume else _fresh_draft(folder) as draft:
            yield draft
            _move(draft, manifest_path)


def _move(draft: Path, manifest_path: Path) -> None:
    """What the draft holds, to beside the manifest, which goes first and comes last."""
    manifest_path.unlink(missing_ok=True)
    entries = [entry for entry in draft.iterdir() if not entry.name.startswith(".")]
    for entry in sorted(entries, key=lambda entry: entry.name == manifest_path.name):
        _replace(entry, manifest_path.parent / entry.name, draft)
        note_written(manifest_path.parent / entry.name)


@contextmanager
def _fresh_draft(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder / _RESUMED, ignore_errors=True)
    with TemporaryDirectory(prefix=_DRAFT, dir=folder) as name:
        yield Path(name)


@contextmanager
def _kept_draft(folder: Path) -> Iterator[Path]:
    """The same folder for every run until one succeeds."""
    draft = folder / _RESUMED
    draft.mkdir(exist_ok=True)
    for old in draft.glob(f"{_OLD}*"):  # of a run killed while it published
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    yield draft
    shutil.rmtree(draft)


def _replace(entry: Path, target: Path, draft: Path) -> None:
    """Move `entry` to `target`; what stood there is deleted together with the draft."""
    if target.exists() or target.is_symlink():
        target.rename(draft / f"{_OLD}{target.name}")
    entry.rename(target)
