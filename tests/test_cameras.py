import numpy as np
import pytest

from avatarpipe.cameras import Cameras, intrinsics, look_at, orbit
from avatarpipe.errors import InputError


@pytest.fixture
def rig():
    return orbit([30, -10], [0, 90, 200], 2.0, 60.0, 100, 80, target=(0.1, 0.2, 0.3), prefix="t_")


def project(camera: Cameras, point):
    """Pixel (x, y) and depth of one world point in a camera of one."""
    x, y, z = camera.w2c[0, :3, :3] @ point + camera.w2c[0, :3, 3]
    u, v, w = camera.K[0] @ (x, y, z)
    return np.array([u / w, v / w]), z


def test_look_at_puts_the_target_ahead_and_the_image_upright():
    camera = Cameras(
        look_at((0, 0, 2), (0, 0, 0))[None], intrinsics(60, 100, 100)[None], 100, 100, ("a",)
    )
    centre, depth = project(camera, np.zeros(3))
    assert np.allclose(centre, 50) and np.isclose(depth, 2)
    above, _ = project(camera, np.array([0, 0.1, 0]))
    left, _ = project(camera, np.array([0.1, 0, 0]))
    assert above[1] < 50, "up in the world is up in the image"
    assert left[0] > 50, "the subject's left (+X) appears on the right when seen from the front"


def test_orbit_is_elevation_major_and_starts_at_the_front(rig):
    assert rig.names == ("t_000", "t_001", "t_002", "t_003", "t_004", "t_005")
    offsets = rig.centres - [0.1, 0.2, 0.3]
    assert np.allclose(np.linalg.norm(offsets, axis=1), 2)
    assert np.allclose(
        offsets[:, 1], [2 * np.sin(np.radians(30))] * 3 + [2 * np.sin(np.radians(-10))] * 3
    )
    assert np.isclose(offsets[0, 0], 0) and offsets[0, 2] > 0, "azimuth 0: from +Z"
    assert np.isclose(offsets[1, 2], 0) and offsets[1, 0] > 0, "azimuth 90: from +X"
    assert np.allclose(np.linalg.det(rig.w2c[:, :3, :3]), 1)


def test_field_of_view_reaches_the_upper_edge():
    K = intrinsics(60, 100, 80)
    y = K[1, 1] * np.tan(np.radians(30)) + K[1, 2]
    assert np.isclose(y, 80) and K[0, 0] == K[1, 1]


def test_resized_keeps_the_view(rig):
    big = rig.resized(300, 160)
    point = np.array([0.2, -0.1, 0.3])
    assert (big.width, big.height) == (300, 160)
    assert np.allclose(project(big[2], point)[0], project(rig[2], point)[0] * [3, 2])


def test_indexing_and_concatenation(rig):
    assert rig[-1].names == ("t_005",)
    assert rig[[4, 1]].names == ("t_004", "t_001")
    assert rig[np.arange(6) % 2 == 0].names == rig[::2].names
    whole = Cameras.concatenate([rig[:2], rig[2:]])
    assert whole.names == rig.names and np.array_equal(whole.w2c, rig.w2c)
    with pytest.raises(ValueError, match="different image sizes"):
        Cameras.concatenate([rig, rig.resized(10, 10)])


def test_table_round_trip_is_exact(rig):
    back = Cameras.from_table(rig.to_table())
    assert np.array_equal(back.w2c, rig.w2c) and np.array_equal(back.K, rig.K)
    assert (back.width, back.height, back.names) == (rig.width, rig.height, rig.names)


@pytest.mark.parametrize("change", [{"w2c_00": 2.0}, {"w2c_20": -5.0}])
def test_a_rotation_that_is_none_is_named(rig, change):
    table = rig.to_table()
    for column, value in change.items():
        table.loc[3, column] = value
    with pytest.raises(InputError, match="camera t_003: the 3x3 part of w2c is no rotation"):
        Cameras.from_table(table)


def test_a_mirrored_camera_is_no_camera(rig):
    table = rig.to_table()
    table.loc[0, ["w2c_00", "w2c_01", "w2c_02"]] *= -1
    with pytest.raises(InputError, match="determinant -1"):
        Cameras.from_table(table)


def test_mixed_sizes_are_refused(rig):
    table = rig.to_table()
    table.loc[2, "width"] = 7
    with pytest.raises(InputError, match="same width"):
        Cameras.from_table(table)


def test_tensors_are_float32(rig):
    viewmats, Ks = rig.tensors()
    assert (
        viewmats.shape == (6, 4, 4) and Ks.shape == (6, 3, 3) and str(Ks.dtype) == "torch.float32"
    )


@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_is_no_calibration(rig):
    table = rig.to_table()
    table.loc[3, "w2c_11"] = np.nan
    with pytest.raises(InputError, match="camera t_003"):
        Cameras.from_table(table)
