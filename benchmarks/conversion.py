"""How fast multi-view video becomes a capture here, what that time goes into, and how much memory it takes.

    python -m benchmarks.conversion                  # a few minutes
    python -m benchmarks.conversion --workers 1 8 --frames 64

Writes a recording in AvatarReX's raw layout (lenses that distort, 1500 x 2048, JPEG of photograph-like noise), few distinct
frames of it, the others hard links to them, and converts it: undistorting into JPEG and PNG, and without distortion, when
files are taken over as they are. Then 2000 frames of 16 cameras at a tenth of the size, to the end. Every run is a process of
its own; its memory is what it grew by. The raw files are in the page cache: what is measured is the processor's part.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing
from avatarpipe.datasets import avatarrex
from avatarpipe.datasets.multiview import Request, view_jobs, write_source
from avatarpipe.datasets.view_files import ENCODING, boundary
from avatarpipe.datasets.writers import avatarrex as writer
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.files import write_json

log = logging.getLogger(__name__)
CAMERAS = 16
LENS = np.array([-0.12, 0.09, 0.0004, -0.0003, -0.02])
DISTINCT = 2
"""Frames that are really drawn, a camera."""


@dataclass
class Options:
    """What to measure."""

    frames: int = 8
    """Of 16 cameras at full size."""
    long_frames: int = 2000
    """Of 16 cameras at a tenth of the size; 0 leaves this out."""
    size: tuple[int, int] = (1500, 2048)
    """Width and height."""
    workers: tuple[int, ...] = (1, 2)
    out: Path = Path("results/benchmarks/conversion")


@dataclass(frozen=True)
class Case:
    """One conversion."""

    what: str
    raw: Path
    image_format: str
    workers: int


@dataclass
class Figure:
    """How it went."""

    what: str
    workers: int
    views: int
    seconds: float
    processor_seconds: float
    views_per_second: float
    raw_mb: float
    written_mb: float
    memory_mb: float
    resuming_seconds: float  # when a run that was killed at its very end starts again
    opening_seconds: float


def picture(seed: int, width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8: colours that vary at all scales and a little grain, about as hard to encode as a studio photograph."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 110.0, np.float32)
    for cells, strength in ((6, 60.0), (40, 25.0), (200, 12.0)):
        coarse = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).normal(0, 1.2, (height, width, 1)).astype(np.float32)
    return np.clip(total + grain, 0, 255).astype(np.uint8)


def recording(width: int, height: int, distortion: np.ndarray) -> RawRecording:
    """DISTINCT frames of a standing ellipse."""
    cameras = orbit([0], np.arange(CAMERAS) * 360 / CAMERAS, 3, 40, width, height)
    names = tuple(f"220107{index:02d}" for index in range(CAMERAS))

    @cache
    def image(f: int, c: int) -> np.ndarray:
        return picture(100 * f + c % 2, width, height)

    @cache
    def mask(f: int, c: int) -> np.ndarray:
        drawn = np.zeros((height, width), np.uint8)
        centre, axes = (width // 2 + 5 * f, height // 2), (width // 6, int(height / 2.4))
        cv2.ellipse(drawn, centre, axes, 3 * c, 0, 360, 255, -1)
        return cv2.GaussianBlur(drawn, (0, 0), 1.5)

    return RawRecording(
        replace(cameras, names=names), np.tile(distortion, (CAMERAS, 1)), tuple(range(DISTINCT)), 30.0,
        BodyParams.zeros(DISTINCT), "neutral", lambda f, c: image(f, c % 2), mask,
    )  # fmt: skip


def write_raw(root: Path, frames: int, width: int, height: int, distortion: np.ndarray) -> Path:
    """root/take in AvatarReX's layout; every frame after the first few is another name of one of them."""
    drawn = recording(width, height, distortion)
    writer.write(root / "take", drawn)
    arrays = dict(np.load(root / "take" / "smpl_params.npz"))
    arrays = {
        k: v if k == "betas" else np.resize(v, (frames, v.shape[1])) for k, v in arrays.items()
    }
    np.savez(root / "take" / "smpl_params.npz", **arrays)
    for name in drawn.cameras.names:
        for folder in (root / "take" / name, root / "take" / name / "mask" / "pha"):
            for frame in range(DISTINCT, frames):
                os.link(folder / f"{frame % DISTINCT:08d}.jpg", folder / f"{frame:08d}.jpg")
    return root


def _source(raw: Path):
    return avatarrex.read(Request(raw, "take", "all", "neutral", body=None))


def measured(case: Case) -> Figure:
    """The whole of a conversion, listing what there is included; the same again when all is done; the capture opened."""
    folder = case.raw / f"out-{case.image_format}-{case.workers}"
    before = _memory("VmRSS")
    wall, processor = time.perf_counter(), time.process_time()
    source = _source(case.raw)
    with publishing(folder / "capture.json", resume=True) as draft:
        entries = write_source(source, draft, case.workers, case.image_format)
        seconds, processor = time.perf_counter() - wall, time.process_time() - processor
        memory = _memory("VmHWM") - before
        again = time.perf_counter()
        write_source(source, draft, case.workers, case.image_format)
        again = time.perf_counter() - again
        Manifest("bench", "neutral", provenance={}, **entries).save(draft / "capture.json")
    start = time.perf_counter()
    views = len(Capture.load(folder).views())
    opening = time.perf_counter() - start
    raw = sum(os.stat(path).st_size for view in source.views for path in (view.image, view.mask))
    written = sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_nlink == 1
    )
    shutil.rmtree(folder)
    return Figure(
        case.what, case.workers, views, seconds, processor, views / seconds, raw / 1e6, written / 1e6, memory, again, opening
    )  # fmt: skip


def _memory(key: str) -> float:
    """MB of this process now (VmRSS) or at its peak (VmHWM), of /proc."""
    status = Path("/proc/self/status").read_text()
    return float(status.split(f"{key}:")[1].split()[0]) / 1024


def alone(case: Case) -> Figure:
    """`measured` in a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (case,))


def parts(raw: Path) -> dict[str, float]:
    """Milliseconds of processor time that each part of a view takes, the best of a few."""
    cv2.setNumThreads(1)
    job = next(view_jobs(_source(raw), "jpg"))
    image_bytes, mask_bytes = (np.fromfile(path, np.uint8) for path in (job.image, job.mask))
    image, mask = (
        cv2.imdecode(image_bytes, cv2.IMREAD_COLOR),
        cv2.imdecode(mask_bytes, cv2.IMREAD_GRAYSCALE),
    )
    band = boundary(mask, job)
    return {
        "decode the image (JPEG)": _best(lambda: cv2.imdecode(image_bytes, cv2.IMREAD_COLOR)),
        "decode the mask (JPEG)": _best(lambda: cv2.imdecode(mask_bytes, cv2.IMREAD_GRAYSCALE)),
        "undistort the image": _best(lambda: job.rectifier(image)),
        "undistort the mask": _best(lambda: job.rectifier(mask)),
        "boundary": _best(lambda: boundary(mask, job)),
        "encode the image as JPEG": _best(lambda: cv2.imencode(".jpg", image, ENCODING["jpg"])),
        "or as PNG": _best(lambda: cv2.imencode(".png", image, ENCODING["png"])),
        "encode the mask (PNG)": _best(lambda: cv2.imencode(".png", mask, ENCODING["png"])),
        "encode the boundary (1-bit PNG)": _best(
            lambda: cv2.imencode(".png", band, [*ENCODING["png"], cv2.IMWRITE_PNG_BILEVEL, 1])
        ),
    }


def _best(job: Callable[[], object], times: int = 7) -> float:
    seconds = []
    for _ in range(times):
        start = time.thread_time()
        job()
        seconds.append(time.thread_time() - start)
    return 1000 * min(seconds)


def run(options: Options, folder: Path) -> tuple[list[Figure], dict[str, float]]:
    """All cases; raw recordings are written below `folder`."""
    width, height = options.size
    bent = write_raw(folder / "bent", options.frames, width, height, LENS)
    plain = write_raw(folder / "plain", options.frames, width, height, 0 * LENS)
    cases = [
        Case(what, raw, image_format, workers)
        for what, raw, image_format in (
            ("undistort, JPEG", bent, "jpg"), ("undistort, PNG", bent, "png"), ("take over", plain, "png"),
        )
        for workers in options.workers
    ]  # fmt: skip
    if options.frames >= 4 * DISTINCT:
        few = write_raw(folder / "few", options.frames // 4, width, height, LENS)
        cases.append(
            Case("undistort, JPEG, a quarter of the views", few, "jpg", options.workers[-1])
        )
    if options.long_frames:
        small = write_raw(folder / "long", options.long_frames, width // 10, height // 10, LENS)
        what = f"{options.long_frames} frames of 16 cameras, {width // 10} x {height // 10}, undistort, JPEG"
        cases.append(Case(what, small, "jpg", options.workers[-1]))
    milliseconds, figures = parts(bent), []
    for case in cases:
        figures.append(alone(case))
        log.info("%s", figures[-1])
    return figures, milliseconds


def main(options: Options) -> None:
    """Measure, print, write."""
    logging.basicConfig(level=logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        figures, milliseconds = run(options, Path(folder))
    table = Table(
        "what",
        "workers",
        "views",
        "s",
        "processor s",
        "views/s",
        "raw MB",
        "written MB",
        "memory MB",
        "resume s",
        "open s",
    )
    for figure in figures:
        cells = [f"{x:.4g}" if isinstance(x, float) else str(x) for x in asdict(figure).values()]
        table.add_row(*cells)
    console = Console(width=160)
    console.print(table)
    for name, value in milliseconds.items():
        console.print(f"{value:7.1f} ms  {name}")
    write_json(
        options.out / "conversion.json",
        {
            "cores": os.cpu_count(),
            "figures": [asdict(figure) for figure in figures],
            "parts_ms": milliseconds,
        },
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
