"""Bring a converted capture into the common frame (facing +Z, inside [-1, 1]^3) and check that bodies and scans agree."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture import fit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import MANIFEST_NAME, relative
from avatarpipe.capture.normalization import moved_poses, normalizing_transform
from avatarpipe.capture.writing import publishing, write_frames, write_split
from avatarpipe.datasets.scans import scan_files, write_scans
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import load_mesh, save_mesh
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.terminal import tracked

_MESHES = (".ply", ".obj", ".glb")


@dataclass
class Normalize:
    """Scans or cameras, bodies and ground truth of a capture, moved together by what its first frame asks for."""

    capture: Path
    """The converted capture: its capture.json."""
    body: Path
    """The SMPLX_*.npz of the subject's gender."""
    out: Path
    """The new manifest, such as results/SUBJECT/normalize/capture.json."""
    tolerance: fit.Tolerance = field(default_factory=fit.Tolerance)
    """How far body and scan may disagree before the step refuses to go on."""
    checked_frames: int = 16
    """At most so many scans, evenly over time, are compared with their body."""


def run(options: Normalize) -> None:
    """Check the fit of scans, then write what moved, and the transform that moved it; images stay where they are."""
    capture, body = Capture.load(options.capture), Body(options.body)
    if not capture.has("scan") and not capture.has("cameras"):
        raise InputError(
            f"{options.capture}: neither scans nor cameras; give the capture of convert."
        )
    found = _checked_fit(capture, body, options) if capture.has("scan") else None
    matrix = normalizing_transform(body, capture.poses)
    move = _move_scans if capture.has("scan") else _move_cameras
    inputs = {"capture": options.capture, "body": options.body, **scan_files(capture)}
    with publishing(options.out) as draft:
        entries = move(capture, matrix, moved_poses(body, capture.poses, matrix), draft)
        capture.manifest.moved(
            capture.folder,
            options.out.parent,
            normalization=(matrix @ capture.normalization).tolist(),
            fit=found,
            truth=_move_truth(capture, body, matrix, draft, options.out.parent),
            provenance=provenance(inputs, asdict(options)),
            **entries,
        ).save(draft / MANIFEST_NAME)


def _checked_fit(capture: Capture, body: Body, options: Normalize) -> dict[str, float]:
    """How body and scan agree where they agree least; InputError where that is not enough."""
    count = min(options.checked_frames, len(capture.frames))
    frames = np.unique(np.linspace(0, len(capture.frames) - 1, count).round().astype(int))
    measured = []
    for frame in tracked(frames.tolist(), len(frames), f"{capture.subject} check"):
        found = fit.measure(body, capture.poses[frame], capture.scan(frame))
        fit.check(found, options.tolerance, f"{options.capture}{_place(capture, frame)}")
        measured.append(found)
    worst = {name: max(found[name] for found in measured) for name in measured[0]}
    return worst | {"scale": max((found["scale"] for found in measured), key=lambda x: abs(x - 1))}


def _place(capture: Capture, frame: int) -> str:
    return f", frame {capture.frame_names[frame]}" if len(capture.frames) > 1 else ""


def _move_scans(capture: Capture, matrix: np.ndarray, poses: BodyParams, draft: Path) -> dict:
    frames = capture.frame_names
    scans = (capture.scan(frame).transformed(matrix) for frame in frames)
    shown = tracked(scans, len(frames), f"{capture.subject} normalize")
    return write_scans(shown, frames, capture.frames["time"], poses, draft)


def _move_cameras(capture: Capture, matrix: np.ndarray, poses: BodyParams, draft: Path) -> dict:
    """A camera sees the moved world as it saw the old one: w2c' = w2c matrix^-1."""
    cameras = capture.cameras()
    moved = replace(cameras, w2c=cameras.w2c @ np.linalg.inv(matrix))
    return {
        **write_split(draft, moved, capture.cameras("test").names),
        **write_frames(draft, poses, capture.frame_names, capture.frames["time"]),
    }


def _move_truth(
    capture: Capture, body: Body, matrix: np.ndarray, draft: Path, folder: Path
) -> dict[str, str]:
    """Meshes and body poses of the ground truth, moved into draft/truth; other files are referred to as they are."""
    targets = {}
    for name, path in capture.truth.items():
        if path.suffix in _MESHES:
            targets[name] = f"truth/{name}.ply"
            save_mesh(load_mesh(path).transformed(matrix), draft / targets[name])
        elif path.suffix == ".npz" and name.endswith("poses"):
            targets[name] = f"truth/{name}.npz"
            moved_poses(body, BodyParams.load(path), matrix).save(draft / targets[name])
        else:
            targets[name] = relative(path, folder)
    return targets


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
