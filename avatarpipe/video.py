"""Pictures as a video that browsers, slides and players show: H.264 in an MP4, its index in front."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np

from avatarpipe.files import atomic_file

_QUALITY = 17  # x264's constant rate factor: 0 is exact, 51 the worst; below 18 hardly anybody sees a difference
_THREADS = 4  # one number everywhere: x264 writes other bytes with other numbers of threads
_BT709, _LIMITED = 1, 1
_PAGE_BYTES = 6_000_000
_PREVIEW_SECONDS, _PREVIEW_HEIGHT, _PREVIEW_QUALITY = 20.0, 480, 26


def save_video(
    images: Iterable[np.ndarray], path: str | Path, fps: float, quality: int = _QUALITY
) -> None:
    """Write (H, W, 3) uint8 images as `path` (.mp4), `fps` of them a second, whole or not at all.

    H and W may be odd: H.264 with colours at half the resolution has even sizes, so the last row or column is doubled.
    ValueError without any image.
    """
    faststart = {"movflags": "+faststart"}
    with (
        atomic_file(path) as temporary,
        av.open(str(temporary), "w", options=faststart) as container,
    ):
        stream = None
        for image in images:
            stream = stream or _stream(container, image, fps, quality)
            container.mux(stream.encode(_frame(image)))
        if stream is None:
            raise ValueError(f"{path}: a video of no images")
        container.mux(stream.encode(None))


def _stream(container, image: np.ndarray, fps: float, quality: int):
    """The video stream, sized for `image`."""
    height, width = (-(-size // 2) * 2 for size in image.shape[:2])
    rate = Fraction(fps).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.options = {"crf": str(quality), "preset": "medium", "threads": str(_THREADS)}
    codec = stream.codec_context
    codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
    codec.color_range = _LIMITED
    return stream


def _frame(image: np.ndarray) -> av.VideoFrame:
    odd = [(0, size % 2) for size in image.shape[:2]]
    frame = av.VideoFrame.from_ndarray(np.pad(image, [*odd, (0, 0)], mode="edge"), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


@contextmanager
def previewed(video: Path, images: Iterable[np.ndarray], fps: float) -> Iterator[Path]:
    """`video` itself where it is small enough for a page; else, for the time of a with-block, a smaller one of its start."""
    if video.stat().st_size <= _PAGE_BYTES:
        yield video
        return
    with TemporaryDirectory() as folder:
        small = Path(folder, video.name)
        start = islice(images, math.ceil(_PREVIEW_SECONDS * fps))
        save_video((_reduced(image) for image in start), small, fps, _PREVIEW_QUALITY)
        yield small


def _reduced(image: np.ndarray) -> np.ndarray:
    factor = min(1.0, _PREVIEW_HEIGHT / image.shape[0])
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
