"""Make a clothed person who moves, from a seed: a multi-view video in the raw layout of a dataset, and its truth."""

import hashlib
import json
import logging
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avatarpipe.body.model import Body
from avatarpipe.datasets.writers import actorshq, avatarrex, thuman4
from avatarpipe.errors import InputError
from avatarpipe.files import write_json
from avatarpipe.provenance import provenance
from avatarpipe.record import note_written
from avatarpipe.steps.command import run_step
from avatarpipe.synthetic.footage import Footage
from avatarpipe.synthetic.traits import sample_traits
from avatarpipe.synthetic.video import Plan, prepare, recording, split, write_truth
from avatarpipe.terminal import tracked

WRITERS = {"avatarrex": avatarrex.write, "thuman4.0": thuman4.write, "actorshq": actorshq.write}
RECORDING = "recording"
_DRAFT = ".footage-"
_log = logging.getLogger(__name__)


@dataclass
class SynthesizeVideo:
    """A seeded person whose cloth moves with the pose, filmed by a ring of cameras; the same seed gives the same files."""

    body: Path
    """The free SMPLX_*.npz of the subject's gender."""
    gender: Literal["female", "male"]
    """Whose body, hair and clothes."""
    out: Path
    """The manifest, such as results/SUBJECT/synthesize_video/manifest.json; everything else lies beside it."""
    seed: int = 0
    """Chooses everything: shape, motion, skin, hair, garments, patterns, cameras."""
    frames: int = 48
    """Frames to train on."""
    novel_frames: int = 12
    """Frames of poses that the others never take; they come after them."""
    cameras: int = 10
    """Cameras around the person."""
    test_cameras: int = 2
    """How many of them are held out."""
    size: int = 320
    """Height and width of the images in pixels."""
    fps: Literal[30, 15, 10, 6, 5, 3, 2, 1] = 5
    """Frames a second that are kept of the 30 that frame numbers count."""
    distortion: float = 0.0
    """0: pinhole cameras; 1: lenses as bent as those of real stages."""
    supersample: int = 2
    """Rays a pixel, squared."""
    detail: Literal["draft", "full", "fine"] = "full"
    """draft: coarse and quick, for tests; fine: finer cloth and 4096 texels a side."""
    layout: Literal["avatarrex", "thuman4.0", "actorshq"] = "avatarrex"
    """The dataset in whose raw format it is written."""
    workers: int = 1
    """Processes that picture frames."""
    subject: str = "synthetic-video"
    """Name written into the manifest."""


def run(options: SynthesizeVideo) -> None:
    """Dress, picture frame by frame (continuing where a killed run stopped), write recording and truth, then the manifest."""
    started = time.monotonic()
    plan = Plan(
        options.frames, options.novel_frames, options.cameras, options.test_cameras, options.size,
        options.fps, options.distortion, options.supersample,
    )  # fmt: skip
    if options.layout == "actorshq" and options.distortion:
        raise InputError(
            "layout actorshq has no distortion: give --distortion 0, or another layout."
        )
    body, traits = Body(options.body), sample_traits(options.gender, options.seed)
    made_by = provenance({"body": options.body}, _lasting(options), options.seed)
    footage = _footage(options.out.parent, made_by)
    poses = prepare(footage, body, traits, plan, options.detail)
    _log.info("dressed seed %d after %.0f s", options.seed, time.monotonic() - started)
    missing = footage.missing(len(poses))
    for _ in tracked(footage.shoot(missing, options.workers), len(missing), "film"):
        pass
    _log.info("%d frames filmed after %.0f s", len(missing), time.monotonic() - started)
    options.out.unlink(missing_ok=True)
    folder = options.out.parent
    for old in (RECORDING, "truth"):
        shutil.rmtree(folder / old, ignore_errors=True)
    filmed = recording(footage, poses, options.gender, plan, options.seed, options.workers)
    WRITERS[options.layout](folder / RECORDING, filmed)
    truth = write_truth(folder / "truth", footage, poses, plan)
    note_written(folder / RECORDING)
    note_written(folder / "truth")
    manifest = {
        "subject": options.subject, "seed": options.seed, "gender": options.gender,
        "dataset": options.layout, "recording": RECORDING, "fps": options.fps,
        "options": {"test_cameras": plan.held_out}, **split(plan, footage.cameras.names),
        "outfit": {"upper": traits.upper_kind, "lower": traits.lower_kind, "hair": traits.hair_kind},
        "truth": {name: f"truth/{file}" for name, file in truth.items()}, "provenance": made_by,
    }  # fmt: skip
    write_json(options.out, manifest)
    shutil.rmtree(footage.folder)
    _log.info("%s in %.0f s", options.out, time.monotonic() - started)


def _lasting(options: SynthesizeVideo) -> dict:
    """The options that the result depends on."""
    return {
        name: value for name, value in asdict(options).items() if name not in ("out", "workers")
    }


def _footage(folder: Path, made_by: dict) -> Footage:
    """The draft of exactly this recording; drafts of others are dropped."""
    key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:16]
    draft = folder / f"{_DRAFT}{key}"
    draft.mkdir(parents=True, exist_ok=True)
    for other in folder.glob(f"{_DRAFT}*"):
        if other != draft:
            shutil.rmtree(other)
    return Footage(draft)


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
