"""Layers of canonical Gaussians bound to a body's surface and moved by its skinning."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from avatarpipe.avatar import FORMAT_VERSION, MANIFEST, Avatar
from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import SurfaceBinding, skinned_motion
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_folder, check_part, file_sha256, require_file, write_json
from avatarpipe.gaussians.cloud import GaussianCloud

_CLOUD_TENSORS = ("means", "quats", "scales", "opacities", "colors")
_BINDING_TENSORS = ("corners", "barycentric")


@dataclass
class SkinnedLayer:
    """N canonical Gaussians and where each is bound to the body."""

    cloud: GaussianCloud
    binding: SurfaceBinding


@dataclass
class SkinnedAvatar(Avatar):
    """An avatar whose Gaussians follow the body by closest-point linear blend skinning.

    The body is not copied into the avatar's folder (its licence may forbid it): avatar.json names the file and its
    SHA-256.
    """

    subject: str
    body: Body
    captured: BodyParams
    layers: dict[str, SkinnedLayer]
    provenance: dict = field(default_factory=dict)

    @property
    def layer_names(self) -> tuple[str, ...]:
        return tuple(self.layers)

    def _chosen(self, names: Sequence[str] | None) -> list[str]:
        unknown = set(names or []) - set(self.layers)
        if unknown:
            raise ValueError(f"no layer {sorted(unknown)}; this avatar has {list(self.layers)}")
        return list(names or self.layers)

    def _with_layer_channels(self, name: str) -> GaussianCloud:
        cloud = self.layers[name].cloud
        channels = torch.zeros(len(cloud), len(self.layers), device=cloud.device)
        channels[:, list(self.layers).index(name)] = 1.0
        return replace(cloud, features=channels)

    def canonical(self, layers: Sequence[str] | None = None) -> GaussianCloud:
        return GaussianCloud.concatenate([self._with_layer_channels(n) for n in self._chosen(layers)])

    def pose(self, params: BodyParams, layers: Sequence[str] | None = None) -> GaussianCloud:
        names = self._chosen(layers)
        cloud = self.canonical(names)
        binding = SurfaceBinding.concatenate([self.layers[name].binding for name in names])
        motion = skinned_motion(self.body, binding, params)
        return replace(cloud, means=motion.points(cloud.means), quats=motion.rotations(cloud.quats))

    def save(self, folder: str | Path) -> None:
        folder = Path(folder)
        with atomic_folder(folder) as temporary:
            for name, layer in self.layers.items():
                save_file(_tensors(layer), temporary / f"{name}.safetensors")
            self.captured.save(temporary / "captured.npz")
            write_json(temporary / MANIFEST, self._manifest(folder))

    def _manifest(self, folder: Path) -> dict:
        return {
            "format_version": FORMAT_VERSION,
            "class": f"{type(self).__module__}:{type(self).__qualname__}",
            "subject": self.subject,
            "body": {
                "path": os.path.relpath(self.body.path, folder),
                "sha256": file_sha256(self.body.path),
            },
            "layers": {
                name: {"file": f"{name}.safetensors", "kind": layer.cloud.kind, "count": len(layer.cloud)}
                for name, layer in self.layers.items()
            },
            "provenance": self.provenance,
        }

    @classmethod
    def _read(cls, folder: Path, manifest: dict, device) -> "SkinnedAvatar":
        body = _read_body(folder, manifest, device)
        layers = {
            check_part(name, f"{folder / MANIFEST}: layer"): _read_layer(folder / entry["file"], entry, device)
            for name, entry in manifest["layers"].items()
        }
        captured = BodyParams.load(folder / "captured.npz").to(device)
        return cls(manifest["subject"], body, captured, layers, manifest["provenance"])


def _tensors(layer: SkinnedLayer) -> dict[str, torch.Tensor]:
    cloud = {name: getattr(layer.cloud, name) for name in _CLOUD_TENSORS}
    binding = {name: getattr(layer.binding, name) for name in _BINDING_TENSORS}
    return {name: value.detach().cpu().contiguous() for name, value in (cloud | binding).items()}


def _read_body(folder: Path, manifest: dict, device) -> Body:
    path = require_file(
        folder / manifest["body"]["path"],
        f"{folder / MANIFEST} is bound to this body; put the body model back or train again.",
    )
    if file_sha256(path) != manifest["body"]["sha256"]:
        raise InputError(
            f"{path}: not the body that {folder / MANIFEST} was trained on (SHA-256 differs). "
            "Put that file back or train again."
        )
    return Body(Path(os.path.normpath(path)), device)


def _read_layer(path: Path, entry: dict, device) -> SkinnedLayer:
    require_file(path, f"It is a layer of {path.parent / MANIFEST}; train the avatar again.")
    try:
        tensors = load_file(path, device=str(device))
        cloud = GaussianCloud(**{name: tensors[name] for name in _CLOUD_TENSORS}, kind=entry["kind"])
        binding = SurfaceBinding(**{name: tensors[name] for name in _BINDING_TENSORS})
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a layer of an avatar ({error}). Train it again.") from error
    if len(cloud) != entry["count"]:
        raise InputError(f"{path}: {len(cloud)} Gaussians, but avatar.json says {entry['count']}.")
    return SkinnedLayer(cloud, binding)
