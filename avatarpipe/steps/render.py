"""Render a normalised scan from the train and test rigs: images, masks, label maps, and what lies under the garments."""

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
from avatarpipe.errors import InputError
from avatarpipe.evaluation.progress import tracked
from avatarpipe.images import write_image, write_labels
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import MeshRendering, render_views
from avatarpipe.provenance import provenance
from avatarpipe.steps.command import run_step


@dataclass
class Render:
    """Unlit views of one scan on black, with soft masks."""

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
    """Metres from the cameras to the origin."""
    fov: float = 60.0
    """Field of view in degrees."""
    backend: Literal["embree", "nvdiffrast", "pytorch3d"] = "embree"
    """What traces the rays."""


def run(options: Render) -> None:
    """Render everything into a draft, then publish it; cameras, poses and scan make the capture complete."""
    capture = Capture.load(options.capture)
    scan, (frame,) = capture.scan(), capture.frame_names
    if scan is None:
        raise InputError(f"{options.capture}: no scan to render; give the capture of normalize.")
    cameras = {
        "train": rig("train", options.train_views, options.size, options.distance, options.fov),
        "test": rig("test", options.test_views, options.size, options.distance, options.fov),
    }
    garments = GARMENTS if layer_names(capture.truth) else ()
    total = options.train_views + options.test_views * (1 + len(garments))
    with publishing(options.out) as draft:
        views = chain(
            _scan_views(scan, cameras, options), _hidden_views(capture, garments, cameras, options)
        )
        for folder, name, view in tracked(views, total, "render"):
            labelled = folder == "." and scan.vertex_labels is not None
            _write_view(draft / folder, frame, name, view, labelled)
        _manifest(capture, options, write_cameras(draft, cameras), draft)


def _scan_views(
    scan: Mesh, cameras: dict[str, Cameras], options: Render
) -> Iterator[tuple[str, str, MeshRendering]]:
    """(folder, camera, view) of the whole subject."""
    for name, view in _views(scan, Cameras.concatenate(list(cameras.values())), options):
        _check_in_frame(view.alpha[0], name, options)
        yield ".", name, view


def _hidden_views(
    capture: Capture, garments: Sequence[str], cameras: dict[str, Cameras], options: Render
) -> Iterator[tuple[str, str, MeshRendering]]:
    """(folder, camera, view) of the subject without each garment, from the test cameras."""
    for garment in garments:
        for name, view in _views(without_garment(capture.truth, garment), cameras["test"], options):
            yield f"hidden/{garment}", name, view


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


def _write_view(folder: Path, frame: str, name: str, view: MeshRendering, labelled: bool) -> None:
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
    inputs = {"capture": options.capture, "scan": capture.scan_path()}
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
