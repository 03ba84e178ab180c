"""People's own captures: calibrated images in whatever form, masks beside them, and smpl_params.npz.

What transforms.json and COLMAP folders share: which image is of which camera and frame, in which world, with which mask.
Options beyond those of `assembly`: names (a NamePattern), masks (folder of masks); scale or
transform, from the calibration's world to the bodies' metric one; up, the axis of the latter that points up. Each may be
given for each source apart.
"""

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from avatarpipe.datasets.assembly import Files, assemble, chosen_rig
from avatarpipe.datasets.calibration import Calibration
from avatarpipe.datasets.choices import settled
from avatarpipe.datasets.formats.posed_image import PosedImage, below, inside
from avatarpipe.datasets.image_names import NamePattern, camera_name, files_below, mask_names
from avatarpipe.datasets.multiview import MultiViewSource, Request
from avatarpipe.datasets.similarity import mean_up, moved, similarity, upright
from avatarpipe.datasets.smpl_params import NAME
from avatarpipe.errors import InputError

log = logging.getLogger(__name__)
FPS = 30.0
BOUNDARY_RADIUS = 4
_SAME_PLACE = 1e-6  # how far two poses of one camera may differ, in units of the calibration
_UPRIGHT = 0.5  # cosine of how far the mean pelvis may lean before a warning
_PNG_ALPHA = (4, 6)  # colour types with alpha (PNG specification, 11.2.2)


@dataclass(frozen=True)
class Folder:
    """Where a capture's files lie."""

    path: Path
    calibration: Path  # the file that errors about cameras name
    images: str = "."  # below path: what the names of images start from
    masks: str = "masks"


@dataclass
class _Camera:
    """A camera, and its images by frame number."""

    seen: PosedImage  # its calibration
    images: dict[int, str] = field(default_factory=dict)
    masks: dict[int, str] = field(default_factory=dict)  # those that the calibration file names


def read_posed(request: Request, folder: Folder, images: Sequence[PosedImage]) -> MultiViewSource:
    """The source that calibrated `images` make.

    Raises InputError where a name does not fit the pattern, a camera stands in two places, two images claim one camera
    and frame, bodies are too few, a path leaves the folder, or no image has a mask.
    """
    request = replace(request, options=settled(request.options, request.source))
    folder = replace(folder, masks=request.options.get("masks", folder.masks))
    template = request.options.get("names")
    pattern = NamePattern(template) if template else None
    tells_frames = pattern is not None and pattern.tells_frames
    times = (
        [] if tells_frames else sorted({image.time for image in images if image.time is not None})
    )
    cameras = _cameras(images, pattern, {time: number for number, time in enumerate(times)}, folder)
    if pattern is not None and pattern.tells_both:
        _add_images_on_disk(cameras, pattern, folder)
    rig = chosen_rig(
        request, _calibration(cameras, request, folder), folder.calibration, list(cameras)
    )
    files = _files([cameras[name] for name in rig.calibration.names], folder)
    source = assemble(request, rig, files, folder.path / NAME, FPS, BOUNDARY_RADIUS)
    if times and "fps" not in request.options:
        source.times = tuple(times[int(frame)] for frame in source.frames)
    source.world = _world(request)
    source = upright(source, request.options.get("up", "+y"), request.body)
    if mean_up(source.poses)[1] < _UPRIGHT:
        log.warning(
            "%s: the bodies do not stand upright. If the person did, mend the option up (body finds it).",
            folder.path,
        )
    return source


def _cameras(
    images: Sequence[PosedImage],
    pattern: NamePattern | None,
    numbers: Mapping[float, int],
    folder: Folder,
) -> dict[str, _Camera]:
    """Cameras by name, in the order of their first image, with the images that are calibrated. numbers: of frames, by time."""
    found: dict[str, _Camera] = {}
    unnamed: dict[tuple, str] = {}
    for image in images:
        label, number = _taken(image, pattern, numbers, folder)
        if label is None:
            label = unnamed.setdefault(_identity(image), _free_name(image.name, found))
        camera = found.setdefault(camera_name(label), _Camera(image))
        _check_one_place(camera.seen, image, folder)
        if number in camera.images:
            raise InputError(
                f"{folder.calibration}: {image.name} and {camera.images[number]} are both frame {number} of camera "
                f"{camera_name(label)}. Tell frames apart by the option names, such as {{camera}}/{{frame}}.png."
            )
        camera.images[number] = image.name
        if image.mask is not None:
            camera.masks[number] = image.mask
    return found


def _taken(
    image: PosedImage, pattern: NamePattern | None, numbers: Mapping[float, int], folder: Folder
) -> tuple[str | None, int]:
    """(camera, frame number) of an image; no camera where neither file nor name tells."""
    what = f"{folder.calibration}: {image.name}"
    label, number = image.camera, None
    if pattern is not None:
        match = pattern.match(image.name)
        if match is None:
            raise InputError(
                f"{what} is not of the form {pattern.template!r}, which the option names gives."
            )
        label, number = match[0] or label, match[1]
    if number is not None or not numbers:
        return label, number or 0
    if image.time is None:
        raise InputError(
            f"{what} has no time, but other images have. Give each one, or the option names."
        )
    return label, numbers[image.time]


def _identity(image: PosedImage) -> tuple:
    lens = image.lens
    arrays = (image.w2c, lens.K, lens.distortion)
    return (lens.width, lens.height, *(array.tobytes() for array in arrays))


def _free_name(image: str, taken: dict[str, _Camera]) -> str:
    """The image's stem, or its whole path where another camera has that name."""
    path = PurePosixPath(image)
    stem = camera_name(path.stem)
    return stem if stem not in taken else path.with_suffix("").as_posix()


def _check_one_place(known: PosedImage, image: PosedImage, folder: Folder) -> None:
    if known.lens.same(image.lens) and np.abs(known.w2c - image.w2c).max() < _SAME_PLACE:
        return
    raise InputError(
        f"{folder.calibration}: {known.name} and {image.name} are of one camera, but differ in pose or lens. "
        "Calibrate standing cameras from one frame; of a camera that moves leave {camera} out of the option names."
    )


def _add_images_on_disk(cameras: dict[str, _Camera], pattern: NamePattern, folder: Folder) -> None:
    """A standing camera is calibrated at one frame; its images of all others count too."""
    root = (
        inside(folder.path, folder.images, "option images") if folder.images != "." else folder.path
    )
    for (label, number), name in pattern.files(root).items():
        if (camera := cameras.get(camera_name(label))) is not None:
            camera.images.setdefault(number, name)


def _calibration(cameras: dict[str, _Camera], request: Request, folder: Folder) -> Calibration:
    """All cameras, in the metric world of the bodies."""
    seen = [camera.seen for camera in cameras.values()]
    return Calibration(
        names=tuple(cameras),
        w2c=moved(np.stack([image.w2c for image in seen]), _world(request)),
        K=np.stack([image.lens.K for image in seen]),
        distortion=np.stack([image.lens.distortion for image in seen]),
        sizes=np.array([(image.lens.width, image.lens.height) for image in seen]),
    ).check(folder.calibration)


def _world(request: Request) -> np.ndarray:
    """(4, 4) from the calibration's world to the metric one of the bodies, before `up` turns both."""
    return similarity(request.options.get("scale", 1.0), request.options.get("transform"))


def _files(cameras: Sequence[_Camera], folder: Folder) -> Files:
    """Images and masks that are there, by frame number; a mask of None is the image's own alpha channel."""
    present = files_below(folder.path)
    images, masks = [], []
    for camera in cameras:
        names = {number: _image_name(folder, name) for number, name in camera.images.items()}
        names = {number: name for number, name in names.items() if name in present}
        images.append({number: folder.path / name for number, name in names.items()})
        found = {
            number: _mask(camera.masks.get(number), name, folder, present)
            for number, name in names.items()
        }
        masks.append({number: mask for number, (there, mask) in found.items() if there})
    if not any(images):
        first = next(name for camera in cameras for name in camera.images.values())
        raise InputError(
            f"{folder.calibration}: none of the images that it names is there, the first {_image_name(folder, first)}. "
            f"Copy them into {folder.path}, or name their folder as it lies."
        )
    if not any(masks):
        raise InputError(
            f"{folder.path}: no image has a mask: neither in {folder.masks}/ under the image's name, nor named by "
            f"{folder.calibration.name}, nor as alpha channel of a PNG. docs/own-data.md says how to make masks."
        )
    return Files(images, masks)


def _image_name(folder: Folder, name: str) -> str:
    """The image as seen from the capture's folder."""
    return below(folder.path, f"{folder.images}/{name}", str(folder.calibration))


def _mask(
    named: str | None, image: str, folder: Folder, present: Set[str]
) -> tuple[bool, Path | None]:
    """(whether there is a mask, its file or None for the alpha channel). named: as the calibration file has it."""
    if named is not None:
        return named in present, folder.path / named
    for name in mask_names(image, folder.images):
        mask = below(folder.path, f"{folder.masks}/{name}", "option masks")
        if mask in present:
            return True, folder.path / mask
    return _has_alpha(folder.path / image), None


def _has_alpha(path: Path) -> bool:
    with path.open("rb") as stream:
        header = stream.read(26)
    return len(header) == 26 and header[1:4] == b"PNG" and header[25] in _PNG_ALPHA
