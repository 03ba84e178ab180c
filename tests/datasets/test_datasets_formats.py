"""transforms.json and COLMAP models: what is written is read back; what is broken is refused by name."""

import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avatarpipe.cameras import Cameras, look_at, orbit
from avatarpipe.datasets.formats.colmap import read_colmap, read_points, write_colmap
from avatarpipe.datasets.formats.colmap_model import ColmapPoints
from avatarpipe.datasets.formats.posed_image import Shot, inside
from avatarpipe.datasets.formats.transforms import read_transforms, write_transforms
from avatarpipe.errors import InputError

DISTORTIONS = {
    "PINHOLE": [0, 0, 0, 0, 0],
    "OPENCV": [0.1, -0.02, 0.001, -0.003, 0],
    "FULL_OPENCV": [0.1, -0.02, 0.001, -0.003, 0.04],
}


@pytest.fixture
def cameras():
    full = orbit([20.0, -10.0], [0.0, 73.0, 190.0], 2.5, 40.0, 64, 48)
    K = full.K + np.random.default_rng(1).normal(0, 1.3, (6, 3, 3)) * [
        [1, 0, 1],
        [0, 1, 1],
        [0, 0, 0],
    ]
    return Cameras(full.w2c, K, 64, 48, tuple("abcdef"))


def shots(cameras):
    return [
        Shot(c, f"images/{f}/{name}.png", f"masks/{f}/{name}.png", f / 25)
        for f in range(2)
        for c, name in enumerate(cameras.names)
    ]


def assert_same(images, cameras, wanted, distortion):
    assert [image.name for image in images] == [shot.name for shot in wanted]
    for image, shot in zip(images, wanted, strict=True):
        np.testing.assert_allclose(image.w2c, cameras.w2c[shot.camera], atol=1e-12)
        np.testing.assert_array_equal(image.lens.K, cameras.K[shot.camera])
        np.testing.assert_array_equal(image.lens.distortion, distortion)
        assert (image.lens.width, image.lens.height) == (64, 48)


@pytest.mark.parametrize("model", DISTORTIONS)
def test_transforms_round_trip(tmp_path, cameras, model):
    distortion = np.tile(DISTORTIONS[model], (6, 1))
    write_transforms(tmp_path / "transforms.json", cameras, shots(cameras), distortion)
    images = read_transforms(tmp_path / "transforms.json")
    assert_same(images, cameras, shots(cameras), distortion[0])
    assert images[7].mask == "masks/1/b.png"
    assert (images[7].camera, images[7].time) == ("b", 1 / 25)


@pytest.mark.parametrize("model", DISTORTIONS)
@pytest.mark.parametrize("binary", [False, True])
def test_colmap_round_trip(tmp_path, cameras, model, binary):
    distortion = np.tile(DISTORTIONS[model], (6, 1))
    write_colmap(tmp_path, cameras, shots(cameras), binary, distortion)
    assert_same(read_colmap(tmp_path), cameras, shots(cameras), distortion[0])
    assert len(read_points(tmp_path).positions) == 0


def test_text_and_binary_models_say_the_same(tmp_path, cameras):
    points = ColmapPoints(
        np.random.default_rng(0).normal(size=(7, 3)), np.arange(21, dtype=np.uint8).reshape(7, 3)
    )
    for form in (False, True):
        write_colmap(tmp_path / str(form), cameras, shots(cameras), form, points=points)
        np.testing.assert_array_equal(read_points(tmp_path / str(form)).positions, points.positions)
        np.testing.assert_array_equal(read_points(tmp_path / str(form)).colours, points.colours)
    assert_same(read_colmap(tmp_path / "True"), cameras, shots(cameras), 0)
    text, binary = read_colmap(tmp_path / "False"), read_colmap(tmp_path / "True")
    assert all(np.array_equal(a.w2c, b.w2c) for a, b in zip(text, binary, strict=True))


def test_a_nerfstudio_pose_looks_along_minus_z(tmp_path):
    """By hand: an OpenGL camera at (0, 0, 3) with identity rotation sees the origin in the middle, y up in the image."""
    frame = {"file_path": "x.png", "transform_matrix": np.eye(4).tolist()}
    frame["transform_matrix"][2][3] = 3.0
    document = {"fl_x": 100, "cx": 20, "cy": 10, "w": 40, "h": 20, "frames": [frame]}
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    (image,) = read_transforms(tmp_path / "transforms.json")
    np.testing.assert_allclose(image.w2c, look_at((0, 0, 3), (0, 0, 0)), atol=1e-12)
    _, y, z = image.w2c[:3] @ [0, 0.1, 0, 1]
    assert z == pytest.approx(3.0) and 100 * y / z + 10 < 10


def test_blender_files_give_an_angle_and_no_ending(tmp_path):
    frame = {"file_path": "./train/r_0", "transform_matrix": np.eye(4).tolist()}
    document = {"camera_angle_x": np.radians(90), "w": 40, "h": 20, "frames": [frame]}
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    (image,) = read_transforms(tmp_path / "transforms.json")
    assert image.name == "train/r_0.png"
    np.testing.assert_allclose(image.lens.K, [[20, 0, 20], [0, 20, 10], [0, 0, 1]], atol=1e-12)


TEXT_CAMERAS = """# Camera list
1 SIMPLE_PINHOLE 40 30 50 20 15
2 SIMPLE_RADIAL 40 30 50 20 15 0.1
3 RADIAL 40 30 50 20 15 0.1 0.2
4 OPENCV 40 30 50 51 20 15 0.1 0.2 0.3 0.4
"""
TEXT_IMAGES = """# Image list
9 1 0 0 0 1 2 3 1 b.png
1.5 2.5 -1 3.5 4.5 17
7 0.7071067811865476 0.7071067811865476 0 0 0 0 2 4 a folder/a.png

"""


def test_colmap_text_by_hand(tmp_path):
    (tmp_path / "cameras.txt").write_text(TEXT_CAMERAS)
    (tmp_path / "images.txt").write_text(TEXT_IMAGES)
    first, second = read_colmap(tmp_path)
    assert (first.name, second.name) == ("a folder/a.png", "b.png")
    np.testing.assert_allclose(
        first.w2c[:3, :3], Rotation.from_euler("x", 90, degrees=True).as_matrix(), atol=1e-12
    )
    np.testing.assert_array_equal(first.lens.distortion, [0.1, 0.2, 0.3, 0.4, 0])
    np.testing.assert_array_equal(first.lens.K, [[50, 0, 20], [0, 51, 15], [0, 0, 1]])
    np.testing.assert_array_equal(second.w2c[:3, 3], [1, 2, 3])


def test_colmap_binary_with_points_on_images(tmp_path, cameras):
    """COLMAP's own files list 2D points after each image, which must be passed over."""
    write_colmap(tmp_path, cameras, shots(cameras)[:2], binary=True)
    path = tmp_path / "images.bin"
    data = path.read_bytes()
    cut = data.index(b"images/0/a.png\0") + len(b"images/0/a.png\0")
    points = struct.pack("<Q", 2) + struct.pack("<ddq", 1, 2, -1) + struct.pack("<ddq", 3, 4, 5)
    path.write_bytes(data[:cut] + points + data[cut + 8 :])
    assert_same(read_colmap(tmp_path), cameras, shots(cameras)[:2], 0)


def broken_colmap(tmp_path, old, new, name="cameras.txt"):
    (tmp_path / "cameras.txt").write_text(TEXT_CAMERAS)
    (tmp_path / "images.txt").write_text(TEXT_IMAGES)
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new))
    with pytest.raises(InputError) as raised:
        read_colmap(tmp_path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "name", "said"),
    [
        ("4 OPENCV", "4 OPENCV_FISHEYE", "cameras.txt", "image_undistorter"),
        ("4 OPENCV", "4 DIVISION", "cameras.txt", "DIVISION cannot be read"),
        ("50 20 15 0.1 0.2", "50 20 15 0.1", "cameras.txt", "needs 5 finite"),
        ("50 20 15\n", "50 200 15\n", "cameras.txt", "another image size"),
        ("50 20 15\n", "nan 20 15\n", "cameras.txt", "finite"),
        ("1 SIMPLE_PINHOLE", "one SIMPLE_PINHOLE", "cameras.txt", "line 2"),
        ("1 0 0 0 1 2 3 1 b", "1 0 0 1 1 2 3 1 b", "images.txt", "no unit quaternion"),
        ("1 2 3 1 b", "1 nan 3 1 b", "images.txt", "not finite"),
        ("1 2 3 1 b", "1 2 3 11 b", "images.txt", "camera 11"),
    ],
)
def test_broken_colmap_text_is_named(tmp_path, old, new, name, said):
    message = broken_colmap(tmp_path, old, new, name)
    assert said in message and str(tmp_path / name) in message


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_truncated_or_grown_binary_is_named(tmp_path, cameras, name):
    write_colmap(tmp_path, cameras, shots(cameras), binary=True)
    data = (tmp_path / name).read_bytes()
    for broken, said in ((data[:-3], "truncated"), (data + b"xx", "2 bytes more")):
        (tmp_path / name).write_bytes(broken)
        with pytest.raises(InputError, match=said) as raised:
            read_colmap(tmp_path)
        assert name in str(raised.value)


def test_binary_fisheye_is_refused(tmp_path, cameras):
    write_colmap(tmp_path, cameras, shots(cameras), binary=True)
    data = bytearray((tmp_path / "cameras.bin").read_bytes())
    data[12:16] = struct.pack("<i", 5)
    (tmp_path / "cameras.bin").write_bytes(bytes(data))
    with pytest.raises(InputError, match="OPENCV_FISHEYE cannot be read"):
        read_colmap(tmp_path)


def broken_transforms(tmp_path, **changes):
    frame = {"file_path": "x.png", "transform_matrix": np.eye(4).tolist()}
    frame |= changes.pop("frame", {})
    document = {"fl_x": 100, "cx": 20, "cy": 10, "w": 40, "h": 20, "frames": [frame]} | changes
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    with pytest.raises(InputError) as raised:
        read_transforms(tmp_path / "transforms.json")
    return str(raised.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"camera_model": "OPENCV_FISHEYE"}, "Undistort"),
        ({"camera_model": "EQUIRECTANGULAR"}, "not known"),
        ({"k4": 0.1}, "k4"),
        ({"cx": 200}, "another image size"),
        ({"fl_x": 0}, "focal"),
        ({"fl_x": "wide"}, "expected a number"),
        ({"w": 40.5}, "image size"),
        ({"frames": []}, "no list of frames"),
        ({"frame": {"file_path": "../x.png"}}, "no path inside"),
        ({"frame": {"file_path": "/etc/passwd"}}, "no path inside"),
        ({"frame": {"mask_path": "a/../../x.png"}}, "no path inside"),
        (
            {"frame": {"transform_matrix": (2 * np.eye(4) - np.diag([0, 0, 0, 1])).tolist()}},
            "no rotation",
        ),
        ({"frame": {"transform_matrix": np.diag([1, 1, -1, 1]).tolist()}}, "no rotation"),
        ({"frame": {"transform_matrix": np.full((4, 4), np.nan).tolist()}}, "finite"),
        ({"frame": {"transform_matrix": [[1, 2], [3]]}}, "4 rows"),
    ],
)
def test_broken_transforms_are_named(tmp_path, changes, said):
    message = broken_transforms(tmp_path, **changes)
    assert said in message and str(tmp_path / "transforms.json") in message


@pytest.mark.parametrize("name", ["..", "a/../b", "/a", "C:/a", "..\\a", "", "a\0b"])
def test_no_path_leaves_its_folder(tmp_path, name):
    with pytest.raises(InputError, match="no path inside"):
        inside(tmp_path, name, "test")
