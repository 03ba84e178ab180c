"""The four-view folders of NLF-GS (2026) and of avatar-benchmark before it: renderings of THuman2.0 scans, four or 24 a person.

Layout below the root: {images}/{id}/{id}_{view}.png with {id}_{view}_mask.png, where a view is front, back, left, right or an
angle such as 90; {cameras}/thuman_{view}.json with K, viewmat and image_size; the fit in {images}/{id}/smplx_param.pkl
(of the scan as it was rendered), or else in {fits}/{id}/smplx_param.pkl (of the scan before it was enlarged by mesh_scale).

K has pixel centres at 0. The older program wrote viewmat in OpenGL axes, the newer in OpenCV axes, under one name: which it is
shows in whether the body stands before the cameras. Renderings are of the scan's size; here all becomes metric.
Options: layout, fits, images, calibrations (folders), mesh_scale, axes (auto, opencv, opengl), flat_hand_mean, and those of
`assembly` about cameras and boundary_radius.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatarpipe.body.params import BodyParams
from avatarpipe.capture.frames import frame_name
from avatarpipe.capture.manifest import check_name
from avatarpipe.datasets.assembly import chosen_rig
from avatarpipe.datasets.calibration import Calibration
from avatarpipe.datasets.formats.posed_image import inside
from avatarpipe.datasets.formats.transforms import OPENGL
from avatarpipe.datasets.listing import pair_views
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.similarity import moved
from avatarpipe.datasets.thuman2 import read_fit
from avatarpipe.errors import InputError
from avatarpipe.files import read_json, require_file

FIT = "smplx_param.pkl"
FOLDERS = {"images": "processed", "calibrations": "THuman_cameras", "fits": "THuman_2.0_smplx"}
MESH_SCALE = 1.5  # by which the older program enlarged scans
_VIEW = r"front|back|left|right|\d+"
_SHAPES = {"K": (3, 3), "viewmat": (4, 4), "image_size": (2,)}
_AXES = ("auto", "opencv", "opengl")


@dataclass(frozen=True)
class _Person:
    """Where a person's files lie."""

    number: str
    images: Path
    calibrations: Path
    fit: Path
    enlarged: float  # what was rendered over what was fitted


def read(request: Request) -> MultiViewSource:
    """What the folders hold of a person; InputError on a broken calibration, fit or option."""
    if request.frames not in ("0", "all"):
        raise InputError(
            f"frames {request.frames!r}: a person of the four-view layout has frame 0 only."
        )
    person = find(request.root, request.source, request.options)
    flat = bool(request.options.get("flat_hand_mean", True))
    poses, scale = read_fit(person.fit, request.body, flat)
    images, masks = _pictures(person)
    path = person.calibrations / "thuman_*.json"
    calibration = _read_calibration(person, tuple(images)).check(path)
    world = np.diag([*[1 / (scale * person.enlarged)] * 3, 1.0])
    w2c = moved(calibration.w2c, world)
    w2c = _opencv(w2c, poses, request.options.get("axes") or "auto", path)
    metric = Calibration(
        calibration.names, w2c, calibration.K, calibration.distortion, calibration.sizes
    )
    rig = chosen_rig(request, metric, path, metric.names)
    names, frame = rig.calibration.names, frame_name(0)
    found = [
        [{0: kind[name]} if name in kind else {} for name in names] for kind in (images, masks)
    ]
    views, missing = pair_views([(0, frame)], names, *found, {})
    return MultiViewSource(
        cameras=rig.calibration.cameras,
        distortion=rig.calibration.distortion,
        sizes=rig.calibration.sizes,
        frames=(frame,),
        times=(0.0,),
        poses=poses,
        views=views,
        missing=missing,
        test_cameras=rig.test,
        inputs={"poses": person.fit} | {name: _camera_file(person, name) for name in names},
        boundary_radius=int(request.options.get("boundary_radius", 4)),
        world=world,
    )


def find(root: Path, number: str, options: Mapping) -> _Person:
    """The folders of person `number`; InputError where there are no images or no fit."""
    check_name(number, "source")
    images, calibrations, fits = (
        inside(Path(root), options.get(name) or default, f"option {name}")
        for name, default in FOLDERS.items()
    )
    if not (images / number).is_dir():
        raise InputError(
            f"{images / number}: no such folder. Give the folder that holds {FOLDERS['images']}/ and "
            f"{FOLDERS['calibrations']}/ as root, and a person's number as source."
        )
    exported, original = images / number / FIT, fits / number / FIT
    if exported.is_file():
        return _Person(number, images / number, calibrations, exported, 1.0)
    require_file(original, f"The SMPL-X fit was expected there, or in {exported}.")
    enlarged = float(options.get("mesh_scale") or MESH_SCALE)
    return _Person(number, images / number, calibrations, original, enlarged)


def _pictures(person: _Person) -> tuple[dict[str, Path], dict[str, Path]]:
    """({view: image}, {view: mask})."""
    pattern = rf"{re.escape(person.number)}_({_VIEW})(_mask)?\.(?:png|jpg|jpeg)"
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for path in sorted(person.images.iterdir()):
        if match := re.fullmatch(pattern, path.name):
            (masks if match[2] else images)[match[1]] = path
    if not images:
        raise InputError(
            f"{person.images}: no image called {person.number}_front.png, {person.number}_90.png or so."
        )
    order = sorted(
        images, key=lambda view: (view.isdigit(), int(view) if view.isdigit() else 0, view)
    )
    return {view: images[view] for view in order}, masks


def _camera_file(person: _Person, view: str) -> Path:
    return person.calibrations / f"thuman_{view}.json"


def _read_calibration(person: _Person, views: tuple[str, ...]) -> Calibration:
    """The cameras of `views` as they are written, pixel centres at +0.5; w2c in whichever axes."""
    records = [_record(_camera_file(person, view)) for view in views]
    K = np.stack([record["K"] for record in records])
    K[:, :2, 2] += 0.5
    sizes = np.stack([record["image_size"] for record in records]).astype(np.int64)
    w2c = np.stack([record["viewmat"] for record in records])
    return Calibration(views, w2c, K, np.zeros((len(views), 5)), sizes)


def _record(path: Path) -> dict[str, np.ndarray]:
    document = read_json(path, given=True)
    arrays = {}
    for key, shape in _SHAPES.items():
        try:
            arrays[key] = np.asarray(document[key], np.float64).reshape(shape)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: {key} is missing or not {shape} numbers. Render again."
            ) from error
        if not np.isfinite(arrays[key]).all():
            raise InputError(f"{path}: {key} holds NaN or infinity. Render again.")
    if document.get("type") == "c2w":
        arrays["viewmat"] = np.linalg.inv(arrays["viewmat"])
    return arrays


def _opencv(w2c: np.ndarray, poses: BodyParams, axes: str, path: Path) -> np.ndarray:
    """w2c in OpenCV axes: a camera that has the body behind it was written in OpenGL axes."""
    if axes not in _AXES:
        raise InputError(f"option axes is {axes!r}: use one of {', '.join(_AXES)}.")
    place = np.append(poses.transl[0].double().numpy(), 1.0)
    behind = (w2c @ place)[:, 2] < 0
    if axes == "auto" and behind.any() != behind.all():
        raise InputError(
            f"{path}: some cameras look at the body and some away from it: calibration and fit do not belong together, "
            "or were written by different programs. Render the person again."
        )
    opengl = axes == "opengl" or (axes == "auto" and behind.all())
    return OPENGL @ w2c if opengl else w2c
