"""From a capture, a body and a volume of skinning weights to a training that is ready to run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from avatarpipe.body.model import Body
from avatarpipe.body.weight_volume import WeightVolume
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit
from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256, read_json
from avatarpipe.mesh.mesh import Mesh, load_mesh
from avatarpipe.methods.animatable.initial import initial_model
from avatarpipe.methods.animatable.losses import Perceptual
from avatarpipe.methods.animatable.rig import Rig
from avatarpipe.methods.animatable.scaffold import sample_template
from avatarpipe.methods.animatable.settings import AnimatableSettings
from avatarpipe.methods.animatable.stage import AnimatableStage
from avatarpipe.methods.animatable.template import body_template, given_template, layered_template
from avatarpipe.methods.animatable.views import VideoViews
from avatarpipe.training.distributed import ALONE, Team

SAME_SHAPE = 1e-3  # of a shape number: a millimetre at most
LAYERED_MESH = "composite.ply"  # beside the mesh.json of a layered avatar's meshes

Template = Literal["body", "given", "layered"]


@dataclass(frozen=True)
class Beginning:
    """What a training starts from, checked to belong together.

    template_mesh: of a given template the mesh, of a layered one the mesh.json of that method's meshes.
    """

    capture: Capture
    split: FrameSplit
    body: Body
    volume: WeightVolume
    settings: AnimatableSettings
    seed: int
    device: torch.device
    template: Template = "body"
    template_mesh: Path | None = None
    team: Team = ALONE

    @property
    def betas(self) -> torch.Tensor:
        """(10,) the subject's shape."""
        return self.capture.poses.betas[0]

    def surface(self) -> Mesh:
        """The template in the canonical pose. InputError where it does not lie on the body."""
        where = self.body, self.betas, self.settings.model.legs_apart_deg
        if self.template == "body":
            return body_template(*where)
        if self.template_mesh is None:
            raise InputError(f"template {self.template}: --template-mesh must name its file.")
        if self.template == "given":
            return given_template(self.template_mesh, *where)
        return layered_template(load_mesh(self.template_mesh.parent / LAYERED_MESH), *where)

    def stage(self, perceptual: Perceptual | None) -> AnimatableStage:
        """The training, before its first iteration: the same for the same seed."""
        model = self.settings.model
        mesh = self.surface()
        sampled = sample_template(mesh.vertices, mesh.faces, model, self.seed)
        weights = self.volume.sample(torch.from_numpy(sampled.points))
        views = VideoViews(self.capture, "train", self.device, self.split.train, team=self.team)
        return AnimatableStage(
            initial_model(sampled, weights, model, self.seed, self.device),
            Rig.of(self.body, self.betas, model.legs_apart_deg, model.head_joints),
            views,
            self.settings,
            self.seed,
            perceptual,
        )


def matching_volume(
    manifest: Path, body: Path, betas: torch.Tensor, legs_apart_deg: float
) -> WeightVolume:
    """The volume that `manifest` (weights.json) speaks of. InputError where it was made around another body or shape.

    body: the SMPLX_*.npz. betas: (10,) the subject's shape. legs_apart_deg: of the canonical pose.
    """
    told = read_json(manifest)
    again = "Make the weights again: `avatarpipe weight-volume`."
    try:
        name, canonical = told["weights"], told["canonical"]
        made_around = told["provenance"]["inputs"]["body"]["sha256"]
        shape = torch.tensor(canonical["betas"], dtype=torch.float32)
        legs = float(canonical["legs_apart_deg"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{manifest}: not the manifest of skinning weights ({error}). {again}"
        ) from error
    if made_around != file_sha256(body):
        raise InputError(f"{manifest}: its weights are those of another body than {body}. {again}")
    if shape.shape != betas.shape or (shape - betas.cpu()).abs().max() > SAME_SHAPE:
        raise InputError(
            f"{manifest}: its weights lie around another shape than the capture's. {again}"
        )
    if abs(legs - legs_apart_deg) > 1e-6:
        raise InputError(
            f"{manifest}: its weights lie around a body with legs {legs:g} degrees apart, not {legs_apart_deg:g}. {again}"
        )
    return WeightVolume.load(manifest.parent / name)
