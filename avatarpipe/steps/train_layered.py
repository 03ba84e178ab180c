"""Train one stage of a layered avatar: single, inner or outer. Killed and started again, it goes on where it was."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from avatarpipe.avatar import Avatar
from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.mesh.mesh import load_mesh
from avatarpipe.methods.layered.guided import is_guided, stage_guidance
from avatarpipe.methods.layered.settings import StageSettings, stage_settings
from avatarpipe.methods.layered.stages import (
    StageInputs,
    inner_stage,
    outer_stage,
    single_stage,
    stage_avatar,
)
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.training.checkpoint import Checkpoints
from avatarpipe.training.loop import train
from avatarpipe.weight_files import guidance_manifests

HINT = "layered.guidance.model names its folder; docs/guidance.md says how to get or make it."


@dataclass
class TrainLayered:
    """One stage of a layered avatar, from a capture and the stages before."""

    stage: Literal["single", "inner", "outer"]
    """single: all as one layer. inner: the body under the garment. outer: the garment over the body."""
    capture: Path
    """The segmented capture.json."""
    body: Path
    """The SMPLX_*.npz that the capture was fitted with."""
    out: Path
    """The avatar's manifest, such as results/SUBJECT/layered/single/avatar/avatar.json."""
    curves: Path
    """Where the training curves go (Parquet)."""
    previous: Path | None = None
    """The avatar.json of the stage before; needed by inner and outer."""
    garment_mesh: Path | None = None
    """The coarse garment mesh (PLY); needed by inner and outer."""
    garment: Literal["upper", "lower", "both"] = "upper"
    """What the outer layer is."""
    settings: str = "{}"
    """The stage's settings as a JSON object; what is left out has the published value."""
    seed: int = 0
    device: str = "auto"
    """auto, cpu or cuda."""


def run(options: TrainLayered) -> None:
    """Train from the newest checkpoint, write the avatar and the curves, then drop the checkpoints."""
    device = chosen_device(options.device)
    inputs = _inputs(options)
    stage_inputs = StageInputs(
        Capture.load(options.capture), Body(options.body, device), options.garment,
        stage_settings(_parsed(options.settings)), options.seed, device,
    )  # fmt: skip
    inputs |= _weights(stage_inputs.settings)
    stage_inputs.guidance = stage_guidance(options.stage, stage_inputs)
    stage = _stage(options, stage_inputs)
    made_by = provenance(inputs, asdict(options), options.seed)
    subject, folder = stage_inputs.capture.subject, options.out.parent.parent
    if options.stage == "inner":
        stage_avatar(stage, "inner", subject, made_by).save(folder / "initial_avatar")
    checkpoints = Checkpoints(folder / "checkpoints", identity=made_by)
    settings = stage_inputs.settings
    curves = train(
        stage, settings.iterations, checkpoints, f"{subject} {options.stage}", device, settings.checkpoint_every
    )
    stage.finish()
    curves.save(options.curves)
    stage_avatar(stage, options.stage, subject, made_by).save(options.out.parent)
    checkpoints.clear()


def _parsed(text: str) -> dict:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--settings: not valid JSON ({error}).") from error
    if not isinstance(values, dict):
        raise InputError("--settings: a JSON object was expected, such as '{\"iterations\": 1000}'.")
    return values


def _inputs(options: TrainLayered) -> dict[str, Path]:
    """The files that the training depends on, by role; InputError where one is missing."""
    inputs = {"capture": options.capture, "body": options.body}
    if options.stage != "single":
        if options.previous is None or options.garment_mesh is None:
            raise InputError(f"stage {options.stage} needs --previous and --garment-mesh.")
        inputs |= {"previous": options.previous, "garment_mesh": options.garment_mesh}
    return {role: require_file(path, f"The {role} that training starts from.") for role, path in inputs.items()}


def _weights(settings: StageSettings) -> dict[str, Path]:
    """The files that stand for the weights of the diffusion model that guides the stage, by role."""
    if not is_guided(settings):
        return {}
    manifests = guidance_manifests(asdict(settings.guidance))
    return {f"guidance_{role}": require_file(path, HINT) for role, path in manifests.items()}


def _stage(options: TrainLayered, inputs: StageInputs):
    if options.stage == "single":
        return single_stage(inputs)
    previous = Avatar.load(options.previous, inputs.device)
    previous = replace(previous, body=inputs.body)
    make = inner_stage if options.stage == "inner" else outer_stage
    return make(inputs, previous, load_mesh(options.garment_mesh))


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
