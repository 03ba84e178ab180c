"""Spread the body's skinning weights into the space around it, for points that are not bound to its surface.

    avatarpipe weight-volume --capture results/ada/normalize/capture.json --body results/body/SMPLX_FEMALE.npz \\
        --out results/ada/animatable/weights/weights.json
"""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.point_interpolant import interpolated_volume
from avatarpipe.body.weight_check import weight_errors
from avatarpipe.body.weight_solve import Solved, weight_volume
from avatarpipe.body.weight_volume import SAMPLING, WeightVolume
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.writing import publishing
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.files import write_json
from avatarpipe.methods.animatable.rig import big_pose
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step

log = logging.getLogger(__name__)

_CHECKED_POSES = 20


@dataclass(frozen=True)
class WeightVolumeOptions:
    """weights.npz beside the manifest: a grid of skinning weights around the body in the subject's shape and big pose."""

    capture: Path
    """The subject's capture.json; its first body gives the shape, all of them poses to check by."""
    body: Path
    """The SMPLX_*.npz of the subject's gender."""
    out: Path
    """The manifest to write last, such as results/SUBJECT/animatable/weights/weights.json."""
    resolution: int = 128
    """Nodes a side, from 8."""
    padding: float = 1.1
    """The cube's side over the body's largest extent, from 1."""
    tolerance: float = 1e-5
    """The most that a weight may be off the mean of its neighbours, away from the body."""
    levels: int = 2
    """Levels of blocks, each four times as fine as what it lies in, where the grid is too coarse: 0 (none) to 4."""
    interpolant: str = ""
    """The program PointInterpolant, to make the volume as published ones were made, without blocks; empty: our own solver."""
    legs_apart_deg: float = 25.0
    """Degrees that each hip is turned in the canonical pose."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(options: WeightVolumeOptions) -> None:
    """Solve, measure how well the volume stands for the body's own weights, write."""
    _check_numbers(options)
    poses, body = Capture.load(options.capture).poses, Body(options.body)
    canonical = big_pose(poses.betas[0], options.legs_apart_deg)
    solved = _solved(options, body.vertices(canonical)[0].numpy(), body)
    volume = solved.volume.to("cpu")
    errors, without = (
        weight_errors(one, body, canonical, _spread(poses))
        for one in (volume, replace(volume, blocks=()))
    )
    log.info(
        "%d cycles; weights of the vertices off by %.3f (%.3f without %d finer blocks), posed vertices by %.2f mm",
        solved.cycles, errors.vertex_l1, without.vertex_l1, len(volume.blocks), 1e3 * errors.skinning,
    )  # fmt: skip
    with publishing(options.out) as draft:
        volume.save(draft / "weights.npz")
        write_json(
            draft / options.out.name,
            {
                "weights": "weights.npz",
                "sampling": SAMPLING,
                "canonical": {
                    "betas": poses.betas[0].tolist(),
                    "legs_apart_deg": options.legs_apart_deg,
                },
                "cycles": solved.cycles,
                "solver_sum_error": solved.sum_error,
                "blocks": _blocks(volume),
                "errors": asdict(errors),
                "errors_without_blocks": asdict(without),
                "provenance": provenance(
                    {"capture": options.capture, "body": options.body}, asdict(options)
                ),
            },
        )


def _check_numbers(options: WeightVolumeOptions) -> None:
    if options.resolution < 8 or options.padding < 1.0 or not options.tolerance > 0.0:
        raise InputError(
            "--resolution must be at least 8, --padding at least 1, --tolerance above 0."
        )
    if not 0 <= options.levels <= 4:
        raise InputError(f"--levels {options.levels}: 0 to 4 levels of blocks were expected.")


def _solved(options: WeightVolumeOptions, vertices: np.ndarray, body: Body) -> Solved:
    surface, size = (
        (vertices, body.faces, body.lbs_weights.numpy()),
        (options.resolution, options.padding),
    )
    if options.interpolant:
        return interpolated_volume(options.interpolant, *surface, *size)
    device = chosen_device(options.device)
    return weight_volume(*surface, *size, options.tolerance, device, options.levels)


def _blocks(volume: WeightVolume) -> list[dict]:
    """Where the finer blocks lie (metres) and how many nodes and joints they have."""
    return [
        {"nodes": list(block.grid.shape[:3]), "joints": len(block.joints), "low": block.low.tolist(), "high": block.high.tolist()}
        for block in volume.blocks
    ]  # fmt: skip


def _spread(poses: BodyParams) -> BodyParams:
    """At most so many of the poses, spread evenly."""
    count = min(_CHECKED_POSES, len(poses))
    return poses[np.linspace(0, len(poses) - 1, count).round().astype(int).tolist()]


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
