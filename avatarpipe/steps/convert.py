"""Convert one frame of a raw dataset (4D-Dress) into a capture: scan, labels and body fit, in the dataset's own world."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avatarpipe.body.model import Body
from avatarpipe.capture.manifest import MANIFEST_NAME, Manifest, check_name, relative
from avatarpipe.capture.writing import publishing, write_frames
from avatarpipe.datasets import fourddress
from avatarpipe.errors import InputError
from avatarpipe.files import read_json, require_file
from avatarpipe.mesh.mesh import save_mesh
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step


@dataclass
class Convert:
    """One textured scan and its SMPL-X fit, as a capture without cameras."""

    root: Path
    """Folder of the dataset: it holds SUBJECT/OUTFIT/SEQUENCE, and manifest.json where the subject is synthetic."""
    source: str
    """The recording below root, such as 00122/Inner/Take8."""
    frame: str
    """Number of the frame, such as 00011."""
    subject: str
    """Name of the subject in results/."""
    gender: Literal["neutral", "female", "male"]
    """Of the body model that the dataset fitted."""
    body: Path
    """The SMPLX_*.npz of that gender; its hand PCA decodes the hands."""
    out: Path
    """The capture's manifest, such as results/SUBJECT/convert/capture.json."""


def run(options: Convert) -> None:
    """Read and check everything, then write scan.ply (exact), scan.glb (for viewers), frames, poses, manifest."""
    check_name(options.subject, "subject")
    recording = fourddress.Recording.find(options.root, options.source, options.frame)
    poses = fourddress.read_fit(recording, Body(options.body))
    scan = fourddress.read_scan(recording)
    truth = _truth(options.root / "manifest.json", options.out.parent)
    inputs = {name: path for name, path in recording.files().items() if path.exists()}
    with publishing(options.out) as draft:
        save_mesh(scan, draft / "scan.ply")
        save_mesh(scan, draft / "scan.glb")
        entries = write_frames(draft, poses, [recording.frame], [0.0])
        Manifest(
            subject=options.subject,
            gender=options.gender,
            scan="scan.ply",
            truth=truth,
            provenance=provenance(inputs | {"body": options.body}, asdict(options)),
            **entries,
        ).save(draft / MANIFEST_NAME)


def _truth(manifest: Path, folder: Path) -> dict[str, str]:
    """Ground truth that the maker of a synthetic subject lists in `manifest`, as seen from `folder`; {} without one."""
    if not manifest.exists():
        return {}
    listed = read_json(manifest).get("truth", {})
    if not isinstance(listed, dict):
        raise InputError(
            f"{manifest}: truth must give a path for each name. Synthesize the subject again."
        )
    for target in listed.values():
        require_file(
            manifest.parent / target, f"{manifest} lists it; synthesize the subject again."
        )
    return {name: relative(manifest.parent / target, folder) for name, target in listed.items()}


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
