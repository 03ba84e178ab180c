"""The trained animatable avatar: poses in, Gaussians out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from avatarpipe.avatar import FORMAT_VERSION, MANIFEST, Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_folder, require_file, write_json
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.methods.animatable.model import AnimatableModel, CanonicalGaussians
from avatarpipe.methods.animatable.projection import PoseProjection, Projecting
from avatarpipe.methods.animatable.rig import BODY, Rig
from avatarpipe.methods.animatable.scaffold import Scaffold
from avatarpipe.methods.animatable.settings import ModelSettings
from avatarpipe.prefixes import prefixed, under
from avatarpipe.settings import build_settings

LAYER = "body"
_TENSORS, _PROJECTION = f"{LAYER}.safetensors", "projection.safetensors"
_PROJECTION_TEXT = "projection.json"
_PARAMETERS, _SCAFFOLD, _RIG = "parameters.", "scaffold.", "rig."


@dataclass
class AnimatableAvatar(Avatar):
    """Gaussians that the pose shapes and skinning moves. The subject keeps its own shape: betas of a pose have no say.

    bases, harmonics: whether training got as far as to let the pose shape the Gaussians, and the view their colour.
    """

    subject: str
    captured: BodyParams
    model: AnimatableModel
    rig: Rig
    projection: PoseProjection
    settings: ModelSettings
    bases: bool = True
    harmonics: bool = True
    provenance: dict = field(default_factory=dict)

    layer_names = (LAYER,)

    def _checked(self, layers: Sequence[str] | None) -> None:
        if unknown := set(layers or []) - {LAYER}:
            raise ValueError(
                f"no layer {sorted(unknown)}; this avatar has {list(self.layer_names)}"
            )

    def projecting(self, mode: Projecting) -> "AnimatableAvatar":
        """The same avatar that projects all poses before its networks see them, none, or (auto) unseen ones."""
        return replace(self, projection=self.projection.switched(mode))

    def shaped(self, pose: torch.Tensor) -> CanonicalGaussians:
        """The canonical Gaussians for a pose (165,), which is projected where training never saw it."""
        theta = None
        if self.bases:
            seen = self.projection.network_input(pose[BODY].detach().cpu().numpy())
            theta = torch.from_numpy(seen).to(self.model.scaffold.points)
        return self.model.canonical(theta, self.harmonics)

    def canonical(self, layers: Sequence[str] | None = None) -> GaussianCloud:
        self._checked(layers)
        return _with_channel(self.shaped(torch.from_numpy(self.rig.canonical)).cloud())

    def pose(self, params: BodyParams, layers: Sequence[str] | None = None) -> GaussianCloud:
        self._checked(layers)
        if len(params) != 1:
            raise ValueError(f"one pose at a time, not {len(params)}")
        canonical = self.shaped(params.full_pose[0])
        return _with_channel(self.model.posed(canonical, self.rig.bones(params)))

    def save(self, folder: str | Path) -> None:
        tensors = prefixed(_PARAMETERS, self.model.parameters)
        tensors |= prefixed(_SCAFFOLD, self.model.scaffold.state())
        tensors |= prefixed(_RIG, self.rig.state())
        with atomic_folder(folder) as temporary:
            flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
            save_file(flat, temporary / _TENSORS)
            self.projection.save(temporary / _PROJECTION)
            write_json(temporary / _PROJECTION_TEXT, self.projection.document())
            self.captured.save(temporary / "captured.npz")
            write_json(temporary / MANIFEST, self._manifest())

    def _manifest(self) -> dict:
        count = len(self.model.scaffold.points)
        return {
            "format_version": FORMAT_VERSION,
            "class": f"{type(self).__module__}:{type(self).__qualname__}",
            "subject": self.subject,
            "layers": {LAYER: {"file": _TENSORS, "kind": "ellipsoid", "count": count}},
            "model": asdict(self.settings),
            "bases": self.bases,
            "harmonics": self.harmonics,
            "provenance": self.provenance,
        }

    @classmethod
    def _read(cls, folder: Path, manifest: dict, device) -> "AnimatableAvatar":
        try:
            values, switches = (
                manifest["model"],
                (bool(manifest["bases"]), bool(manifest["harmonics"])),
            )
            subject, provenance = manifest["subject"], manifest["provenance"]
        except KeyError as error:
            raise InputError(
                f"{folder / MANIFEST}: lacks {error}. Train the avatar again."
            ) from error
        settings = build_settings(ModelSettings, values, f"{folder / MANIFEST}: model")
        model, rig = _read_model(folder / _TENSORS, settings, device)
        captured = BodyParams.load(folder / "captured.npz").to(device)
        projection = PoseProjection.load(folder / _PROJECTION)
        return cls(subject, captured, model, rig, projection, settings, *switches, provenance)


def _read_model(path: Path, settings: ModelSettings, device) -> tuple[AnimatableModel, Rig]:
    require_file(path, f"It is the model of {path.parent / MANIFEST}; train the avatar again.")
    try:
        tensors = load_file(path, device=str(device))
        scaffold = Scaffold.from_state(under(_SCAFFOLD, tensors), settings, device)
        rig = Rig.from_state(under(_RIG, tensors), settings.head_joints)
        parameters = under(_PARAMETERS, tensors)
        if len(parameters["looks"]) != len(scaffold.points):
            raise ValueError(
                f"{len(parameters['looks'])} looks of {len(scaffold.points)} Gaussians"
            )
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not an animatable model ({error}). Train it again.") from error
    return AnimatableModel(scaffold, parameters, settings.shift_limit), rig


def _with_channel(cloud: GaussianCloud) -> GaussianCloud:
    return replace(cloud, features=torch.ones(len(cloud), 1, device=cloud.device))
