"""Convert a recording of any dataset into a capture, in the dataset's own world: scans, or images and cameras."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from avatarpipe.body.model import Body
from avatarpipe.capture.manifest import MANIFEST_NAME, Manifest, check_name, relative
from avatarpipe.capture.writing import publishing
from avatarpipe.datasets import (
    actorshq,
    avatarrex,
    colmap,
    fourddress,
    fourview,
    nerfstudio,
    people_snapshot,
    sigman,
    thuman2,
    thuman4,
)
from avatarpipe.datasets.multiview import MultiViewSource, Policy, Request, write_source
from avatarpipe.datasets.scans import ScanSource, write_scans
from avatarpipe.errors import InputError
from avatarpipe.files import read_json, require_file
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.terminal import tracked

READERS: dict[str, Callable[[Request], ScanSource | MultiViewSource]] = {
    "synthetic": fourddress.read,
    "4d-dress": fourddress.read,
    "thuman2.0": thuman2.read,
    "thuman2.1": thuman2.read,
    "avatarrex": avatarrex.read,
    "thuman4.0": thuman4.read,
    "actorshq": actorshq.read,
    "people-snapshot": people_snapshot.read,
    "sigman": sigman.read,
    "four-view": fourview.read,
    "nerfstudio": nerfstudio.read,
    "colmap": colmap.read,
}


@dataclass
class Convert:
    """One subject of one dataset, checked and brought into the one format that every later step reads."""

    dataset: str
    """Its name as in the subject table, such as 4d-dress."""
    root: Path
    """Folder of the dataset; it holds manifest.json where the subject is synthetic."""
    source: str
    """The recording below root, such as 00122/Inner/Take8."""
    subject: str
    """Name of the subject in results/."""
    gender: Literal["neutral", "female", "male"]
    """Of the body model that the dataset fitted."""
    body: Path
    """The SMPLX_*.npz of that gender; its hand PCA decodes the hands."""
    out: Path
    """The capture's manifest, such as results/SUBJECT/convert/capture.json."""
    frames: str = "0"
    """Which frames: 11, 0-499, 0-499:5, "0,4,8" or all."""
    options: str = "{}"
    """How the dataset is read: its section of config.yaml as JSON."""
    workers: int = 1
    """Processes that read images."""


def run(options: Convert) -> None:
    """Find and check everything, then write scans or images, frames and poses, and the manifest last."""
    check_name(options.subject, "subject")
    read, source, settings = _reader(options)
    settings |= _settings(options.options)
    request = Request(
        options.root, source, options.frames, options.gender, Body(options.body), settings
    )
    found = read(request)
    write = _writer(found, settings, options.workers)
    truth = _truth(options.root / "manifest.json", options.out.parent)
    inputs = found.inputs | {"body": options.body}
    made_by = provenance(inputs, _config(options, settings))
    with publishing(options.out, resume=isinstance(found, MultiViewSource)) as draft:
        entries = write(draft)
        Manifest(
            subject=options.subject,
            gender=options.gender,
            truth=truth,
            normalization=found.world.tolist(),
            provenance=made_by,
            **entries,
        ).save(draft / MANIFEST_NAME)


def _reader(
    options: Convert,
) -> tuple[Callable[[Request], ScanSource | MultiViewSource], str, dict]:
    """What reads the dataset, the recording's source and its own options: a synthetic video says itself what it is."""
    dataset, source, settings = options.dataset, options.source, {}
    if dataset == "synthetic-video":
        listed = read_json(options.root / "manifest.json")
        dataset, source = listed.get("dataset"), listed.get("recording")
        settings = listed.get("options", {})
    if dataset not in READERS:
        raise InputError(f"dataset {dataset!r}: use one of {', '.join(READERS)}, synthetic-video.")
    return READERS[dataset], source, settings


def _settings(text: str) -> dict:
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"options {text!r}: not valid JSON ({error}).") from error
    if not isinstance(settings, dict):
        raise InputError(f"options {text!r}: expected a JSON object.")
    return settings


def _config(options: Convert, settings: dict) -> dict:
    """What shapes the result: all options but the number of workers."""
    config = asdict(options) | {"options": settings}
    del config["workers"]
    return config


def _writer(
    found: ScanSource | MultiViewSource, settings: dict, workers: int
) -> Callable[[Path], dict]:
    """What writes everything but the manifest into a draft and gives its entries; the first scan is read at once."""
    if isinstance(found, MultiViewSource):
        image_format, policy = settings.get("image_format", "png"), Policy.of(settings)
        return lambda draft: write_source(found, draft, workers, image_format, policy)
    scans = chain([found.scan(0)], map(found.scan, range(1, len(found.frames))))
    shown = tracked(scans, len(found.frames), "convert")
    return lambda draft: write_scans(shown, found.frames, found.times, found.poses, draft)


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
