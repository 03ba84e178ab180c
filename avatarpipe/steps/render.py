"""Render normalised scans from the train and test rigs: images, masks, label maps, and what lies under the garments."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from avatarpipe.cameras import Cameras
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.hidden import layer_names, without_garment
from avatarpipe.capture.labels import GARMENTS
from avatarpipe.capture.manifest import MANIFEST_NAME
from avatarpipe.capture.rigs import rig
from avatarpipe.capture.writing import publishing, write_cameras
from avatarpipe.datasets.scans import scan_files
from avatarpipe.errors import InputError
from avatarpipe.images import write_image, write_labels
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import MeshRendering, render_views
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step
from avatarpipe.terminal import tracked


@dataclass
class Render:
    """Unlit views of each scan on black, with soft masks."""

    capture: Path
    """The normalised capture: its capture.json."""
    out: Path
    """The new manifest, such as results/SUBJECT/render/capture.json."""
    size: int = 1024
    """Width and height of the images in pixels."""
    supersample: int = 2
    """Rays a pixel, squared; 1 leaves hard edges."""
    train_views: int = 72
    """How many of the 72 training cameras, spread evenly."""
    test_views: int = 72
    """How many of the 72 held-out cameras, spread evenly."""
    distance: float = 2.0
    """Metres from the cameras to the origin; of several frames at least, and to the middle of where the subject goes."""
    fov: float = 60.0
    """Field of view in degrees."""
    backend: Literal["embree", "nvdiffrast", "pytorch3d"] = "embree"
    """What traces the rays."""


def run(options: Render) -> None:
    """Render everything into a draft, then publish it; cameras, poses and scan make the capture complete."""
    capture = Capture.load(options.capture)
    if not capture.has("scan"):
        raise InputError(f"{options.capture}: no scan to render; give the capture of normalize.")
    target, distance = _stage(capture, options)
    cameras = {
        "train": rig("train", options.train_views, options.size, distance, options.fov, target),
        "test": rig("test", options.test_views, options.size, distance, options.fov, target),
    }
    frames, garments = capture.frame_names, GARMENTS if layer_names(capture.truth) else ()
    total = len(frames) * options.train_views
    total += options.test_views * (len(frames) + len(garments))
    with publishing(options.out) as draft:
        views = chain(
            _scan_views(capture, cameras, options), _hidden_views(capture, garments, cameras, options)
        )
        for path, view, labelled in tracked(views, total, f"{capture.subject} render"):
            _write_view(draft, path, view, labelled)
        _manifest(capture, options, write_cameras(draft, cameras), draft)


def _stage(capture: Capture, options: Render) -> tuple[np.ndarray, float]:
    """(target (3,), distance): one scan stands at the origin; cameras see all of where the subject of several goes."""
    if len(capture.frames) == 1:
        return np.zeros(3), options.distance
    boxes = []
    for frame in tracked(capture.frame_names, len(capture.frames), f"{capture.subject} measure"):
        vertices = capture.scan(frame).vertices
        boxes.append((vertices.min(axis=0), vertices.max(axis=0)))
    low, high = np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)
    radius = 0.5 * float(np.linalg.norm(high - low))
    needed = radius / np.sin(np.radians(options.fov) / 2)
    return (low + high) / 2, max(options.distance, needed)


def _scan_views(
    capture: Capture, cameras: dict[str, Cameras], options: Render
) -> Iterator[tuple[tuple[str, str, str], MeshRendering, bool]]:
    """((folder, frame, camera), view, whether it is labelled) of the whole subject."""
    everywhere = Cameras.concatenate(list(cameras.values()))
    for frame in capture.frame_names:
        scan = capture.scan(frame)
        for name, view in _views(scan, everywhere, options):
            _check_in_frame(view.alpha[0], name, options)
            yield (".", frame, name), view, scan.vertex_labels is not None


def _hidden_views(
    capture: Capture, garments: Sequence[str], cameras: dict[str, Cameras], options: Render
) -> Iterator[tuple[tuple[str, str, str], MeshRendering, bool]]:
    """((folder, frame, camera), view, False) of the subject without each garment, from the test cameras."""
    for garment in garments:
        for name, view in _views(without_garment(capture.truth, garment), cameras["test"], options):
            yield (f"hidden/{garment}", capture.frame_names[0], name), view, False


def _views(mesh: Mesh, cameras: Cameras, options: Render) -> Iterator[tuple[str, MeshRendering]]:
    views = render_views(mesh, cameras, options.supersample, options.backend)
    return zip(cameras.names, views, strict=True)


def _check_in_frame(alpha: np.ndarray, name: str, options: Render) -> None:
    if not alpha.any():
        raise InputError(
            f"{options.capture}: nothing is seen from camera {name}; was it normalised?"
        )
    if max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) > 0:
        raise InputError(
            f"{options.capture}: the subject leaves the picture of camera {name}; "
            f"use a distance above {options.distance} or a wider field of view than {options.fov}."
        )


def _write_view(
    draft: Path, path: tuple[str, str, str], view: MeshRendering, labelled: bool
) -> None:
    folder, frame, name = draft / path[0], *path[1:]
    write_image(folder / "images" / frame / f"{name}.png", view.rgb[0])
    write_image(folder / "masks" / frame / f"{name}.png", view.alpha[0])
    if labelled:
        write_labels(folder / "truth_labels" / frame / f"{name}.png", view.labels[0])


def _manifest(capture: Capture, options: Render, entries: dict, draft: Path) -> None:
    present = {
        name: name
        for name in ("images", "masks", "truth_labels", "hidden")
        if (draft / name).is_dir()
    }
    inputs = {"capture": options.capture, **scan_files(capture)}
    inputs |= {name: capture.truth[name] for name in layer_names(capture.truth)}
    capture.manifest.moved(
        capture.folder,
        options.out.parent,
        provenance=provenance(inputs, asdict(options)),
        **present,
        **entries,
    ).save(draft / MANIFEST_NAME)


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
