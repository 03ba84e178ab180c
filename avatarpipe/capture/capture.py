"""A capture, opened: checked once, read when asked."""

from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.capture.manifest import MANIFEST_NAME, Manifest
from avatarpipe.capture.views import Views
from avatarpipe.errors import InputError
from avatarpipe.files import check_part, require_file
from avatarpipe.images import image_size, read_image, read_labels, read_mask
from avatarpipe.tables import read_table

SPLITS = ("train", "test")
_READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "images": read_image,
    "masks": read_mask,
    "boundaries": read_mask,
    "labels": read_labels,
    "truth_labels": read_labels,
    "class_maps": read_labels,
}


class Capture:
    """One subject: F frames seen by C cameras, with a body fitted to each frame; `views` says which camera saw which frame.

    Images are read when they are asked for, and not kept. Cameras and frames are given by name or by position in the whole capture. Use `Capture.load`.
    """

    def __init__(self, path: Path, manifest: Manifest):
        self.path = path
        self.folder = path.parent
        self.manifest = manifest

    @staticmethod
    def load(path: str | Path) -> "Capture":
        """Open a capture by its folder or its capture.json, and check it.

        Raises InputError where the manifest is not one, a table is broken, bodies and frames differ in number, or an image
        is missing or has another size than its camera. With a table of views only the first image of each camera is
        looked at, since the manifest was written after all of them; the others are checked when they are read.
        """
        path = Path(path)
        path = path / MANIFEST_NAME if path.is_dir() else path
        capture = Capture(path, Manifest.load(path))
        capture._check()
        return capture

    @property
    def subject(self) -> str:
        return self.manifest.subject

    @property
    def gender(self) -> str:
        return self.manifest.gender

    @property
    def normalization(self) -> np.ndarray:
        """(4, 4) from the dataset's world to this capture's."""
        matrix = self.manifest.normalization
        return np.eye(4) if matrix is None else np.asarray(matrix, np.float64)

    @cached_property
    def frames(self) -> pd.DataFrame:
        """One row a frame: frame (its name), time (seconds)."""
        return read_table(self.folder / self.manifest.frames, ["frame", "time"])

    @cached_property
    def frame_names(self) -> tuple[str, ...]:
        return tuple(self.frames["frame"])

    @cached_property
    def _frame_set(self) -> frozenset[str]:
        return frozenset(self.frame_names)

    @cached_property
    def poses(self) -> BodyParams:
        """A batch of F bodies, in this capture's world."""
        return BodyParams.load(self.folder / self.manifest.poses)

    @cached_property
    def _camera_table(self) -> pd.DataFrame:
        if self.manifest.cameras is None:
            raise InputError(
                f"{self.path}: this capture has no cameras yet; run `avatarpipe render`."
            )
        return read_table(self.folder / self.manifest.cameras, ["camera", "split"])

    @cached_property
    def _all_cameras(self) -> Cameras:
        return Cameras.from_table(self._camera_table)

    def cameras(self, split: str | None = None) -> Cameras:
        """The cameras of "train", of "test", or all of them."""
        if split is None:
            return self._all_cameras
        if split not in SPLITS:
            raise InputError(f"split {split!r}: use one of {', '.join(SPLITS)}.")
        return self._all_cameras[np.flatnonzero(self._camera_table["split"] == split)]

    @cached_property
    def _views(self) -> Views:
        table = self.manifest.views
        path = None if table is None else self.folder / table
        return Views(self.frame_names, self._all_cameras.names, path)

    def views(self, split: str | None = None) -> pd.DataFrame:
        """One row a view that has an image: frame, camera (names); of a split or of all; by frame, then camera."""
        table = self._views.table[["frame", "camera"]]
        if split is None:
            return table
        return table[table["camera"].isin(self.cameras(split).names)].reset_index(drop=True)

    def seen(self, camera: str | int, frame: str | int = 0) -> bool:
        """Whether the camera has an image of the frame."""
        return (self._frame(frame), self._camera(camera)) in self._views

    def image(self, camera: str | int, frame: str | int = 0) -> np.ndarray:
        """(H, W, 3) float32 sRGB in [0, 1], premultiplied by the mask (on black)."""
        image = self._read("images", camera, frame)
        if self.manifest.photographs:
            image *= self.mask(camera, frame)[..., None]
        return image

    def photograph(self, camera: str | int, frame: str | int = 0) -> np.ndarray:
        """(H, W, 3) float32 sRGB in [0, 1], with whatever background the stored image has."""
        return self._read("images", camera, frame)

    def boundary(self, camera: str | int, frame: str | int = 0) -> np.ndarray:
        """(H, W) bool: pixels to leave out of comparisons, at the silhouette's edge or never seen by the sensor."""
        return self._read("boundaries", camera, frame) > 0.5

    def mask(self, camera: str | int, frame: str | int = 0) -> np.ndarray:
        """(H, W) float32 coverage of the subject in [0, 1]."""
        return self._read("masks", camera, frame)

    def labels(self, camera: str | int, frame: str | int = 0) -> np.ndarray:
        """(H, W) uint8 of `Label`, from the segmenter that the capture went through."""
        return self._read("labels", camera, frame)

    def ground_truth_labels(self, camera: str | int, frame: str | int = 0) -> np.ndarray:
        """(H, W) uint8 of `Label`, from the labels of the scan."""
        return self._read("truth_labels", camera, frame)

    def class_map(self, camera: str | int, frame: str | int = 0) -> np.ndarray:
        """(H, W) uint8 in the segmenter's own numbering."""
        return self._read("class_maps", camera, frame)

    def hidden_image(self, camera: str | int, garment: str, frame: str | int = 0) -> np.ndarray:
        """(H, W, 3) float32: the true look of the subject without `garment`; synthetic subjects, test cameras."""
        return read_image(self._hidden_path("images", camera, garment, frame))

    def hidden_mask(self, camera: str | int, garment: str, frame: str | int = 0) -> np.ndarray:
        """(H, W) float32 coverage of the subject without `garment`."""
        return read_mask(self._hidden_path("masks", camera, garment, frame))

    def stack(
        self, split: str | None = None, kind: str = "images", frame: str | int = 0, workers: int = 8
    ) -> np.ndarray:
        """All images of a split at one frame: (C, H, W, 3) float32 images, (C, H, W) float32 masks or uint8 label maps."""
        names = self.cameras(split).names
        read = partial(self.image if kind == "images" else partial(self._read, kind), frame=frame)
        first = read(names[0]) if names else np.empty(0, np.float32)
        stacked = np.empty((len(names), *first.shape), first.dtype)
        with ThreadPoolExecutor(workers) as pool:
            for index, image in enumerate(pool.map(read, names)):
                stacked[index] = image
        return stacked

    def scan(self, frame: str | int = 0):
        """The scanned Mesh of a frame, or None where the capture has none."""
        if self.manifest.scan is None:
            return None
        from avatarpipe.mesh.mesh import load_mesh  # the mesh room is not needed to read images

        return load_mesh(self.scan_path(frame))

    def scan_path(self, frame: str | int = 0) -> Path:
        """Where the scan of a frame lies; InputError where the capture has none."""
        if self.manifest.scan is None:
            raise InputError(f"{self.path}: this capture has no scan.")
        return self.folder / self.manifest.scan.replace("{frame}", self._frame(frame))

    @property
    def truth(self) -> dict[str, Path]:
        """Ground truth by name: what the synthetic subject's maker wrote, in this capture's world; {} for real data."""
        return {name: self.folder / target for name, target in self.manifest.truth.items()}

    def has(self, kind: str) -> bool:
        """Whether the capture has such files: images, masks, labels, truth_labels, class_maps, boundaries, hidden, scan, cameras."""
        return getattr(self.manifest, kind) is not None

    def _frame(self, frame: str | int) -> str:
        return _name(frame, self.frame_names, self._frame_set, f"{self.path}: frame")

    def _camera(self, camera: str | int) -> str:
        names = self._all_cameras.names
        return _name(camera, names, names, f"{self.path}: camera")

    def image_path(self, kind: str, camera: str | int, frame: str | int = 0) -> Path:
        """Where the image of a kind ("images", "masks", "labels", ...) lies; InputError where there is no such kind."""
        if kind not in _READERS:
            raise InputError(f"{self.path}: no kind {kind!r}; use one of {', '.join(_READERS)}.")
        return self._views.path(kind, self._kind_folder(kind), self._frame(frame), self._camera(camera))

    def _kind_folder(self, kind: str) -> Path:
        if not self.has(kind):
            step = "segment" if kind in ("labels", "class_maps") else "render"
            raise InputError(
                f"{self.path}: this capture has no {kind}; run `avatarpipe {step}` first."
            )
        return self.folder / getattr(self.manifest, kind)

    def _hidden_path(self, kind: str, camera: str | int, garment: str, frame: str | int) -> Path:
        folder = self._kind_folder("hidden") / garment / kind
        path = folder / self._frame(frame) / f"{self._camera(camera)}.png"
        return require_file(
            path, "Ground truth under the garment exists for test cameras of synthetic subjects."
        )

    def _read(self, kind: str, camera: str | int, frame: str | int = 0) -> np.ndarray:
        path = self.image_path(kind, camera, frame)
        image = _READERS[kind](path)
        _check_size(image.shape[:2], self._all_cameras, path)
        return image

    def _check(self) -> None:
        if len(self.poses) != len(self.frames):
            raise InputError(
                f"{self.path}: {len(self.poses)} bodies for {len(self.frames)} frames."
            )
        if len(set(self.frame_names)) != len(self.frames) or not self.frame_names:
            raise InputError(f"{self.path}: frames need names, each once.")
        for frame in self.frame_names:
            check_part(frame, f"{self.path}: frame")
        if self.manifest.cameras is not None:
            self._check_cameras()
        for kind in filter(self.has, _READERS):
            self._check_images(kind)
        if self.manifest.scan is not None:
            for frame in self.frame_names:
                require_file(
                    self.scan_path(frame), f"The scan that {self.path} speaks of; rerun its step."
                )

    def _check_cameras(self) -> None:
        table = self._camera_table
        if unknown := set(table["split"]) - set(SPLITS):
            raise InputError(
                f"{self.path}: cameras with split {sorted(unknown)}; use {', '.join(SPLITS)}."
            )
        if table["camera"].duplicated().any():
            raise InputError(f"{self.path}: two cameras share one name.")
        for camera in table["camera"]:
            check_part(camera, f"{self.path}: camera")
        _ = self._all_cameras

    def _check_images(self, kind: str) -> None:
        """Every image is there; the first of each camera has its size (the others when they are read)."""
        folder = self._kind_folder(kind)
        if (absent := self._views.first_absent(kind, folder)) is not None:
            raise InputError(
                f"{absent}: missing from {kind} of {self.path}. Rerun the step that writes it."
            )
        for frame, camera in self._views.first_of_each_camera:
            path = self._views.path(kind, folder, frame, camera)
            _check_size(image_size(path), self._all_cameras, path)


def _name(key: str | int, names: tuple[str, ...], known: Container[str], what: str) -> str:
    if isinstance(key, str):
        if key not in known:
            raise InputError(
                f"{what} {key!r} does not exist; there are {len(names)}, from {names[0]} to {names[-1]}."
            )
        return key
    if not -len(names) <= key < len(names):
        raise InputError(f"{what} {key} does not exist; there are {len(names)}.")
    return names[key]


def _check_size(shape: tuple[int, ...], cameras: Cameras, path: Path) -> None:
    if tuple(shape) != (cameras.height, cameras.width):
        raise InputError(
            f"{path}: {shape[1]} x {shape[0]} pixels, but its camera is calibrated for "
            f"{cameras.width} x {cameras.height}. Rerun the step that writes it."
        )
