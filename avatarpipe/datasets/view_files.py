"""One view of a raw dataset made three files of a capture: image, mask, boundary."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from avatarpipe.datasets.journal import Finished
from avatarpipe.datasets.rectification import Rectifier
from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.images import require_whole

SOLID = 128
"""Masks are soft; above this a pixel counts as the subject's (as the published systems have it)."""
_LINKABLE = (".png", ".jpg", ".jpeg")
ENCODING = {
    "png": [],  # OpenCV's own choice of filter and strategy: any explicit level is twice as slow and no smaller
    "jpg": [
        cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
}  # fmt: skip


class EmptyMask(InputError):
    """The mask of a view does not show the subject."""


@dataclass(frozen=True)
class ViewJob:
    """A view to be converted, and how."""

    frame: str
    camera: str
    image: Path
    mask: Path | None  # None: the image's alpha channel
    rectifier: Rectifier
    boundary_radius: int
    image_format: str  # png or jpg, of images that cannot stay as they are
    setup: str  # identity of all that is common to a camera's views
    on_white: bool = False  # the image is its subject laid on white by the mask, and is put on black

    def stamp(self) -> str:
        """Identity of all that the files of the view depend on; raw files are known by their size and time of change."""
        parts = [self.setup]
        for path in filter(None, (self.image, self.mask)):
            try:
                found = os.stat(path)
            except FileNotFoundError:
                raise InputError(
                    f"{path}: no such file, though the dataset lists it. Fetch it, or list it as missing."
                ) from None
            parts += [str(path), found.st_size, found.st_mtime_ns]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def convert_view(job: ViewJob, draft: Path) -> Finished:
    """Write images/, masks/ and boundaries/{frame}/{camera}.* into `draft`, each whole or not at all.

    Raises EmptyMask, or InputError on images that are broken or of another size than their camera's calibration.
    """
    stamp = job.stamp()
    _check_size(job)
    colours, mask = _read(job)
    _check_mask(mask, job)
    mask_stays = job.mask is not None and _stays(job.mask, job)
    files = {
        "image": _put(draft, "images", job, colours, job.image, job.image_format),
        "mask": _put(draft, "masks", job, None if mask_stays else mask, job.mask, "png"),
        "boundary": _put(draft, "boundaries", job, boundary(mask, job), None, "png"),
    }
    sizes = {name: os.stat(draft / file).st_size for name, file in files.items()}
    return Finished(job.frame, job.camera, stamp, files, sizes)


def _read(job: ViewJob) -> tuple[np.ndarray | None, np.ndarray]:
    """((H, W, 3) BGR or None where the image file can stay as it is, (H, W) mask), rectified."""
    if job.mask is None:
        colours, mask = _decode_alpha(job.image)
        return _rectified_colours(colours, mask, job.rectifier), job.rectifier(mask)
    mask = _decode(job.mask, cv2.IMREAD_GRAYSCALE)
    if mask.shape != job.rectifier.size[::-1]:
        raise InputError(
            f"{job.mask}: {mask.shape[1]} x {mask.shape[0]} pixels, but its image has "
            f"{job.rectifier.size[0]} x {job.rectifier.size[1]}. Masks and images must be of one size; fetch both again."
        )
    if _stays(job.image, job) and not job.on_white:
        return None, job.rectifier(mask)
    colours = _decode(job.image, cv2.IMREAD_COLOR)
    if job.on_white:  # a c + (1 - a) white is seen; a c is wanted
        colours = cv2.subtract(colours, cv2.merge([255 - mask] * 3))
    return job.rectifier(colours), job.rectifier(mask)


def _stays(path: Path, job: ViewJob) -> bool:
    """Whether a file can be taken over as it is."""
    return not job.rectifier.changes and path.suffix.lower() in _LINKABLE


def boundary(mask: np.ndarray, job: ViewJob) -> np.ndarray:
    """(H, W) uint8, 255 where the silhouette is uncertain or unknown, else 0.

    That is erosion XOR dilation of the mask by a disk, together with pixels that the sensor did not cover.
    """
    solid = (mask > SOLID).astype(np.uint8)
    disk = _disk(job.boundary_radius)
    band = cv2.morphologyEx(solid, cv2.MORPH_GRADIENT, disk) * np.uint8(255)
    if job.rectifier.unseen is not None:
        band[job.rectifier.unseen] = 255
    return band


@cache
def _disk(radius: int) -> np.ndarray:
    """(2r + 1, 2r + 1) uint8: 1 where the distance to the middle is at most r pixels."""
    offsets = np.arange(-radius, radius + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.uint8)


def _check_size(job: ViewJob) -> None:
    height, width = require_whole(job.image)
    if (width, height) != job.rectifier.size:
        raise InputError(
            f"{job.image}: {width} x {height} pixels, but the calibration of camera {job.camera} is for "
            f"{job.rectifier.size[0]} x {job.rectifier.size[1]}. Use images and calibration of the same resolution."
        )


def _check_mask(mask: np.ndarray, job: ViewJob) -> None:
    largest = int(mask.max())
    if largest <= SOLID:
        raise EmptyMask(
            f"{job.mask or job.image}: empty mask: no value above {SOLID} of 255 (the largest is {largest}). "
            "The subject must be in it; fetch it again, or set the option empty_masks to skip such views."
        )


def _decode(path: Path, flag: int) -> np.ndarray:
    path = require_file(path, "The dataset listed it a moment ago; check the disk.")
    data = np.fromfile(path, np.uint8)
    pixels = cv2.imdecode(data, flag | cv2.IMREAD_IGNORE_ORIENTATION) if len(data) else None
    if pixels is None:
        raise InputError(
            f"{path}: truncated or not an image. Fetch it again, or delete it to have it listed as missing."
        )
    return pixels


def _decode_alpha(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """((H, W, 3) BGR, (H, W) alpha) uint8 of an image with an alpha channel."""
    pixels = _decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise InputError(
            f"{path}: no alpha channel, and no mask was given for it. Give masks, or images with alpha."
        )
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return pixels[..., :3], np.ascontiguousarray(pixels[..., 3])


def _rectified_colours(colours: np.ndarray, alpha: np.ndarray, rectifier: Rectifier) -> np.ndarray:
    """Straight (not premultiplied) colours; what transparent pixels hold must not bleed into the others."""
    if not rectifier.undistorts:
        return rectifier(colours)
    weight = alpha[..., None].astype(np.float32) / 255.0
    sums, weights = rectifier(colours * weight), rectifier(weight)
    return np.clip(sums / np.maximum(weights[..., None], 1e-6) + 0.5, 0, 255).astype(np.uint8)


def _put(
    draft: Path,
    kind: str,
    job: ViewJob,
    pixels: np.ndarray | None,
    source: Path | None,
    ending: str,
) -> str:
    """Write `pixels`, or without any put `source` there as it is; returns the file as seen from the draft."""
    suffix = f".{ending}" if pixels is not None else source.suffix.lower()
    file = f"{kind}/{job.frame}/{job.camera}{suffix}"
    target = draft / file
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}")
    temporary.unlink(missing_ok=True)
    if pixels is None:
        _link(source, temporary)
    else:
        bilevel = [cv2.IMWRITE_PNG_BILEVEL, 1] if kind == "boundaries" else []
        temporary.write_bytes(cv2.imencode(suffix, pixels, ENCODING[ending] + bilevel)[1])
    target.unlink(missing_ok=True)  # renaming a file onto another name of itself would do nothing
    temporary.replace(target)
    return file


def _link(source: Path, target: Path) -> None:
    """A second name for the same file where the file system allows it, else a copy."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)
