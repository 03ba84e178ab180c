"""Clouds as glTF: what the extension demands stands in the file, and the same cloud comes back."""

import json
import struct

import numpy as np
import pytest
import torch
import trimesh
from export_clouds import ellipsoid_cloud
from scipy.spatial.transform import Rotation

from avatarpipe.cameras import orbit
from avatarpipe.errors import InputError
from avatarpipe.export.layers import with_sh
from avatarpipe.export.splat_glb import load_splat_glb, save_splat_glb
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import render

NAMES = ("ROTATION", "SCALE", "OPACITY", "SH_DEGREE_0_COEF_0")


def parts(path) -> tuple[dict, bytes]:
    """JSON and buffer, taken apart as the glTF specification says (section 4.4)."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON" and size % 4 == 0
    rest = 20 + size
    assert struct.unpack_from("<I4s", data, rest)[1] == b"BIN\0"
    return json.loads(data[20:rest]), data[rest + 8 :]


def rows(path, attribute) -> np.ndarray:
    """A float attribute of the first primitive, read without the package."""
    document, buffer = parts(path)
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"][attribute]]
    start = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
    kind = {5126: "<f4", 5123: "<u2"}[accessor["componentType"]]
    return np.frombuffer(buffer, kind, accessor["count"] * width, start).reshape(-1, width)


@pytest.mark.parametrize("coefficients", [0, 1, 4, 9, 16])
def test_the_same_cloud_comes_back(tmp_path, coefficients):
    cloud = ellipsoid_cloud(coefficients=coefficients)
    save_splat_glb(cloud, tmp_path / "a.glb", "a")
    again = load_splat_glb(tmp_path / "a.glb")
    assert again.kind == "ellipsoid"
    for name in ("means", "scales", "opacities"):
        assert torch.equal(getattr(again, name), getattr(cloud, name)), name
    turns = [Rotation.from_quat(c.quats.numpy(), scalar_first=True) for c in (cloud, again)]
    assert (turns[0].inv() * turns[1]).magnitude().max() < 1e-6
    if coefficients > 1:
        assert torch.equal(again.sh, cloud.sh)
    else:
        wanted = cloud.colors if cloud.sh is None else cloud.sh[:, 0] * 0.28209479 + 0.5
        torch.testing.assert_close(again.colors, wanted, atol=1e-6, rtol=0)


def test_what_the_extension_demands_is_there(tmp_path):
    cloud = ellipsoid_cloud(coefficients=4)
    save_splat_glb(cloud, tmp_path / "a.glb", "outer_posed", {"world": "capture"})
    document, _ = parts(tmp_path / "a.glb")
    (primitive,) = document["meshes"][0]["primitives"]
    assert document["extensionsUsed"] == ["KHR_gaussian_splatting"] and "extensionsRequired" not in document
    assert primitive["mode"] == 0
    assert primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    assert primitive["extensions"]["KHR_gaussian_splatting"]["colorSpace"] == "srgb_rec709_display"
    wanted = {f"KHR_gaussian_splatting:{n}" for n in (*NAMES, *(f"SH_DEGREE_1_COEF_{k}" for k in range(3)))}
    assert set(primitive["attributes"]) == wanted | {"POSITION", "COLOR_0"}
    assert document["nodes"] == [{"name": "outer_posed", "mesh": 0, "extras": {"world": "capture"}}]
    quats = rows(tmp_path / "a.glb", "KHR_gaussian_splatting:ROTATION")
    np.testing.assert_allclose(np.linalg.norm(quats, axis=1), 1, atol=1e-6)
    x, w = cloud.quats[:, 1], cloud.quats[:, 0]
    np.testing.assert_allclose(quats[:, 0] / quats[:, 3], x / w, rtol=1e-3)
    coefficient = rows(tmp_path / "a.glb", "KHR_gaussian_splatting:SH_DEGREE_1_COEF_2")
    np.testing.assert_array_equal(coefficient, cloud.sh[:, 3])
    bounds = document["accessors"][primitive["attributes"]["POSITION"]]
    np.testing.assert_array_equal(bounds["min"], cloud.means.numpy().min(axis=0))


def test_points_alone_have_linear_colours(tmp_path):
    """What a program that knows no splats shows: sRGB 0.5 is 0.2140 in linear light."""
    cloud = ellipsoid_cloud(count=3)
    cloud.colors = torch.tensor([[0.0, 0.5, 1.0], [0.02, 1.2, -0.1], [0.25, 0.75, 0.9]])
    save_splat_glb(cloud, tmp_path / "a.glb", "a")
    fallback = rows(tmp_path / "a.glb", "COLOR_0") / 65535
    expected = [[0, 0.21404, 1], [0.001548, 1, 0], [0.05088, 0.52252, 0.78741]]
    np.testing.assert_allclose(fallback[:, :3], expected, atol=2e-5)
    np.testing.assert_allclose(fallback[:, 3], cloud.opacities, atol=1e-5)


def test_trimesh_reads_the_points(tmp_path):
    cloud = ellipsoid_cloud(coefficients=16)
    save_splat_glb(cloud, tmp_path / "a.glb", "ann")
    (points,) = trimesh.load(tmp_path / "a.glb").geometry.values()
    np.testing.assert_allclose(points.vertices, cloud.means, atol=1e-7)
    assert points.colors.shape == (300, 4)


def test_the_file_looks_like_the_cloud(tmp_path):
    cloud, cameras = ellipsoid_cloud(coefficients=9), orbit([10], [0, 120], 4, 40, 48, 48)
    save_splat_glb(cloud, tmp_path / "a.glb", "a")
    with torch.no_grad():
        pictures = [render(c, cameras).rgb for c in (cloud, load_splat_glb(tmp_path / "a.glb"))]
    assert pictures[0].std() > 0.05
    torch.testing.assert_close(pictures[0], pictures[1], atol=1e-4, rtol=0)


def test_surfels_and_empty_clouds_are_refused(tmp_path):
    cloud = ellipsoid_cloud(count=2)
    with pytest.raises(ValueError, match="surfels"):
        save_splat_glb(GaussianCloud(cloud.means, cloud.quats, cloud.scales, cloud.opacities, cloud.colors), tmp_path / "a.glb", "a")
    with pytest.raises(InputError, match=r"a\.glb: no Gaussians"):
        save_splat_glb(cloud.select([]), tmp_path / "a.glb", "a")
    assert not list(tmp_path.iterdir())


def edited(path, change):
    """The file again, its JSON changed by `change`."""
    document, buffer = parts(path)
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(buffer))
    chunks = [struct.pack("<I4s", len(text), b"JSON"), text, struct.pack("<I4s", len(buffer), b"BIN\0"), buffer]
    path.write_bytes(head + b"".join(chunks))


CHANGES = {
    "no primitive has": lambda d: d["meshes"][0]["primitives"][0].pop("extensions"),
    "kernel 'disc'": lambda d: d["meshes"][0]["primitives"][0]["extensions"]["KHR_gaussian_splatting"].update(kernel="disc"),
    "colorSpace 'lin": lambda d: d["meshes"][0]["primitives"][0]["extensions"]["KHR_gaussian_splatting"].update(colorSpace="lin_rec709_display"),
    "moved by its node": lambda d: d["nodes"][0].update(translation=[0, 1, 0]),
    "SCALE": lambda d: d["meshes"][0]["primitives"][0]["attributes"].pop("KHR_gaussian_splatting:SCALE"),
    "beyond the buffer": lambda d: d["accessors"][0].update(count=10**6),
    "no sound": lambda d: d["accessors"][0].update(bufferView=77),
    "sh has": lambda d: d["meshes"][0]["primitives"][0]["attributes"].update({"KHR_gaussian_splatting:SH_DEGREE_1_COEF_0": 0}),
}  # fmt: skip


@pytest.mark.parametrize("says", CHANGES)
def test_what_is_no_plain_cloud_is_named(tmp_path, says):
    path = tmp_path / "a.glb"
    save_splat_glb(with_sh(ellipsoid_cloud(), 0), path, "a")
    edited(path, CHANGES[says])
    with pytest.raises(InputError, match=r"a\.glb.*" + says):
        load_splat_glb(path)


@pytest.mark.parametrize("keep", [0, 11, 19, 200, 5000])
def test_a_file_cut_short_is_named(tmp_path, keep):
    path = tmp_path / "a.glb"
    save_splat_glb(ellipsoid_cloud(), path, "a")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.glb: (not a binary|cut short)"):
        load_splat_glb(path)
