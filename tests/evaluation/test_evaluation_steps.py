"""The evaluate and pictures commands, files in, files out."""

import base64

import pytest
import torch

from avatarpipe.evaluation.rows import COLUMNS
from avatarpipe.files import read_json
from avatarpipe.mesh.mesh import save_mesh
from avatarpipe.steps import evaluate, pictures
from avatarpipe.tables import read_table, write_table
from avatarpipe.training.lpips import BACKBONE_FILES


@pytest.fixture
def avatar_file(post, tmp_path, monkeypatch):
    """An avatar.json that loads as the post in its coat."""
    monkeypatch.setattr("avatarpipe.avatar.Avatar.load", lambda path, device="cpu": post)
    path = tmp_path / "avatar" / "avatar.json"
    path.parent.mkdir()
    path.write_text("{}")
    return path


def test_evaluate_measures_everything_there_is(avatar_file, post_capture, cylinder, tmp_path):
    mesh = tmp_path / "mesh" / "mesh.json"
    save_mesh(cylinder(0.2, -0.3, 0.4, 0.1), mesh.with_name("composite_posed.ply"))
    mesh.write_text("{}")
    out = tmp_path / "evaluate" / "metrics.parquet"
    evaluate.main(
        ["--avatar", str(avatar_file.parent), "--capture", str(post_capture), "--mesh", str(mesh),
         "--baseline-avatar", str(avatar_file), "--out", str(out), "--device", "cpu"]
    )  # fmt: skip
    table = read_table(out, COLUMNS)
    counts = table.groupby(["stage", "layer", "metric"]).size()
    assert counts["outer", "composite", "psnr"] == counts["outer", "composite", "miou"] == 3
    assert (
        counts["outer", "inner", "hidden_psnr"] == counts["baseline", "inner", "hidden_psnr"] == 3
    )
    chamfer = table[table["metric"] == "chamfer"]
    assert chamfer["value"].item() < 1e-4
    assert chamfer["camera"].isna().all()
    assert set(table["subject"]) == {"post"}
    assert not table["metric"].str.startswith("lpips").any()
    described = read_json(out.with_suffix(".json"))
    assert described["lpips"].startswith("not computed, weights missing at resources/lpips/vgg.pth")
    assert described["views"] == {"test": 3}
    assert set(described["provenance"]["inputs"]) == {
        "avatar",
        "capture",
        "baseline_avatar",
        "mesh",
    }


def test_lpips_is_there_where_its_weights_are(avatar_file, post_capture, tmp_path):
    sizes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    backbone = {}
    for layer, (out, into, kernel) in sizes.items():
        backbone[f"features.{layer}.weight"] = torch.randn(out, into, kernel, kernel) * 0.05
        backbone[f"features.{layer}.bias"] = torch.zeros(out)
    torch.save(backbone, tmp_path / BACKBONE_FILES["alex"])
    lins = {
        f"lin{k}.model.1.weight": torch.ones(1, s[0], 1, 1) for k, s in enumerate(sizes.values())
    }
    torch.save(lins, tmp_path / "alex.pth")
    out = tmp_path / "metrics.parquet"
    evaluate.main(
        ["--avatar", str(avatar_file), "--capture", str(post_capture), "--out", str(out), "--device", "cpu",
         "--lpips-weights", str(tmp_path), "--lpips-net", "alex"]
    )  # fmt: skip
    values = read_table(out).query("metric == 'lpips_alex'")["value"]
    assert len(values) == 3
    assert (values < 0.05).all()
    assert (values > 0).all()
    assert read_json(out.with_suffix(".json"))["lpips"] == "alex, version 0.1, inputs in [-1, 1]"


def test_a_mesh_that_is_not_there_is_one_message(avatar_file, post_capture, tmp_path, capsys):
    out = tmp_path / "metrics.parquet"
    with pytest.raises(SystemExit) as exit_info:
        evaluate.main(
            ["--avatar", str(avatar_file), "--capture", str(post_capture), "--out", str(out),
             "--mesh", str(tmp_path / "mesh.json")]
        )  # fmt: skip
    assert exit_info.value.code == 2
    assert "composite_posed.ply: no such file" in capsys.readouterr().err
    assert not out.exists()


def test_pictures_writes_its_manifest_last(avatar_file, post_capture, tmp_path, monkeypatch):
    import pandas as pd

    monkeypatch.setattr("avatarpipe.evaluation.turntable.turntable.__defaults__", (3, 60, "cpu"))
    curves = tmp_path / "inner" / "curves.parquet"
    write_table(
        pd.DataFrame({"step": [0, 1], "name": ["loss", "loss"], "value": [1.0, 0.5]}), curves
    )
    out = tmp_path / "pictures" / "pictures.json"
    pictures.main(
        ["--avatar", str(avatar_file), "--capture", str(post_capture), "--curves", str(curves), "--views", "2",
         "--out", str(out), "--device", "cpu"]
    )  # fmt: skip
    names = read_json(out)["pictures"]
    assert set(names) == {
        "turntable.webp",
        "turntable.html",
        "views.png",
        "canonical.png",
        "poses.png",
        "curves.png",
    }
    assert {path.name for path in out.parent.iterdir()} == {*names, "pictures.json", "provenance.json"}
    animation = base64.b64encode((out.parent / "turntable.webp").read_bytes()).decode()
    assert animation in (out.parent / "turntable.html").read_text()
    ages = {name: (out.parent / name).stat().st_mtime_ns for name in (*names, "pictures.json")}
    assert max(ages, key=ages.get) == "pictures.json"
