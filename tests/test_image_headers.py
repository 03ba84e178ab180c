"""Sizes and wholeness of image files, without decoding them."""

import cv2
import numpy as np
import pytest

from avatarpipe.errors import InputError
from avatarpipe.images import image_size, read_image, require_whole


def write(path, shape=(70, 90, 3), *params):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    cv2.imwrite(str(path), image, params)
    return path


def exif(data: bytes, orientation: int, thumbnail: bytes = b"") -> bytes:
    """The JPEG with an EXIF segment that turns it, and a thumbnail that is a JPEG of its own."""
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    body = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\x00\x00\x00\x00" + thumbnail
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


@pytest.mark.parametrize(
    "params", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)]
)
@pytest.mark.parametrize("shape", [(70, 90, 3), (70, 90), (1, 1), (300, 5)])
def test_jpeg(tmp_path, params, shape):
    path = write(tmp_path / "i.jpg", shape, *params)
    assert image_size(path) == require_whole(path) == shape[:2]


@pytest.mark.parametrize("shape", [(70, 90, 3), (70, 90), (70, 90, 4)])
def test_png(tmp_path, shape):
    path = write(tmp_path / "i.png", shape)
    assert image_size(path) == require_whole(path) == shape[:2]


def test_a_thumbnail_is_not_the_image(tmp_path):
    thumbnail = write(tmp_path / "t.jpg", (8, 9, 3)).read_bytes()
    path = write(tmp_path / "i.jpg")
    whole = exif(path.read_bytes(), 1, thumbnail)
    path.write_bytes(whole)
    assert require_whole(path) == (70, 90)
    path.write_bytes(whole[:-900])  # ends after the thumbnail's own end
    with pytest.raises(InputError, match=r"i\.jpg: truncated"):
        require_whole(path)


def test_something_may_follow_the_image(tmp_path):
    for name in ("i.jpg", "i.png"):
        path = write(tmp_path / name)
        path.write_bytes(path.read_bytes() + b"\x00" * 100_000)
        assert require_whole(path) == (70, 90)


@pytest.mark.parametrize("name", ["i.jpg", "i.png"])
@pytest.mark.parametrize("keep", [0, 2, 3, 9, 30, 300, -1, -2])
def test_truncated(tmp_path, name, keep):
    path = write(tmp_path / name)
    data = path.read_bytes()[:keep]
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"truncated"):
        require_whole(path)


def test_pixels_are_not_turned_by_exif(tmp_path):
    path = write(tmp_path / "i.jpg")
    before = read_image(path)
    path.write_bytes(exif(path.read_bytes(), 6))
    assert image_size(path) == (70, 90) and np.array_equal(read_image(path), before)


def test_absent(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        image_size(tmp_path / "i.png")
