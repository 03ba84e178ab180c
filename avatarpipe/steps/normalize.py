"""Bring a converted capture into the common frame (facing +Z, inside [-1, 1]^3) and check that body and scan agree."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture import fit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import MANIFEST_NAME, Manifest, relative
from avatarpipe.capture.normalization import moved_poses, normalizing_transform
from avatarpipe.capture.writing import publishing, write_frames
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import load_mesh, save_mesh
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step

_MESHES = (".ply", ".obj", ".glb")


@dataclass
class Normalize:
    """Scan, body and ground truth of a capture, moved together."""

    capture: Path
    """The converted capture: its capture.json."""
    body: Path
    """The SMPLX_*.npz of the subject's gender."""
    out: Path
    """The new manifest, such as results/SUBJECT/normalize/capture.json."""
    tolerance: fit.Tolerance = field(default_factory=fit.Tolerance)
    """How far body and scan may disagree before the step refuses to go on."""


def run(options: Normalize) -> None:
    """Check the fit, then write the moved scan, poses and ground truth, and the transform that moved them."""
    capture, body = Capture.load(options.capture), Body(options.body)
    if len(capture.frames) != 1 or not capture.has("scan"):
        raise InputError(
            f"{options.capture}: normalize takes a capture of one scan; give that of convert."
        )
    scan = capture.scan()
    found = fit.measure(body, capture.poses, scan)
    fit.check(found, options.tolerance, str(options.capture))
    matrix = normalizing_transform(body, capture.poses)
    poses = moved_poses(body, capture.poses, matrix)
    inputs = {"capture": options.capture, "scan": capture.scan_path(), "body": options.body}
    with publishing(options.out) as draft:
        save_mesh(scan.transformed(matrix), draft / "scan.ply")
        save_mesh(scan.transformed(matrix), draft / "scan.glb")
        entries = write_frames(draft, poses, capture.frame_names, capture.frames["time"])
        Manifest(
            subject=capture.subject,
            gender=capture.gender,
            scan="scan.ply",
            normalization=(matrix @ capture.normalization).tolist(),
            fit=found,
            truth=_move_truth(capture, body, matrix, draft, options.out.parent),
            provenance=provenance(inputs, asdict(options)),
            **entries,
        ).save(draft / MANIFEST_NAME)


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
