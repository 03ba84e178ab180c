"""Give every image of a capture its label map: from the scan's labels, or by the Sapiens network."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import MANIFEST_NAME
from avatarpipe.capture.writing import publishing
from avatarpipe.images import write_labels
from avatarpipe.provenance import provenance
from avatarpipe.segmentation import sapiens, scan_labels
from avatarpipe.steps.command import run_step
from avatarpipe.terminal import tracked


@dataclass
class Segment:
    """Label maps; all else is referred to where it is."""

    capture: Path
    """The capture with images, of render or of normalize: its capture.json."""
    out: Path
    """The new manifest, such as results/SUBJECT/segment/capture.json."""
    provider: Literal["scan_labels", "sapiens"] = "scan_labels"
    """Where labels come from: the scan's own (exact), or the Sapiens network on the images."""
    checkpoint: Path = Path("resources/sapiens") / sapiens.CHECKPOINT
    """TorchScript of the network; sapiens only."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; sapiens only."""
    batch_size: int = 4
    """Images that the network sees at once; sapiens only."""


def run(options: Segment) -> None:
    """Write labels/ (and class_maps/ where a network gave classes of its own), then the complete capture's manifest."""
    capture = Capture.load(options.capture)
    inputs = {"capture": options.capture}
    if options.provider == "sapiens":
        network = sapiens.Sapiens(options.checkpoint, options.device)
        inputs["checkpoint"] = options.checkpoint
        maps = sapiens.class_maps(capture, network, options.batch_size)
    else:
        maps = scan_labels.label_maps(capture)
    with publishing(options.out) as draft:
        maps = tracked(maps, len(capture.views()), f"{capture.subject} segment")
        _write_maps(maps, capture, options, draft)
        capture.manifest.moved(
            capture.folder,
            options.out.parent,
            labels="labels",
            class_maps="class_maps" if options.provider == "sapiens" else None,
            provenance=provenance(inputs, asdict(options)),
        ).save(draft / MANIFEST_NAME)


def _write_maps(
    maps: Iterator[tuple[str, str, np.ndarray]], capture: Capture, options: Segment, draft: Path
) -> None:
    for frame, camera, found in maps:
        name = Path(frame) / f"{camera}.png"
        if options.provider == "sapiens":
            write_labels(draft / "class_maps" / name, found)
            found = np.where(capture.mask(camera, frame) > 0, sapiens.TO_LABEL[found], 0)
        write_labels(draft / "labels" / name, found)


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
