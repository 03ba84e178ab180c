"""Videos decode to what went in, in the format that browsers play, the same bytes each time."""

import av
import numpy as np
import pytest

from avatarpipe import video
from avatarpipe.video import previewed, save_video


def moving_bar(count=12, height=63, width=41) -> list[np.ndarray]:
    """A blue bar that grows over orange, in odd sizes."""
    images = [np.full((height, width, 3), (200, 60, 30), np.uint8) for _ in range(count)]
    for k, image in enumerate(images):
        image[:, : 3 * k] = (20, 90, 220)
    return images


def decoded(path) -> tuple[list[np.ndarray], av.VideoStream]:
    with av.open(str(path)) as container:
        (stream,) = container.streams
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.colorspace == 1  # BT.709, said and used
        return frames, stream


def test_a_video_shows_its_images_at_their_rate(tmp_path):
    images = moving_bar()
    save_video(iter(images), tmp_path / "a.mp4", 29.97)
    frames, stream = decoded(tmp_path / "a.mp4")
    assert len(frames) == 12 and frames[0].shape == (64, 42, 3)
    assert float(stream.average_rate) == pytest.approx(29.97, abs=1e-3)
    for frame, image in zip(frames, images, strict=True):
        error = np.abs(frame[:63, :41].astype(int) - image)
        assert np.median(error) <= 2 and error.mean() < 6


def test_it_starts_before_it_is_loaded_and_is_the_same_each_time(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        save_video(moving_bar(), tmp_path / name, 15)
    content = (tmp_path / "a.mp4").read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")
    assert content == (tmp_path / "b.mp4").read_bytes()


def test_no_images_make_no_video(tmp_path):
    with pytest.raises(ValueError, match="no images"):
        save_video([], tmp_path / "a.mp4", 30)
    assert not list(tmp_path.iterdir())


def test_a_large_video_is_shown_smaller_in_a_page(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    save_video(moving_bar(), path, 4)
    with previewed(path, moving_bar(), 4) as shown:
        assert shown == path
    for name, value in {"_PAGE_BYTES": 500, "_PREVIEW_HEIGHT": 32, "_PREVIEW_SECONDS": 1.0}.items():
        monkeypatch.setattr(video, name, value)
    with previewed(path, iter(moving_bar()), 4) as shown:
        frames, _ = decoded(shown)
        assert shown != path and len(frames) == 4 and frames[0].shape[0] == 32
    assert not shown.exists()
