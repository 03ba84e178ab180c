"""COLMAP models as text: cameras.txt, images.txt (two lines an image), points3D.txt."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from avatarpipe.datasets.formats.colmap_model import ColmapCamera, ColmapImage, ColmapPoints
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file

_HINT = "A COLMAP model needs cameras and images, as .txt or .bin; export it again."


def read_cameras(path: Path) -> list[ColmapCamera]:
    """Every camera of cameras.txt."""
    return [_parsed(_camera, line, path, number) for number, line in _lines(path)]


def _camera(line: str) -> ColmapCamera:
    identity, model, width, height, *parameters = line.split()
    return ColmapCamera(
        int(identity), model, int(width), int(height), tuple(map(float, parameters))
    )


def read_images(path: Path) -> list[ColmapImage]:
    """Every image of images.txt; the line of 2D points after each is passed over, and may be empty."""
    images, expect_points = [], False
    for number, line in _lines(path, keep_empty=True):
        if expect_points:
            expect_points = False
        elif line:
            images.append(_parsed(_image, line, path, number))
            expect_points = True
    return images


def _image(line: str) -> ColmapImage:
    *numbers, name = line.split(maxsplit=9)
    if len(numbers) != 9:
        raise ValueError("ten fields were expected")
    pose = tuple(map(float, numbers[1:8]))
    return ColmapImage(int(numbers[0]), pose[:4], pose[4:], int(numbers[8]), name)


def read_points(path: Path) -> ColmapPoints:
    """Positions and colours of points3D.txt."""
    rows = [_parsed(_point, line, path, number) for number, line in _lines(path)]
    table = np.array(rows, np.float64).reshape(-1, 6)
    return ColmapPoints(table[:, :3], table[:, 3:].astype(np.uint8))


def _point(line: str) -> list[float]:
    fields = line.split()
    if len(fields) < 8:
        raise ValueError("eight fields were expected")
    return [float(field) for field in fields[1:7]]


def _parsed(parse, line: str, path: Path, number: int):
    try:
        return parse(line)
    except ValueError as error:
        raise InputError(
            f"{path}: line {number} is not what COLMAP writes ({error}): {line[:80]!r}."
        ) from error


def _lines(path: Path, keep_empty: bool = False) -> Iterator[tuple[int, str]]:
    """(line number from 1, text) of the lines that are no comments."""
    try:
        text = require_file(path, _HINT).read_text()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text ({error}). Export the model again.") from error
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line.startswith("#") and (line or keep_empty):
            yield number, line


def write_cameras(path: Path, cameras: Sequence[ColmapCamera]) -> None:
    """cameras.txt, numbers in full precision."""
    _write(
        path,
        "CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]",
        (f"{x.identity} {x.model} {x.width} {x.height} {_numbers(x.parameters)}" for x in cameras),
    )


def write_images(path: Path, images: Sequence[ColmapImage]) -> None:
    """images.txt, without 2D points."""
    _write(
        path,
        "IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME; then a line of POINTS2D[]",
        (
            f"{x.identity} {_numbers((*x.quaternion, *x.translation))} {x.camera} {x.name}\n"
            for x in images
        ),
    )


def write_points(path: Path, points: ColmapPoints) -> None:
    """points3D.txt, without tracks and with no error known."""
    rows = zip(points.positions.tolist(), points.colours.tolist(), strict=True)
    _write(
        path,
        "POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]",
        (f"{i} {_numbers(xyz)} {_numbers(rgb)} 0" for i, (xyz, rgb) in enumerate(rows, 1)),
    )


def _numbers(values: Iterable[float]) -> str:
    return " ".join(repr(value) for value in values)


def _write(path: Path, header: str, lines: Iterable[str]) -> None:
    with atomic_file(path) as temporary, temporary.open("w") as stream:
        stream.write(f"# {header}\n")
        stream.writelines(f"{line}\n" for line in lines)
