"""Exported layers: the standard layout, the same picture, and back in the dataset's world."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plyfile import PlyData
from scipy.spatial.transform import Rotation

from avatarpipe.cameras import orbit
from avatarpipe.export.layers import DISC_THICKNESS, ellipsoids, layer_clouds, transformed, with_sh
from avatarpipe.files import read_json
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.harmonics import sh_colors
from avatarpipe.gaussians.ply import load_ply, save_ply
from avatarpipe.gaussians.render import render
from avatarpipe.steps import export


@pytest.fixture
def cloud():
    """Discs on a sphere of half a metre, facing outward."""
    generator = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(1500, 3, generator=generator), dim=1)
    half = normals + torch.tensor(
        [0.0, 0.0, 1.0]
    )  # the half turn about this axis takes z to the normal
    quats = torch.cat([torch.zeros(1500, 1), torch.nn.functional.normalize(half, dim=1)], dim=1)
    scales = 0.02 + 0.02 * torch.rand(1500, 3, generator=generator)
    colors = torch.rand(1500, 3, generator=generator)
    return GaussianCloud(0.5 * normals, quats, scales, torch.full((1500,), 0.9), colors)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def cameras():
    return orbit([10.0], [0.0, 100.0], 2.0, 40.0, 64, 64)


def test_ellipsoids_look_like_the_discs(cloud, cameras):
    discs, blobs = render(cloud, cameras), render(ellipsoids(cloud), cameras)
    assert float((discs.rgb - blobs.rgb).abs().mean()) < 0.02
    assert float(discs.rgb.mean()) > 0.1
    assert ellipsoids(cloud).scales[:, 2].max() <= DISC_THICKNESS
    assert cloud.scales[:, 2].max() > DISC_THICKNESS  # the original is left alone


def test_files_hold_the_properties_every_viewer_expects(cloud, tmp_path):
    save_ply(with_sh(ellipsoids(cloud), 3), tmp_path / "a.ply")
    vertex = PlyData.read(tmp_path / "a.ply")["vertex"]
    names = [
        "x",
        "y",
        "z",
        "nx",
        "ny",
        "nz",
        *(f"f_dc_{i}" for i in range(3)),
        *(f"f_rest_{i}" for i in range(45)),
    ]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    assert [p.name for p in vertex.properties] == names
    np.testing.assert_allclose(0.2820948 * vertex["f_dc_1"] + 0.5, cloud.colors[:, 1], atol=1e-5)
    np.testing.assert_allclose(np.exp(vertex["scale_2"]), DISC_THICKNESS, rtol=1e-3)
    assert not np.any(vertex["f_rest_44"])
    assert b"surfel" not in (tmp_path / "a.ply").read_bytes()[:200]
    assert with_sh(cloud, 0) is cloud


def test_moving_cloud_and_cameras_together_changes_nothing(cloud, cameras):
    matrix = np.eye(4)
    matrix[:3, :3] = 1.7 * Rotation.from_rotvec([0.3, -0.9, 0.4]).as_matrix()
    matrix[:3, 3] = [0.5, -2.0, 1.0]
    moved = transformed(cloud, matrix)
    w2c = cameras.w2c @ np.linalg.inv(matrix)
    w2c[:, :3] *= 1.7  # w2c has to stay rigid: depths grow with the scene
    viewmats = torch.tensor(w2c).float()
    again = render(moved, (viewmats, torch.tensor(cameras.K).float(), 64, 64))
    torch.testing.assert_close(again.rgb, render(cloud, cameras).rgb, atol=2e-3, rtol=0)


def test_what_is_no_similarity_is_refused(cloud):
    with pytest.raises(ValueError, match="uniform scale"):
        transformed(cloud, np.diag([1.0, 2.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="uniform scale"):
        transformed(cloud, np.diag([-1.0, 1.0, 1.0, 1.0]))


def test_colours_turn_with_the_cloud(cloud):
    """Seen along R d, the turned cloud looks as the old one does along d; constant colours stay."""
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(1500, 3, generator=generator)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec([0.4, 1.9, -0.7]).as_matrix()
    along = directions @ torch.tensor(matrix[:3, :3].T).float()
    for count in (1, 4, 9, 16):
        sh = torch.randn(1500, count, 3, generator=generator)
        moved = transformed(replace(cloud, colors=None, sh=sh), matrix)
        torch.testing.assert_close(sh_colors(moved.sh, along), sh_colors(sh, directions), atol=2e-5, rtol=0)
        torch.testing.assert_close(moved.sh[:, 0], sh[:, 0], atol=1e-5, rtol=0)
    assert transformed(cloud, matrix).sh is None


class Pair:
    """An avatar of two layers that a pose lifts by transl."""

    subject, layer_names = "pair", ("inner", "outer")

    def __init__(self, cloud):
        self.parts = {
            "inner": cloud.select(slice(0, 1000)),
            "outer": cloud.select(slice(1000, None)),
        }
        self.captured = torch.tensor([0.0, 2.0, 0.0])

    def canonical(self, layers=None):
        return GaussianCloud.concatenate([self.parts[name] for name in layers or self.layer_names])

    def pose(self, params, layers=None):
        cloud = self.canonical(layers)
        cloud.means = cloud.means + params
        return cloud


def test_step_writes_every_layer_in_both_spaces(cloud, tmp_path, monkeypatch):
    monkeypatch.setattr(export.Avatar, "load", lambda path: Pair(cloud))
    (tmp_path / "avatar.json").write_text("{}")
    out = tmp_path / "export" / "export.json"
    export.main(["--avatar", str(tmp_path / "avatar.json"), "--out", str(out), "--sh-degree", "0", "--formats", "ply"])
    files = read_json(out)["files"]
    assert {name: entry["count"] for name, entry in files.items()} == {
        "composite.ply": 1500, "composite_posed.ply": 1500, "inner.ply": 1000, "inner_posed.ply": 1000,
        "outer.ply": 500, "outer_posed.ply": 500,
    }  # fmt: skip
    still, posed = load_ply(out.parent / "outer.ply"), load_ply(out.parent / "outer_posed.ply")
    assert still.kind == "ellipsoid"
    torch.testing.assert_close(
        posed.means - still.means, torch.tensor([0.0, 2.0, 0.0]).expand(500, 3)
    )


def test_posed_clouds_return_to_the_datasets_world(cloud):
    matrix = np.eye(4)
    matrix[:3, 3] = [0, -2, 5]
    named = dict(layer_clouds(Pair(cloud), torch.tensor([0.0, 2.0, 0.0]), matrix))
    shift = named["inner_posed"].means - named["inner"].means
    torch.testing.assert_close(
        shift, torch.tensor([0.0, 0.0, 5.0]).expand(1000, 3), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(named["inner"].means, cloud.means[:1000])


def test_a_wrong_degree_is_one_message(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        export.main(["--avatar", "x", "--out", str(tmp_path / "e.json"), "--sh-degree", "4"])
    assert exit_info.value.code == 2
    assert "--sh-degree 4" in capsys.readouterr().err
