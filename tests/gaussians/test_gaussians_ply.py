"""PLY files: the 3DGS layout as others read it, round trips, and broken files."""

import numpy as np
import pytest
import torch
from gaussians_scenes import make_cloud, random_fields
from plyfile import PlyData, PlyElement

from avatarpipe.errors import InputError
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.ply import load_ply, save_ply


def cloud_of(kind, sh=False):
    return make_cloud(random_fields(sh=sh, features=0), kind, torch.float32)[0].detach()


@pytest.mark.parametrize("sh", [False, True])
@pytest.mark.parametrize("kind", ["surfel", "ellipsoid"])
def test_round_trip(tmp_path, kind, sh):
    cloud = cloud_of(kind, sh)
    if kind == "surfel":
        cloud.scales[:, 2] = 0
    save_ply(cloud, tmp_path / "a.ply")
    back = load_ply(tmp_path / "a.ply")
    assert back.kind == kind and (back.sh is None) == (not sh)
    for name in ("means", "quats", "scales", "opacities", "sh" if sh else "colors"):
        torch.testing.assert_close(getattr(back, name), getattr(cloud, name), rtol=1e-5, atol=1e-6)


def test_layout_is_that_of_3dgs(tmp_path):
    cloud = cloud_of("ellipsoid", sh=True)
    save_ply(cloud, tmp_path / "a.ply")
    vertex = PlyData.read(tmp_path / "a.ply")["vertex"]
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"] + [
        f"f_rest_{i}" for i in range(24)
    ]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert [p.name for p in vertex.properties] == names
    assert {p.val_dtype for p in vertex.properties} == {"f4"}
    np.testing.assert_allclose(
        vertex["f_rest_8"], cloud.sh[:, 1, 1]
    )  # channel-major: green's first
    np.testing.assert_allclose(np.exp(vertex["scale_2"]), cloud.scales[:, 2], rtol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-vertex["opacity"])), cloud.opacities, rtol=1e-5)
    np.testing.assert_allclose(vertex["rot_0"], cloud.quats[:, 0])


def test_surfels_are_marked_and_have_two_scales(tmp_path):
    save_ply(cloud_of("surfel"), tmp_path / "a.ply")
    data = PlyData.read(tmp_path / "a.ply")
    assert data.comments == ["gaussian_kind surfel"]
    assert "scale_1" in data["vertex"] and "scale_2" not in data["vertex"]
    green = 0.28209479 * data["vertex"]["f_dc_1"] + 0.5
    np.testing.assert_allclose(green, cloud_of("surfel").colors[:, 1], atol=1e-6)


def test_a_2dgs_file_of_another_writer_is_read(tmp_path):
    names = [
        "x",
        "y",
        "z",
        "f_dc_0",
        "f_dc_1",
        "f_dc_2",
        "opacity",
        "scale_0",
        "scale_1",
        "rot_0",
        "rot_1",
        "rot_2",
        "rot_3",
        "extra",
    ]
    rows = np.zeros(5, dtype=[(name, "<f8" if name == "x" else "<f4") for name in names])
    rows["x"], rows["rot_0"] = np.arange(5), 1
    PlyData([PlyElement.describe(rows, "vertex")], byte_order="<").write(tmp_path / "b.ply")
    cloud = load_ply(tmp_path / "b.ply")
    assert cloud.kind == "surfel" and cloud.means[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(cloud.opacities, torch.full((5,), 0.5))
    assert torch.equal(cloud.scales[:, :2], torch.ones(5, 2))


def test_opacities_of_zero_and_one_stay_finite(tmp_path):
    cloud = cloud_of("surfel")
    cloud.opacities[:2], cloud.scales[0] = torch.tensor([0.0, 1.0]), 0.0
    save_ply(cloud, tmp_path / "a.ply")
    back = load_ply(tmp_path / "a.ply")
    assert torch.isfinite(back.scales).all()
    torch.testing.assert_close(back.opacities[:2], torch.tensor([0.0, 1.0]), atol=2e-6, rtol=0)


def test_broken_files_are_named(tmp_path):
    path = tmp_path / "a.ply"
    with pytest.raises(InputError, match=r"a\.ply"):
        load_ply(path)
    save_ply(cloud_of("surfel"), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(InputError, match="cut short"):
        load_ply(path)
    path.write_bytes(whole.replace(b"property float opacity", b"property float opacitx"))
    with pytest.raises(InputError, match="no property opacity"):
        load_ply(path)
    path.write_bytes(b"not a ply at all")
    with pytest.raises(InputError, match="not a PLY"):
        load_ply(path)
    path.write_bytes(whole.replace(b"binary_little_endian", b"ascii"))
    with pytest.raises(InputError, match="binary little-endian"):
        load_ply(path)


def test_clouds_concatenate_and_select():
    a, b = cloud_of("surfel"), cloud_of("surfel").select(torch.arange(5))
    both = GaussianCloud.concatenate([a, b])
    assert len(both) == 41 and torch.equal(both.select(slice(36, 41)).means, b.means)
    with pytest.raises(ValueError, match="differ"):
        GaussianCloud.concatenate([a, cloud_of("ellipsoid")])
    with pytest.raises(ValueError, match="quats has shape"):
        GaussianCloud(a.means, a.quats[:3], a.scales, a.opacities, a.colors)
    with pytest.raises(ValueError, match="either colors"):
        GaussianCloud(a.means, a.quats, a.scales, a.opacities)
