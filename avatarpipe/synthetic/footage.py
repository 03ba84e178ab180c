"""The frames of a synthetic recording, pictured by all cores into a folder, frame by frame, so that a killed run goes on.

The folder holds `cast.npz`, `bodies.npz`, `stage.json`, and a folder a frame: {camera}.png, {camera}_mask.png,
{camera}_labels.png and, written last, cloth.npz with the outer sheets of the layers.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import cv2
import numba
import numpy as np

from avatarpipe.cameras import Cameras
from avatarpipe.files import atomic_file, read_json, write_json
from avatarpipe.processes import one_thread_each
from avatarpipe.synthetic.cast import Cast
from avatarpipe.synthetic.moving import Posed
from avatarpipe.synthetic.picture import Photographer
from avatarpipe.synthetic.relight import shade
from avatarpipe.tables import read_table, write_table

SHEETS = ("shoes", "lower", "upper", "hair")
_DONE = "cloth.npz"


@dataclass
class Footage:
    """What is needed to picture any frame, and what is already pictured."""

    folder: Path

    @property
    def ready(self) -> bool:
        """Whether `prepare` came to its end."""
        return (self.folder / "stage.json").is_file()

    def prepare(
        self, cast: Cast, bodies: Sequence[Posed], cameras: Cameras, supersample: int, rays: int
    ) -> None:
        """Write what workers need."""
        cast.save(self.folder / "cast.npz")
        arrays = {
            name: np.stack([getattr(body, name) for body in bodies]).astype(np.float32)
            for name in ("skin", "correctives")
        }
        transforms = np.stack([body.transforms for body in bodies])
        with atomic_file(self.folder / "bodies.npz") as temporary:
            np.savez(temporary, transforms=transforms, **arrays)
        write_table(cameras.to_table(), self.folder / "cameras.parquet")
        write_json(self.folder / "stage.json", {"supersample": supersample, "rays": rays})

    @property
    def cameras(self) -> Cameras:
        """All of them."""
        return _loaded(str(self.folder))[2]

    @property
    def cast(self) -> Cast:
        """Who is pictured."""
        return _loaded(str(self.folder))[0]

    def frame(self, index: int) -> Path:
        """Where frame `index` lies."""
        return self.folder / f"{index:06d}"

    def image(self, index: int, camera: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return cv2.imread(str(self.frame(index) / f"{camera}.png"), cv2.IMREAD_COLOR)[..., ::-1]

    def gray(self, index: int, camera: str, kind: str) -> np.ndarray:
        """(H, W) uint8 of kind "mask" or "labels"."""
        return cv2.imread(str(self.frame(index) / f"{camera}_{kind}.png"), cv2.IMREAD_GRAYSCALE)

    def cloth(self, index: int) -> dict[str, np.ndarray]:
        """(V, 3) float32 of each of SHEETS."""
        with np.load(self.frame(index) / _DONE) as archive:
            return {name: archive[name] for name in archive.files}

    def missing(self, count: int) -> list[int]:
        """Frames up to `count` that are not pictured yet."""
        return [k for k in range(count) if not (self.frame(k) / _DONE).is_file()]

    def shoot(self, frames: Sequence[int], workers: int) -> Iterator[int]:
        """Picture `frames` in `workers` processes; each frame as it is done."""
        if workers <= 1 or len(frames) <= 1:
            yield from (shoot(str(self.folder), frame) for frame in frames)
            return
        workers = min(workers, len(frames))
        with (
            one_thread_each(),
            ProcessPoolExecutor(
                workers, get_context("spawn"), _follow_parent, (os.getpid(),)
            ) as pool,
        ):
            yield from pool.map(shoot, [str(self.folder)] * len(frames), frames)


def _follow_parent(parent: int) -> None:
    """A worker whose parent was killed would wait for work for ever: let it end too."""

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(1.0)
        os._exit(1)

    numba.set_num_threads(1)
    cv2.setNumThreads(1)
    threading.Thread(target=watch, daemon=True).start()


@cache
def _loaded(folder: str) -> tuple[Cast, dict[str, np.ndarray], Cameras, dict]:
    """What `prepare` wrote, read once a process."""
    path = Path(folder)
    with np.load(path / "bodies.npz") as archive:
        bodies = {name: archive[name] for name in archive.files}
    cameras = Cameras.from_table(read_table(path / "cameras.parquet"))
    return Cast.load(path / "cast.npz"), bodies, cameras, read_json(path / "stage.json")


def shoot(folder: str, index: int) -> int:
    """Picture one frame from all cameras; its outer sheets are written last."""
    cast, bodies, cameras, stage = _loaded(folder)
    posed = Posed(*(bodies[name][index] for name in ("skin", "transforms", "correctives")))
    layers = cast.person.layers(posed)
    mesh = replace(cast.mesh, vertices=cast.posed_mesh(layers))
    light = shade(mesh, cast.sheltered, cast.smooth, stage["rays"])
    photographer = Photographer(mesh, light, stage["supersample"])
    target = Footage(Path(folder)).frame(index)
    target.mkdir(exist_ok=True)
    for c, name in enumerate(cameras.names):
        picture = photographer.picture(cameras, c)
        _write(target / f"{name}.png", picture.rgb[..., ::-1])
        _write(target / f"{name}_mask.png", picture.mask)
        _write(target / f"{name}_labels.png", picture.labels)
    with atomic_file(target / _DONE) as temporary:
        np.savez(temporary, **_sheets(cast, layers))
    return index


def _sheets(cast: Cast, layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outer sheets only."""
    counts = {name: len(rig.x_rest) for name, rig in cast.person.rigs.items()}
    return {name: layers[name][: counts[name]].astype(np.float32) for name in SHEETS}


def _write(path: Path, pixels: np.ndarray) -> None:
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    path.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(pixels), fast)[1])
