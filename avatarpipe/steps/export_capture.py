"""Write a capture as other programs read it: nerfstudio's transforms.json, COLMAP models, or smpl_params.npz.

avatarpipe export-capture --capture results/ann/render/capture.json --format nerfstudio --out results/ann/export/nerfstudio/export.json
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.writing import publishing
from avatarpipe.export.capture_folders import write_bodies, write_colmap_frame, write_nerfstudio
from avatarpipe.export.pictures import Destination, Picture, chosen_frames, frames_in, pictures_of
from avatarpipe.export.worlds import Worlds
from avatarpipe.files import write_json
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.terminal import tracked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportCapture:
    """A capture in a layout of other programs, in the capture's own world: metres, +Y up."""

    capture: Path
    """capture.json; for nerfstudio and COLMAP one that has images."""
    format: Literal["nerfstudio", "colmap", "colmap-binary", "smpl-params"]
    """nerfstudio: all frames in one transforms.json. colmap, colmap-binary: a folder a frame, named as it, with a
    model as text or binary. smpl-params: the bodies alone. All come with smpl_params.npz."""
    out: Path
    """Manifest to write last, such as results/SUBJECT/export/nerfstudio/export.json; the rest goes beside it."""
    frames: str = "all"
    """Which frames, by the numbers they are named by: 11, 0-499, 0-499:5, "0,4,8" or all."""
    images: Literal["link", "copy"] = "link"
    """Whether images and masks are links to the capture's own, or copies that can be sent elsewhere."""
    body: Path | None = None
    """The subject's SMPLX_*.npz: the surface of the fitted body becomes the points that training can start from."""


def run(options: ExportCapture) -> None:
    """Find the views, write the layout, then the manifest."""
    capture = Capture.load(options.capture)
    frames = chosen_frames(capture, options.frames)
    body = Body(options.body) if options.body else None
    with publishing(options.out) as draft:
        to = Destination(draft, options.out.parent, options.images == "copy")
        if options.format == "smpl-params":
            write_bodies(capture, frames, draft)
            views = None
        else:
            pictures = pictures_of(capture, frames)
            _tell_unseen(frames, pictures)
            frames, views = frames_in(pictures), len(pictures)
            _write_views(capture, pictures, to, body, options.format)
        write_json(draft / options.out.name, _manifest(options, capture, frames, views))
    log.info("%s: %d frames", options.out.parent, len(frames))


def _tell_unseen(frames: Sequence[str], pictures: Sequence[Picture]) -> None:
    unseen = sorted(set(frames) - set(frames_in(pictures)))
    if unseen:
        log.warning("left out, since no camera saw them: %d frames, the first %s", len(unseen), unseen[0])


def _write_views(
    capture: Capture, pictures: Sequence[Picture], to: Destination, body: Body | None, layout: str
) -> None:
    if layout == "nerfstudio":
        write_nerfstudio(capture, pictures, to, body)
        return
    count = len(frames_in(pictures))
    for frame, seen in tracked(_by_frame(pictures), count, "export"):
        write_colmap_frame(capture, seen, to.below(frame), body, layout == "colmap-binary")


def _by_frame(pictures: Sequence[Picture]) -> Iterator[tuple[str, list[Picture]]]:
    for frame, seen in groupby(pictures, key=lambda picture: picture.frame):
        yield frame, list(seen)


def _manifest(options: ExportCapture, capture: Capture, frames: Sequence[str], views: int | None) -> dict:
    times = capture.frames.set_index("frame")["time"]
    inputs = {"capture": options.capture} | ({"body": options.body} if options.body else {})
    return {
        "format": "avatarpipe.capture_export",
        "subject": capture.subject,
        "gender": capture.gender,
        "layout": options.format,
        "frames": list(frames),
        "times": [float(times[frame]) for frame in frames],
        "views": views,
        "transform": Worlds.of(capture).document("capture"),
        "provenance": provenance(inputs, asdict(options)),
    }


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
