"""Calibrated multi-view video, from any dataset: what a reader finds, and its conversion into a capture's files.

A reader module has `read(request: Request) -> MultiViewSource` and opens no image. `convert_views` opens each image once.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.capture.manifest import check_name
from avatarpipe.capture.views import FILE_COLUMNS
from avatarpipe.capture.writing import write_frames, write_split, write_views
from avatarpipe.datasets.journal import Finished, Journal
from avatarpipe.datasets.parallel import in_parallel
from avatarpipe.datasets.rectification import Rectifier
from avatarpipe.datasets.view_files import EmptyMask, ViewJob, convert_view
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file
from avatarpipe.provenance import code_version
from avatarpipe.terminal import tracked

log = logging.getLogger(__name__)
UNPACKED = (
    ".unpacked"  # in the draft: what a video is unpacked into; begins with a dot, so not published
)
_MOST_BAD = 20  # bad views after which the rest is not tried


@dataclass(frozen=True)
class Request:
    """What is wanted of a dataset."""

    root: Path  # the dataset's folder
    source: str  # the recording below it
    frames: str  # as frames.frame_numbers reads it
    gender: str
    body: Body
    options: Mapping = field(default_factory=dict)  # the dataset's section of the config

    def folder(self, hint: str = "") -> Path:
        """root/source. InputError where the source leaves the root or is no folder; `hint` says what it looks like."""
        for part in self.source.split("/"):
            check_name(part, f"source {self.source!r}: part")
        folder = Path(self.root).joinpath(*self.source.split("/"))
        if not folder.is_dir():
            raise InputError(
                f"{folder}: no such folder. Give the dataset's folder as root and a recording below it as source. {hint}"
            )
        return folder


@dataclass(frozen=True, slots=True)
class View:
    """One image of the raw dataset."""

    frame: int  # index into MultiViewSource.frames
    camera: int  # index into MultiViewSource.cameras
    image: Path
    mask: Path | None  # None: the image's own alpha channel


@dataclass
class MultiViewSource:
    """What a reader found; images unread.

    cameras: C, in the dataset's own metric world, OpenCV axes, pixel centres at +0.5 (K of an OpenCV calibration has them
    at 0: add 0.5 to its principal point), all of one size: smaller images are padded at right and bottom, which keeps K.
    """

    cameras: Cameras
    distortion: np.ndarray  # (C, 5) OpenCV k1 k2 p1 p2 k3, zeros where none
    frames: tuple[str, ...]  # F names
    times: tuple[float, ...]  # seconds
    poses: BodyParams  # F bodies in the dataset's world
    views: list[View]  # at most F * C; absent ones are listed in `missing`
    missing: list[tuple[str, str, str]]  # (frame name, camera name, reason)
    test_cameras: tuple[str, ...] = ()  # names of held-out cameras
    # Calibration, poses: hashed into provenance.
    inputs: dict[str, Path] = field(default_factory=dict)
    # (C, 2) width, height of each camera's own images; None: that of `cameras`.
    sizes: np.ndarray | None = None
    boundary_radius: int = 4  # pixels around the silhouette's edge to be left out of comparisons
    premultiplied: bool = False  # the images are already on black where the mask is 0
    # The images are their subjects laid on white by the masks: they are put on black, premultiplied.
    on_white: bool = False
    # Of recordings that are no image files: puts them into a folder, once, and returns the views.
    unpack: Callable[[Path], list[View]] | None = None
    # (4, 4) similarity from the world of the dataset's files to this one, where the reader turned, scaled or moved it.
    world: np.ndarray = field(default_factory=lambda: np.eye(4))


@dataclass(frozen=True)
class Policy:
    """What to do about views that cannot be used."""

    missing: str = "skip"  # of an image or mask that is not there: "skip" lists it in missing.csv, "fail" refuses
    empty_masks: str = "fail"  # of a mask without the subject: the same choice

    @staticmethod
    def of(options: Mapping) -> "Policy":
        """The policy that a dataset's options name; InputError where one is neither skip nor fail."""
        chosen = {name: options[name] for name in ("missing", "empty_masks") if name in options}
        for name, value in chosen.items():
            if value not in ("skip", "fail"):
                raise InputError(f"option {name} is {value!r}: use skip or fail.")
        return Policy(**chosen)


def convert_views(
    source: MultiViewSource,
    draft: Path,
    workers: int = 1,
    image_format: str = "png",
    policy: Policy = Policy(),
) -> pd.DataFrame:
    """Write images/, masks/, boundaries/{frame}/{camera}.* and missing.csv into `draft`.

    Images are undistorted (K kept) and padded; those that need neither stay as they are, others become `image_format`
    ("png", or "jpg" of quality 95). Returns frame, camera, image, mask, boundary: a row a view, files seen from the draft.
    A draft that an earlier run left is continued: files that are whole and would come out the same are kept.
    Raises InputError on what `policy` does not let pass and on bad files, after all the good ones were converted.
    """
    if image_format not in ("png", "jpg"):
        raise InputError(f"image format {image_format!r}: use png or jpg.")
    if source.unpack is not None:
        source = replace(source, views=source.unpack(draft / UNPACKED))
    _check_source(source, policy)
    jobs, outcome = view_jobs(source, image_format), _Outcome(list(source.missing))
    with Journal(draft) as journal:
        work = partial(_converted, draft=draft, journal=journal)
        for job, result in tracked(in_parallel(work, jobs, workers), len(source.views), "convert"):
            outcome.add(job, result, policy)
            if isinstance(result, Finished):
                journal.add(result)
            if len(outcome.bad) > _MOST_BAD:
                break
    _write_missing(draft, outcome.missing)
    outcome.check(len(source.views))
    _sweep(draft, outcome.rows)
    return pd.DataFrame(outcome.rows).sort_values(["frame", "camera"], ignore_index=True)


def write_source(
    source: MultiViewSource,
    draft: Path,
    workers: int = 1,
    image_format: str = "png",
    policy: Policy = Policy(),
) -> dict:
    """All of a source, converted into `draft`: what `Manifest(subject, gender, provenance, **entries)` needs."""
    table = convert_views(source, draft, workers, image_format, policy)
    return {
        **write_frames(draft, source.poses, source.frames, source.times),
        **write_split(draft, source.cameras, source.test_cameras),
        **write_views(draft, table),
        **{kind: kind for kind in FILE_COLUMNS},
        "photographs": not (source.premultiplied or source.on_white),
    }


def view_jobs(source: MultiViewSource, image_format: str) -> Iterator[ViewJob]:
    """The views of a source, camera by camera, so that the maps of few cameras are in memory at a time."""
    views = sorted(source.views, key=lambda view: (view.camera, view.frame))
    code = code_version(ViewJob.__module__)
    for camera, of_camera in groupby(views, key=lambda view: view.camera):
        rectifier = _rectifier(source, camera)
        setup = repr((code, rectifier.identity, source.boundary_radius, image_format, source.on_white))
        for view in of_camera:
            yield ViewJob(
                source.frames[view.frame], source.cameras.names[camera], view.image, view.mask,
                rectifier, source.boundary_radius, image_format, setup, source.on_white,
            )  # fmt: skip


def _rectifier(source: MultiViewSource, camera: int) -> Rectifier:
    padded = (source.cameras.width, source.cameras.height)
    size = padded if source.sizes is None else tuple(int(side) for side in source.sizes[camera])
    return Rectifier(source.cameras.K[camera], source.distortion[camera], size, padded)


def _converted(
    job: ViewJob, draft: Path, journal: Journal
) -> tuple[ViewJob, Finished | InputError]:
    """The view as an earlier run left it, or converted now, or what is wrong with it."""
    try:
        before = journal.find(job.frame, job.camera)
        if before is not None and before.is_whole(draft) and before.stamp == job.stamp():
            return job, before
        return job, convert_view(job, draft)
    except InputError as error:
        return job, error


def _check_source(source: MultiViewSource, policy: Policy) -> None:
    if source.missing and policy.missing == "fail":
        frame, camera, reason = source.missing[0]
        raise InputError(
            f"{len(source.missing)} views are missing, the first of camera {camera} at frame {frame}: {reason}. "
            "Fetch them, or set the option missing to skip."
        )
    if not source.views:
        raise InputError(
            "none of the wanted frames has an image with its mask. Check the frames and the cameras."
        )


@dataclass
class _Outcome:
    """What became of the views."""

    missing: list[tuple[str, str, str]]
    rows: list[dict[str, str]] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)

    def add(self, job: ViewJob, result: Finished | InputError, policy: Policy) -> None:
        if isinstance(result, Finished):
            self.rows.append({"frame": result.frame, "camera": result.camera, **result.files})
        elif isinstance(result, EmptyMask) and policy.empty_masks == "skip":
            self.missing.append((job.frame, job.camera, "the mask is empty"))
        else:
            self.bad.append(str(result))

    def check(self, count: int) -> None:
        """InputError where any of the `count` views is bad, or none is left."""
        if len(self.bad) == 1:
            raise InputError(self.bad[0])
        if self.bad:
            number = f"more than {_MOST_BAD}" if len(self.bad) > _MOST_BAD else str(len(self.bad))
            listed = "\n".join(self.bad[:5])
            raise InputError(
                f"{number} of {count} views cannot be used, the first of them:\n{listed}"
            )
        if not self.rows:
            raise InputError(
                f"all {count} masks are empty: no value above the middle. Fetch the masks again."
            )


def _write_missing(draft: Path, missing: list[tuple[str, str, str]]) -> None:
    if missing:
        what = "1 view is missing" if len(missing) == 1 else f"{len(missing)} views are missing"
        log.warning("%s, left out and listed in missing.csv beside the capture.", what)
    table = pd.DataFrame(sorted(missing), columns=["frame", "camera", "reason"])
    with atomic_file(draft / "missing.csv") as temporary:
        table.to_csv(temporary, index=False)


def _sweep(draft: Path, rows: list[dict]) -> None:
    """Delete what earlier runs left in the draft and this one does not list."""
    listed = {str(draft / row[column]) for row in rows for column in FILE_COLUMNS.values()}
    for kind in FILE_COLUMNS:
        for folder, _, names in os.walk(draft / kind):
            for name in names:
                if (file := os.path.join(folder, name)) not in listed:
                    os.unlink(file)
