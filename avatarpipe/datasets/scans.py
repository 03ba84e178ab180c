"""Scans over time, from any dataset: what a reader finds, and its conversion into a capture's files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avatarpipe.body.params import BodyParams
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.writing import write_frames
from avatarpipe.mesh.mesh import Mesh, save_mesh


@dataclass
class ScanSource:
    """What a reader found: F frames, each a textured scan with a body fitted to it; scans unread."""

    frames: tuple[str, ...]  # F names
    times: tuple[float, ...]  # seconds
    poses: BodyParams  # F bodies in the dataset's world, metres
    scan: Callable[[int], Mesh]  # of a frame's index, in the same world
    inputs: dict[str, Path] = field(default_factory=dict)  # every file that is read, for the provenance
    # (4, 4) similarity from the world of the dataset's files to this one, where the reader scaled or moved it.
    world: np.ndarray = field(default_factory=lambda: np.eye(4))


def write_scans(
    scans: Iterable[Mesh], frames: tuple[str, ...], times: Iterable[float], poses: BodyParams, draft: Path
) -> dict:
    """Write each scan, the frames and the poses into `draft`; returns the entries that the manifest needs.

    One scan is scan.ply; several are scans/{frame}.ply. Each is taken from `scans` when its turn comes, so that memory
    holds one. scan.glb, for viewers, is the first.
    """
    name = "scan.ply" if len(frames) == 1 else "scans/{frame}.ply"
    for index, (frame, scan) in enumerate(zip(frames, scans, strict=True)):
        save_mesh(scan, draft / name.replace("{frame}", frame))
        if index == 0:
            save_mesh(scan, draft / "scan.glb")
    return {"scan": name, **write_frames(draft, poses, frames, list(times))}


def scan_files(capture: Capture) -> dict[str, Path]:
    """The scans of a capture by role, "scan" or with the frame behind it; {} without scans."""
    if not capture.has("scan"):
        return {}
    if len(capture.frames) == 1:
        return {"scan": capture.scan_path()}
    return {f"scan-{frame}": capture.scan_path(frame) for frame in capture.frame_names}
