"""What people look at of a driven avatar: the video, a page that plays it, and a strip of its frames."""

import numpy as np

from avatarpipe.evaluation.page import save_video_page
from avatarpipe.evaluation.reel import Reel
from avatarpipe.evaluation.style import save_figure
from avatarpipe.evaluation.tiles import picture_grid
from avatarpipe.images import read_image
from avatarpipe.motions.motion import Motion
from avatarpipe.video import previewed, save_video

_STRIP = 8


def save_films(reel: Reel, motion: Motion, title: str) -> None:
    """video.mp4, drive.html that plays it, and strip.png, beside the frames of the reel."""
    folder = reel.folder
    save_video(reel.images(), folder / "video.mp4", motion.fps)
    with previewed(folder / "video.mp4", reel.images(), motion.fps) as small:
        save_video_page(small, folder / "drive.html", title)
    chosen = np.unique(np.linspace(0, reel.count - 1, min(_STRIP, reel.count)).round().astype(int))
    captions = [f"{motion.times[frame]:.2f} s" for frame in chosen]
    images = {"": [read_image(reel.picture(frame)) for frame in chosen]}
    save_figure(picture_grid(images, captions, title), folder / "strip.png")
