"""COLMAP models, read and written: images with lens and pose. Axes and pixel centres are as ours.

model = read_colmap("capture/sparse/0")              # .bin or .txt, whichever is there
write_colmap("out/sparse/0", cameras, shots, binary=True)
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from avatarpipe.cameras import Cameras
from avatarpipe.datasets.formats import colmap_binary, colmap_text
from avatarpipe.datasets.formats.colmap_model import (
    ColmapImage,
    ColmapPoints,
    camera_of,
    lens_of,
)
from avatarpipe.datasets.formats.posed_image import PosedImage, Shot, posed_images
from avatarpipe.errors import InputError

_FORMS = ((colmap_binary, ".bin"), (colmap_text, ".txt"))


def model_folder(folder: Path) -> Path:
    """Where in a capture's folder the model lies: sparse/0, sparse, or the folder itself."""
    candidates = [folder / "sparse" / "0", folder / "sparse", folder]
    for candidate in candidates:
        if any((candidate / f"cameras{ending}").is_file() for _, ending in _FORMS):
            return candidate
    raise InputError(
        f"{folder}: no COLMAP model: neither cameras.bin nor cameras.txt in sparse/0, sparse or the folder."
    )


def model_files(folder: Path) -> dict[str, Path]:
    """cameras and images of the model in `folder`, binary where both forms are there."""
    _, ending = _form(folder)
    return {name: folder / f"{name}{ending}" for name in ("cameras", "images")}


def _form(folder: Path):
    return next((form for form in _FORMS if (folder / f"cameras{form[1]}").is_file()), _FORMS[0])


def read_colmap(folder: str | Path) -> list[PosedImage]:
    """The registered images of the model in `folder`, ordered by name.

    Raises InputError where a file is missing or truncated, a lens model is not known, a rotation is none, or an image
    names a camera that is not there.
    """
    folder = Path(folder)
    module, _ = _form(folder)
    files = model_files(folder)
    cameras = module.read_cameras(files["cameras"])
    lenses = {x.identity: lens_of(x, f"{files['cameras']}: camera {x.identity}") for x in cameras}
    images = module.read_images(files["images"])
    if not images:
        raise InputError(f"{files['images']}: no image is registered. Run COLMAP's mapper again.")
    return [
        _posed(image, lenses, files["images"]) for image in sorted(images, key=lambda x: x.name)
    ]


def _posed(image: ColmapImage, lenses: dict, path: Path) -> PosedImage:
    what = f"{path}: image {image.name}"
    if image.camera not in lenses:
        raise InputError(f"{what}: its camera {image.camera} is not in the calibration.")
    quaternion, translation = np.array(image.quaternion), np.array(image.translation)
    if not abs(np.linalg.norm(quaternion) - 1) < 1e-3 or not np.isfinite(translation).all():
        raise InputError(
            f"{what}: {image.quaternion} is no unit quaternion, or {image.translation} not finite."
        )
    w2c = np.eye(4)
    w2c[:3, :3] = Rotation.from_quat(quaternion, scalar_first=True).as_matrix()
    w2c[:3, 3] = translation
    return PosedImage(image.name, w2c, lenses[image.camera])


def read_points(folder: str | Path) -> ColmapPoints:
    """The point cloud of the model in `folder`."""
    module, ending = _form(Path(folder))
    return module.read_points(Path(folder) / f"points3D{ending}")


def write_colmap(
    folder: str | Path,
    cameras: Cameras,
    shots: Sequence[Shot],
    binary: bool,
    distortion: np.ndarray | None = None,
    points: ColmapPoints | None = None,
) -> None:
    """Write a model of one COLMAP camera for each of `cameras`, and one image for each shot.

    distortion: (C, 5) OpenCV k1 k2 p1 p2 k3. points: a cloud to start reconstructions from; COLMAP's format demands the
    file, so without points it is written empty. Names of shots must have no line breaks and be unique.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    one_each = [Shot(camera, name) for camera, name in enumerate(cameras.names)]
    lenses = [image.lens for image in posed_images(cameras, one_each, distortion)]
    module, ending = _FORMS[0] if binary else _FORMS[1]
    points = points or ColmapPoints(np.empty((0, 3)), np.empty((0, 3), np.uint8))
    module.write_points(folder / f"points3D{ending}", points)
    module.write_images(folder / f"images{ending}", _images(cameras, shots))
    module.write_cameras(
        folder / f"cameras{ending}", [camera_of(lens, i) for i, lens in enumerate(lenses, 1)]
    )


def _images(cameras: Cameras, shots: Sequence[Shot]) -> list[ColmapImage]:
    turns = Rotation.from_matrix(cameras.w2c[:, :3, :3]).as_quat(canonical=True, scalar_first=True)
    poses = [
        (tuple(q), tuple(t))
        for q, t in zip(turns.tolist(), cameras.w2c[:, :3, 3].tolist(), strict=True)
    ]
    return [
        ColmapImage(i, *poses[shot.camera], shot.camera + 1, shot.name)
        for i, shot in enumerate(shots, 1)
    ]
