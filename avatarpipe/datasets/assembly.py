"""From the files of a multi-view recording with smpl_params.npz to a MultiViewSource: cameras, frames and views chosen.

Options that every such dataset takes: cameras, test_cameras (names or positions; a list, or a list for each source), exclude
(frames to leave out; likewise), near_duplicates (radians, 0 keeps all), fps, face, boundary_radius.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avatarpipe.body.params import BodyParams
from avatarpipe.capture.frames import frame_name, frame_numbers, numbers_in
from avatarpipe.datasets.calibration import Calibration
from avatarpipe.datasets.choices import camera_positions, of_source
from avatarpipe.datasets.listing import check_cameras_and_folders, pair_views
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.smpl_params import frame_count, read_smpl_params
from avatarpipe.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rig:
    """The cameras that a request wants."""

    calibration: Calibration
    test: tuple[str, ...]
    path: Path  # of the calibration


@dataclass(frozen=True)
class Files:
    """What lies on disk: {frame number: file} for each camera of the rig."""

    images: Sequence[Mapping[int, Path]]
    masks: Sequence[Mapping[int, Path]]
    listed: Mapping[str, set[tuple[str, int]]] = field(
        default_factory=dict
    )  # as missing: by which file


def chosen_rig(
    request: Request, calibration: Calibration, path: Path, folders: Sequence[str]
) -> Rig:
    """The cameras of options `cameras` and which of them `test_cameras` holds out; `folders` has the cameras with images."""
    names = calibration.names
    wanted = of_source(request.options, "cameras", request.source, "all")
    positions = camera_positions(wanted, names, path)
    held_out = of_source(request.options, "test_cameras", request.source, ())
    test = [names[i] for i in camera_positions(held_out, names, path)]
    rig = Rig(calibration[positions], tuple(test), path)
    chosen = rig.calibration.names
    if strangers := [name for name in test if name not in chosen]:
        raise InputError(
            f"option test_cameras: {', '.join(strangers)} is none of the cameras chosen."
        )
    if set(test) == set(chosen):
        raise InputError("options cameras and test_cameras leave no camera to train on.")
    check_cameras_and_folders(names, chosen, folders, path)
    return rig


def assemble(
    request: Request, rig: Rig, files: Files, params: Path, fps: float, boundary_radius: int, **more
) -> MultiViewSource:
    """The source; fps and boundary_radius are the dataset's own, which options may change. `more`: fields of the source."""
    options, calibration = request.options, rig.calibration
    numbers = _chosen_frames(request, files, params)
    poses = read_smpl_params(params, numbers, options.get("face", "full"))
    kept = apart(poses, float(options.get("near_duplicates", 0.0)))
    if len(kept) < len(numbers):
        log.info(
            "near duplicates left out: %d of %d frames", len(numbers) - len(kept), len(numbers)
        )
    numbers = [numbers[i] for i in kept]
    frames = [(number, frame_name(number)) for number in numbers]
    views, missing = pair_views(frames, calibration.names, files.images, files.masks, files.listed)
    return MultiViewSource(
        cameras=calibration.cameras,
        distortion=calibration.distortion,
        sizes=calibration.sizes,
        frames=tuple(name for _, name in frames),
        times=tuple(number / float(options.get("fps", fps)) for number in numbers),
        poses=poses[kept],
        views=views,
        missing=missing,
        test_cameras=rig.test,
        inputs={"calibration": rig.path, "poses": params},
        boundary_radius=int(options.get("boundary_radius", boundary_radius)),
        **more,
    )


def apart(poses: BodyParams, threshold: float) -> list[int]:
    """Indices of the bodies whose 63 pose numbers differ from those of the last one kept by more than `threshold` radians.

    That is the mean absolute difference; the first body is kept, and with threshold 0 every one.
    """
    body_pose = poses.body_pose.double().numpy()
    kept = [0]
    for index in range(1, len(body_pose)):
        if threshold <= 0 or np.abs(body_pose[index] - body_pose[kept[-1]]).mean() > threshold:
            kept.append(index)
    return kept


def _chosen_frames(request: Request, files: Files, params: Path) -> list[int]:
    """The numbers wanted: all of them must have a pose; "all" are those of which any camera has an image."""
    count = frame_count(params)
    seen = set().union(*(images.keys() for images in files.images))
    if request.frames == "all":
        if seen and max(seen) >= count:
            raise InputError(
                f"{params}: poses of {count} frames, but there are images up to frame {max(seen)}. "
                f"Likely they are of different recordings; else ask for the frames 0-{count - 1}."
            )
        available = sorted(seen)
    else:
        available = range(count)
    wanted = frame_numbers(request.frames, available)
    excluded = numbers_in(str(of_source(request.options, "exclude", request.source, "")))
    numbers = [number for number in wanted if number not in excluded]
    if not numbers:
        raise InputError(f"frames {request.frames!r}: the option exclude leaves none of them.")
    return numbers
