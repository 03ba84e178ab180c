"""Make a clothed person from a seed: a scan in the raw layout of 4D-Dress, and the truth beneath it."""

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avatarpipe.body.model import Body
from avatarpipe.datasets.writers import fourddress
from avatarpipe.datasets.writers.scans import RawScans
from avatarpipe.files import write_json
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.synthetic.person import DETAILS, Person, make_person
from avatarpipe.synthetic.scan import fused_scan, split_at_seams
from avatarpipe.synthetic.truth import described, write_truth

RECORDING = "synthetic/Inner/Take1"
FRAME = 0
_log = logging.getLogger(__name__)


@dataclass
class Synthesize:
    """A seeded subject with garments, hair and shoes; the same seed gives the same files."""

    body: Path
    """The free SMPLX_*.npz of the subject's gender."""
    gender: Literal["female", "male"]
    """Whose body, hair and clothes."""
    out: Path
    """The manifest, such as results/SUBJECT/synthesize/manifest.json; everything else lies beside it."""
    seed: int = 0
    """Chooses everything: shape, pose, skin, hair, garments, patterns."""
    detail: Literal["draft", "full", "fine"] = "full"
    """draft: coarse and quick, for tests; fine: 2048 texels a side."""
    subject: str = "synthetic"
    """Name written into the manifest."""


def run(options: Synthesize) -> None:
    """Build in memory, write recording and truth, then the manifest."""
    started = time.monotonic()
    body, detail = Body(options.body), DETAILS[options.detail]
    person = make_person(body, options.gender, options.seed, detail)
    _log.info(
        "dressed seed %d in %.0f s: %s", options.seed, time.monotonic() - started, _outfit(person)
    )
    scan, charts = fused_scan(person, detail)
    folder = options.out.parent
    vertices, faces, uvs, labels = split_at_seams(scan, charts)
    split = Mesh(vertices, faces, uvs[faces], scan.texture, vertex_labels=labels)
    recording = RawScans((FRAME,), person.params, options.gender, lambda _: split, body)
    fourddress.write(folder / RECORDING, recording, person.to_world)
    _log.info(
        "scan of %d vertices written after %.0f s", len(scan.vertices), time.monotonic() - started
    )
    truth = write_truth(folder / "truth", person, detail)
    write_json(options.out, _manifest(options, person, truth))
    _log.info("%s in %.0f s", options.out, time.monotonic() - started)


def _outfit(person: Person) -> str:
    return ", ".join(
        f"{layer.kind} {name}" for name, layer in person.layers.items() if name != "body"
    )


def _manifest(options: Synthesize, person: Person, truth: dict[str, str]) -> dict:
    return {
        "subject": options.subject,
        "seed": options.seed,
        "gender": options.gender,
        "recording": RECORDING,
        "frame": f"{FRAME:05d}",
        "truth": {name: f"truth/{file}" for name, file in truth.items()},
        **described(person),
        "provenance": provenance({"body": options.body}, asdict(options), options.seed),
    }


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
