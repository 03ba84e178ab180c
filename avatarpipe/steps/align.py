"""Check that the fitted bodies lie where the images show the subject; refuse a capture that is off, and name the likely cause.

    avatarpipe align --capture results/ada/render/capture.json --body results/body/SMPLX_FEMALE.npz \\
        --out results/ada/align/alignment.json
"""

import json
import logging
import shutil
import textwrap
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path

import pandas as pd

from avatarpipe.body.model import Body
from avatarpipe.capture.alignment import Scene, measure
from avatarpipe.capture.alignment_causes import Finding, Tolerance, diagnose, warnings
from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.evaluation.alignment_sheet import Overlay, overlay_sheet
from avatarpipe.evaluation.style import save_figure
from avatarpipe.files import write_json
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.tables import write_table

_ACROSS = 6
_SUMMARY = ("agreement", "iou", "outside", "unexplained", "offset_deg", "scale", "keypoints_front", "keypoints_mask")


@dataclass(frozen=True)
class Align:
    """Beside the manifest: alignment.parquet, a row an image checked, and overlays.png, the worst images first."""

    capture: Path
    """The first capture with images: its capture.json."""
    body: Path
    """The SMPLX_*.npz of the subject's gender."""
    out: Path
    """The manifest to write last, such as results/SUBJECT/align/alignment.json; where the check fails, everything goes
    to the folder `failed` beside it instead."""
    others: tuple[Path, ...] = ()
    """SMPLX_*.npz of other genders, to tell whether the fit belongs to one of them."""
    frames: int = 12
    """Check at most so many frames, spread evenly."""
    images: int = 96
    """Check at most so many images, every camera in turn."""
    tolerance: str = "{}"
    """What may be off by how much, as a JSON object; what is left out has its default."""


def run(options: Align) -> None:
    """Measure, look for causes, draw; InputError with the likely cause and the picture that shows it."""
    tolerance = parsed_tolerance(options.tolerance)
    capture, body = Capture.load(options.capture), Body(options.body)
    others = {path.stem.removeprefix("SMPLX_").lower(): Body(path) for path in options.others}
    table, scene = measure(capture, body, options.frames, options.images)
    if not len(table):
        raise InputError(f"{options.capture}: no image to check the alignment on.")
    finding = diagnose(capture, scene, table, others, tolerance)
    warned = warnings(scene, table, tolerance)
    failed = options.out.parent / "failed"
    shutil.rmtree(failed, ignore_errors=True)
    folder = options.out.parent if finding is None else failed
    write_table(table, folder / "alignment.parquet")
    save_figure(_sheet(capture, scene, table, finding, warned), folder / "overlays.png")
    write_json(folder / options.out.name, _manifest(options, capture, table, finding, warned, tolerance))
    if finding is not None:
        raise InputError(f"{options.capture}: {finding.says} See {folder / 'overlays.png'}.")
    _report(options, table, warned)


def parsed_tolerance(text: str) -> Tolerance:
    """The Tolerance of a JSON object; InputError where it is none or has a key that Tolerance has not."""
    known = {field.name for field in dataclass_fields(Tolerance)}
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--tolerance: not valid JSON ({error}).") from error
    if not isinstance(values, dict) or not values.keys() <= known:
        raise InputError(f"--tolerance: a JSON object was expected, with keys of {', '.join(sorted(known))}.")
    return Tolerance(**values)


def _sheet(capture: Capture, scene: Scene, table: pd.DataFrame, finding: Finding | None, warned: list[str]):
    worst = table["agreement"].fillna(0.0).sort_values(kind="stable").index
    if finding is None or finding.undone is None:
        shown = [list(worst[start : start + _ACROSS]) for start in (0, _ACROSS)]
        rows = [[_overlay(scene, index, table) for index in indices] for indices in shown if indices]
        names = ["worst", "next"][: len(rows)]
    else:
        rows, names = _before_and_after(scene, table, finding.undone, worst), ["as it is", "if undone"]
    said = finding.says if finding else "The body lies where the images show the subject."
    said = " ".join([f"{capture.subject}: {said}", *(f"Warning: {line}." for line in warned if not finding)])
    wide = 0.42 + 2.54 * max(len(row) for row in rows)
    return overlay_sheet(capture, rows, names, "\n".join(textwrap.wrap(said, int(12 * wide))))


def _before_and_after(scene: Scene, table: pd.DataFrame, undone: Scene, worst) -> list[list[Overlay]]:
    places = {(look.frame, look.camera): index for index, look in enumerate(undone.looks)}
    pairs = [(scene.looks[index].frame, scene.looks[index].camera) for index in worst]
    shown = [(index, places[pair]) for index, pair in zip(worst, pairs, strict=True) if pair in places]
    shown = [(index, other) for index, other in shown if undone.exists(other)][:_ACROSS]
    return [
        [_overlay(scene, index, table) for index, _ in shown],
        [Overlay(undone, other, "") for _, other in shown],
    ]


def _overlay(scene: Scene, index: int, table: pd.DataFrame) -> Overlay:
    row = table.loc[index]
    caption = f"{row['camera']}, frame {row['frame']}\nagreement {row['agreement']:.2f}, outside {row['outside']:.0%}"
    return Overlay(scene, index, caption)


def _manifest(options: Align, capture: Capture, table: pd.DataFrame, finding, warned, tolerance) -> dict:
    inputs = {"capture": options.capture, "body": options.body}
    inputs |= {f"body_{path.stem}": path for path in options.others}
    middle = table.median(numeric_only=True)
    return {
        "subject": capture.subject,
        "aligned": finding is None,
        "cause": finding.cause if finding else None,
        "says": finding.says if finding else None,
        "evidence": finding.evidence if finding else None,
        "warnings": warned,
        "images": len(table),
        "median": {name: _number(middle[name]) for name in _SUMMARY},
        "tolerance": asdict(tolerance),
        "provenance": provenance(inputs, asdict(options)),
    }


def _number(value: float) -> float | None:
    return round(float(value), 4) if pd.notna(value) else None


def _report(options: Align, table: pd.DataFrame, warned: list[str]) -> None:
    middle = table.median(numeric_only=True)
    logging.info(
        "%s: aligned; median of %d images: agreement %.2f, %.1f %% of the body outside",
        options.capture, len(table), middle["agreement"], 100 * middle["outside"],
    )  # fmt: skip
    for line in warned:
        logging.warning("%s: warning: %s", options.capture, line)


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
