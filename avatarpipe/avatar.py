"""The avatar: a trained subject that can be posed. Every method ends in one; everything after knows only this."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from avatarpipe.body.params import BodyParams
from avatarpipe.errors import InputError
from avatarpipe.files import read_json
from avatarpipe.gaussians.cloud import GaussianCloud

MANIFEST = "avatar.json"
FORMAT_VERSION = 1


class Avatar(ABC):
    """What `Avatar.load` gives: named layers of Gaussians, a captured pose, and `pose`."""

    subject: str
    layer_names: tuple[str, ...]
    captured: BodyParams
    """Shape and pose in which the subject was captured; of a video, those of its first frame."""

    @abstractmethod
    def pose(self, params: BodyParams, layers: Sequence[str] | None = None) -> GaussianCloud:
        """The Gaussians of `layers` (all by default) in the pose of `params` (one body), in world coordinates.

        features: (N, L) one-hot layer channels in the order of layer_names.
        """

    @abstractmethod
    def canonical(self, layers: Sequence[str] | None = None) -> GaussianCloud:
        """The Gaussians as stored: mean shape, canonical pose. features as in `pose`."""

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write the avatar to `folder`: tensors first, avatar.json last."""

    @staticmethod
    def load(path: str | Path, device="cpu") -> "Avatar":
        """The avatar in the folder `path`, or of the avatar.json at `path`. InputError where it is not one."""
        path = Path(path)
        folder = path.parent if path.name == MANIFEST else path
        manifest = read_json(folder / MANIFEST)
        if manifest.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"{folder / MANIFEST}: format version {manifest.get('format_version')}, expected {FORMAT_VERSION}. "
                "Train the avatar again with this version of avatarpipe."
            )
        return _class_of(manifest, folder)._read(folder, manifest, device)


def _class_of(manifest: dict, folder: Path) -> type[Avatar]:
    """The class that the manifest names as module:class; only this package's own are admitted."""
    module, _, name = str(manifest.get("class")).partition(":")
    if module.split(".")[0] == __package__:
        found = getattr(importlib.import_module(module), name, None)
        if isinstance(found, type) and issubclass(found, Avatar):
            return found
    raise InputError(f"{folder / MANIFEST}: {manifest.get('class')} is not an avatar class of avatarpipe.")
