"""Train an animatable avatar on the frames of a video. Killed and started again, it goes on where it was.

    avatarpipe train-animatable --variant full --capture results/vic/normalize/capture.json \\
        --weights results/vic/animatable/weights/weights.json --body results/body/SMPLX_MALE.npz \\
        --out results/vic/animatable/full/avatar/avatar.json --curves results/vic/animatable/full/curves.parquet
"""

import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import frame_split
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.methods.animatable.beginning import Beginning, Template, matching_volume
from avatarpipe.methods.animatable.losses import Perceptual
from avatarpipe.methods.animatable.settings import AnimatableSettings, animatable_settings
from avatarpipe.methods.animatable.stage import AnimatableStage
from avatarpipe.methods.animatable.variants import Variant, variant_settings
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.training.checkpoint import Checkpoints
from avatarpipe.training.distributed import Team, joined
from avatarpipe.training.loop import train
from avatarpipe.training.perceptual import perceptual

log = logging.getLogger(__name__)


@dataclass
class TrainAnimatable:
    """An avatar whose Gaussians follow the pose, from the training cameras and training frames of a capture."""

    capture: Path
    """The capture.json of a video, with images and masks."""
    weights: Path
    """The weights.json of the subject's volume of skinning weights."""
    body: Path
    """The SMPLX_*.npz that the capture was fitted with."""
    out: Path
    """The avatar's manifest, such as results/SUBJECT/animatable/full/avatar/avatar.json."""
    curves: Path
    """Where the training curves go (Parquet)."""
    variant: Variant = "full"
    """full, or skinned: the baseline in which the pose moves the Gaussians and never shapes them."""
    template: Template = "body"
    """What the Gaussians start on: body, given (a mesh in the canonical pose) or layered (the layered method's mesh)."""
    template_mesh: str = ""
    """The mesh of a given template; of a layered one the mesh.json of its meshes."""
    novel_frames: str = ""
    """Frames that are not trained on, such as 1200-1499; none; empty: as a synthetic video's split.json says."""
    settings: str = "{}"
    """The settings as a JSON object; what is left out has the published value."""
    lpips: Path = Path("resources/lpips")
    """Folder of the weights of LPIPS; without them 1 - SSIM takes its place."""
    seed: int = 0
    device: str = "auto"
    """auto, cpu or cuda."""


def run(options: TrainAnimatable) -> None:
    """Train, alone or as one of the processes that torchrun has started."""
    with joined(chosen_device(options.device)) as (team, device):
        _run(options, team, device)


def _run(options: TrainAnimatable, team: Team, device) -> None:
    """Train from the newest checkpoint, write the avatar and the curves, then drop checkpoints and snapshot."""
    inputs = _inputs(options)
    settings = variant_settings(animatable_settings(_parsed(options.settings)), options.variant)
    if team.size > settings.cameras_per_step:
        raise InputError(
            f"{team.size} processes share the cameras of an iteration, of which there are {settings.cameras_per_step}. Raise "
            "`animatable.cameras_per_step`, or lower `animatable.gpus`."
        )
    distance, described = _perceptual(options, settings, device)
    made_by = provenance(inputs, asdict(options), options.seed) | {"perceptual": described}
    stage = _stage(options, settings, distance, team, device)
    subject, folder = stage.views.capture.subject, options.out.parent.parent
    checkpoints = Checkpoints(folder / "checkpoints", identity=made_by)

    def snapshot(done: int) -> None:
        stage.avatar(subject, done, made_by | {"iteration": done}).save(folder / "snapshot")

    curves = train(
        stage, settings.iterations, checkpoints, f"{subject} {options.variant}", device, settings.checkpoint_every,
        after_checkpoint=snapshot, team=team,
    )  # fmt: skip
    if not team.leads:
        return
    curves.save(options.curves)
    stage.avatar(subject, settings.iterations, made_by).save(options.out.parent)
    checkpoints.clear()
    for left in (folder / "snapshot", *folder.glob(".snapshot.*")):  # and what a killed run had begun of it
        shutil.rmtree(left, ignore_errors=True)


def _stage(
    options: TrainAnimatable, settings: AnimatableSettings, distance: Perceptual | None, team: Team, device
) -> AnimatableStage:
    capture = Capture.load(options.capture)
    split = frame_split(capture, options.novel_frames)
    log.info("%d frames to train on, %d novel", len(split.train), len(split.novel))
    legs = settings.model.legs_apart_deg
    volume = matching_volume(options.weights, options.body, capture.poses.betas[0], legs)
    mesh = Path(options.template_mesh) if options.template_mesh else None
    return Beginning(
        capture, split, Body(options.body), volume, settings, options.seed, device, options.template, mesh, team
    ).stage(distance)  # fmt: skip


def _parsed(text: str) -> dict:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--settings: not valid JSON ({error}).") from error
    if not isinstance(values, dict):
        raise InputError(
            "--settings: a JSON object was expected, such as '{\"iterations\": 1000}'."
        )
    return values


def _inputs(options: TrainAnimatable) -> dict[str, Path]:
    """The files that the training depends on, by role; InputError where one is missing."""
    inputs = {"capture": options.capture, "weights": options.weights, "body": options.body}
    if options.template_mesh:
        inputs["template"] = Path(options.template_mesh)
    return {
        role: require_file(path, f"The {role} that training starts from.")
        for role, path in inputs.items()
    }


def _perceptual(
    options: TrainAnimatable, settings: AnimatableSettings, device
) -> tuple[Perceptual | None, str]:
    """The perceptual distance and what it is; none where it never counts."""
    losses = settings.losses
    if not losses.perceptual_weight or losses.perceptual_from >= settings.iterations:
        return None, "none"
    distance, described = perceptual(options.lpips, device)
    log.info("perceptual term: %s", described)
    return distance, described


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
