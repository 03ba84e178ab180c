"""Which avatars lie at a path: one, those of a subject, all of a results folder, snapshots of a running training."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avatarpipe.avatar import MANIFEST
from avatarpipe.errors import InputError

SNAPSHOT = "snapshot"
_TRAINED = "avatar"
_DEEPEST = 6  # folders below the path: results/{subject}/{method}/{stage}/avatar is 5
_NO_AVATARS_IN = frozenset(
    ("images", "masks", "labels", "hidden", "truth_labels", "frames", "ply", "checkpoints")
)  # folders of thousands of files
_LISTED = 8


@dataclass(frozen=True)
class FoundAvatar:
    """An avatar's manifest and what the viewer calls it."""

    name: str
    manifest: Path

    @property
    def in_training(self) -> bool:
        """Whether it is a snapshot that a running training refreshes."""
        return self.manifest.parent.name == SNAPSHOT

    @property
    def trained(self) -> Path:
        """The manifest that stands beside a snapshot once the training is over."""
        return self.manifest.parent.parent / _TRAINED / MANIFEST


def find_avatars(path: str | Path) -> list[FoundAvatar]:
    """The avatars at `path`, by name: a manifest, an avatar's folder, or any folder above up to the results folder.

    Raises InputError where there is none, naming what was found instead.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder. Give a results folder, a subject's, or an avatar's."
        )
    if path.is_file() and path.name != MANIFEST:
        raise InputError(f"{path}: an {MANIFEST} or a folder with one was expected.")
    root = path.parent if path.is_file() else path
    manifests = sorted([root / MANIFEST] if path.is_file() else _manifests(root))
    if not manifests:
        raise InputError(
            f"{path}: no avatar here: no folder up to {_DEEPEST} below has an {MANIFEST}. Found {_listing(root)}. "
            "Train first, or wait for the first snapshot of a running training."
        )
    return [FoundAvatar(_name(manifest, root), manifest) for manifest in manifests]


def by_age(avatars: list[FoundAvatar]) -> list[FoundAvatar]:
    """The youngest first: what was just trained, or is being trained."""
    return sorted(avatars, key=lambda found: _written(found.manifest), reverse=True)


def _written(manifest: Path) -> float:
    try:
        return manifest.stat().st_mtime
    except OSError:  # a snapshot being replaced
        return 0.0


def _manifests(folder: Path, deeper: int = _DEEPEST) -> Iterator[Path]:
    """Every manifest below; folders that are being written (their names start with a dot) are left out."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # gone meanwhile, or not ours to read
        return
    if any(entry.name == MANIFEST and entry.is_file() for entry in entries):
        yield folder / MANIFEST
        return
    for entry in entries if deeper else []:
        hidden = entry.name.startswith(".") or entry.name in _NO_AVATARS_IN
        if not hidden and entry.is_dir(follow_symlinks=True):
            yield from _manifests(Path(entry.path), deeper - 1)


def _name(manifest: Path, root: Path) -> str:
    """Subject / method / stage as far as the path tells them; a snapshot is marked, the folder "avatar" goes without saying."""
    parts = list(manifest.parent.relative_to(root).parts)
    if not parts:
        parts = list(manifest.parent.absolute().parts[-4:])
    if parts[-1] == _TRAINED and len(parts) > 1:
        parts.pop()
    if parts[-1] == SNAPSHOT and len(parts) > 1:
        parts[-1] = "(in training)"
    return " / ".join(parts)


def _listing(folder: Path) -> str:
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir())
    if not names:
        return "nothing"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
