"""Calibrated multi-view video, from any dataset: what a reader finds, and its conversion into a capture's files.

A reader module has `read(request: Request) -> MultiViewSource` and opens no image. `convert_views` opens each image once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.capture.manifest import check_name
from avatarpipe.errors import InputError


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
        """root/source. InputError where the source leaves the root or is no folder; `hint` says what a source looks like."""
        for part in self.source.split("/"):
            check_name(part, f"source {self.source!r}: part")
        folder = Path(self.root).joinpath(*self.source.split("/"))
        if not folder.is_dir():
            raise InputError(
                f"{folder}: no such folder. Give the dataset's folder as root and a recording below it as source. {hint}"
            )
        return folder


@dataclass(frozen=True)
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
    inputs: dict[str, Path] = field(default_factory=dict)  # calibration, poses: hashed into provenance
    sizes: np.ndarray | None = None  # (C, 2) width, height of each camera's own images; None: that of `cameras`
    boundary_radius: int = 4  # pixels around the silhouette's edge to be left out of comparisons
    premultiplied: bool = False  # the images are already on black where the mask is 0


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
    """Write images/, masks/, boundaries/ and missing.csv into `draft`; returns frame, camera, image, mask, boundary a view."""
    raise NotImplementedError


def write_source(
    source: MultiViewSource,
    draft: Path,
    workers: int = 1,
    image_format: str = "png",
    policy: Policy = Policy(),
) -> dict:
    """All of a source, converted into `draft`: returns what `Manifest(subject, gender, provenance, **entries)` needs."""
    raise NotImplementedError
