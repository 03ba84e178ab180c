"""An animated picture of the layers side by side, turning; small enough to live inside a report."""

from pathlib import Path

import numpy as np
import torch
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from avatarpipe.avatar import Avatar
from avatarpipe.evaluation.framing import framed_orbit
from avatarpipe.evaluation.page import save_picture_page
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.evaluation.style import INK, PAPER
from avatarpipe.files import atomic_file
from avatarpipe.terminal import Track

FRAMES, HEIGHT, SECONDS = 40, 440, 4.8
LIMIT_BYTES = 3_000_000
_CAPTION = 34


def panels(avatar: Avatar) -> list[tuple[str, tuple[str, ...]]]:
    """(caption, layers) of what is worth seeing apart: all layers together, then each alone where there are several."""
    names = avatar.layer_names
    if len(names) == 1:
        return [("avatar", names)]
    return [("composite", names), *((f"{name} layer", (name,)) for name in names)]


def turntable(
    avatar: Avatar, track: Track, frames: int = FRAMES, height: int = HEIGHT, device="cpu"
) -> list[np.ndarray]:
    """`frames` images (height + caption, W, 3) uint8 of the captured pose, one full turn, panels side by side."""
    shown = panels(avatar)
    clouds = [avatar.pose(avatar.captured, layers=layers).to(device) for _, layers in shown]
    azimuths = np.arange(frames) * 360.0 / frames
    cameras = framed_orbit([clouds[0]], azimuths, height)
    streams = [render_views(cloud, cameras, background=PAPER) for cloud in clouds]
    captions = [caption for caption, _ in shown]
    turns = zip(*streams, strict=True)
    return [_frame(views, captions) for views in track(turns, frames, "turntable")]


def save_turntable(avatar: Avatar, folder: Path, track: Track, device="cpu") -> None:
    """Write turntable.webp, and turntable.html, a page that holds it."""
    picture, page = folder / "turntable.webp", folder / "turntable.html"
    save_animation(turntable(avatar, track, device=device), picture)
    save_picture_page(picture, page, f"turntable of {avatar.subject}")


def _frame(views, captions: list[str]) -> np.ndarray:
    row = torch.cat([view.rgb for view in views], dim=1).numpy()
    paper = np.broadcast_to(np.array(PAPER), (_CAPTION, row.shape[1], 3))
    image = Image.fromarray((np.concatenate([paper, row]) * 255 + 0.5).astype(np.uint8))
    drawing, font = ImageDraw.Draw(image), _font(17)
    step = row.shape[1] / len(captions)
    for place, caption in enumerate(captions):
        drawing.text(((place + 0.5) * step, _CAPTION / 2), caption, INK, font, anchor="mm")
    return np.asarray(image)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def save_animation(
    images: list[np.ndarray], path: str | Path, seconds: float = SECONDS, limit: int = LIMIT_BYTES
) -> None:
    """Write a looping WebP under `limit` bytes, at the best of a few qualities that fits; ValueError if none does."""
    pictures = [Image.fromarray(image) for image in images]
    with atomic_file(path) as temporary:
        for quality in (82, 65, 45, 25):
            pictures[0].save(
                temporary, "WEBP", save_all=True, append_images=pictures[1:], loop=0, method=4,
                quality=quality, duration=round(1000 * seconds / len(pictures)),
            )  # fmt: skip
            if temporary.stat().st_size <= limit:
                return
        raise ValueError(
            f"{path}: {temporary.stat().st_size} bytes even at quality 25, over {limit}"
        )
