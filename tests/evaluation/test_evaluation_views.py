"""The whole protocol on a figure that is known exactly."""

import numpy as np
import pytest
import torch

from avatarpipe.capture.capture import Capture
from avatarpipe.evaluation.hidden import hidden_rows
from avatarpipe.evaluation.penetration import penetration_rows, penetration_scores
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.evaluation.rows import COLUMNS, tidy
from avatarpipe.evaluation.surface import surface_rows
from avatarpipe.evaluation.views import composite_rows


def mean_of(rows, metric):
    return np.mean([row["value"] for row in rows if row["metric"] == metric])


@pytest.fixture
def capture(post_capture):
    return Capture.load(post_capture)


def test_an_avatar_scores_perfectly_against_its_own_renderings(post, capture, silent):
    rows = list(composite_rows(post, capture, "test", "upper", None, silent))
    assert {row["camera"] for row in rows} == set(capture.cameras("test").names)
    assert mean_of(rows, "psnr") > 50  # what 8 bits leave
    assert mean_of(rows, "ssim_crop") > 0.99
    assert mean_of(rows, "miou") == mean_of(rows, "iou_garment") == 1.0


def test_crop_is_harder_than_the_frame_and_damage_shows(make_avatar, clouds, capture, silent):
    clouds["outer"].colors = 1 - clouds["outer"].colors
    clouds["outer"] = clouds["outer"].select(clouds["outer"].means[:, 1] > 0)
    rows = list(composite_rows(make_avatar(clouds), capture, "test", "upper", None, silent))
    assert 5 < mean_of(rows, "psnr_crop") < mean_of(rows, "psnr") < 25
    assert 0.4 < mean_of(rows, "iou_garment") < 0.75  # four sevenths of the coat are left
    assert mean_of(rows, "miou") == pytest.approx(
        (mean_of(rows, "iou_garment") + mean_of(rows, "iou_body")) / 2
    )


def test_one_layer_alone_has_no_masks_to_score(make_avatar, clouds, capture, silent):
    single = make_avatar({"body": clouds["inner"]})
    rows = list(composite_rows(single, capture, "test", "upper", None, silent))
    assert {row["metric"] for row in rows} == {"psnr", "ssim", "psnr_crop", "ssim_crop"}


def test_hidden_body_is_scored_under_the_garment_only(post, make_avatar, clouds, capture, silent):
    rows = list(hidden_rows(post, capture, "test", "upper", silent))
    assert mean_of(rows, "hidden_psnr") > 50
    apart = clouds["inner"].means[:, 1].abs() > 0.55  # nowhere near the coat
    clouds["inner"].colors[apart] = 0.0
    legs_wrong = list(hidden_rows(make_avatar(clouds), capture, "test", "upper", silent))
    assert mean_of(legs_wrong, "hidden_psnr") > 50
    assert mean_of(legs_wrong, "hidden_psnr_full") < 20
    clouds["inner"].colors[~apart] = 0.5
    grey = list(hidden_rows(make_avatar(clouds), capture, "test", "upper", silent))
    assert 8 < mean_of(grey, "hidden_psnr") < 20


def test_penetration_of_known_depths(cylinder):
    surface = cylinder(0.2, -1.0, 1.0, 0.0)
    points = np.array([[0.19, 0, 0], [0, 0.5, 0.18], [0.3, 0, 0], [0.0, 0, 0.0]])
    opacities = np.array([1.0, 1.0, 1.0, 0.05])  # the deepest hardly shows
    scores = penetration_scores(points, opacities, surface)
    assert scores["penetration_rate"] == (pytest.approx(2 / 3), "ratio")
    assert scores["penetration_depth_max"] == (pytest.approx(20, abs=0.3), "mm")
    assert scores["penetration_depth_mean"][0] == pytest.approx(15, abs=0.3)
    outside = penetration_scores(points[2:3], opacities[2:3], surface)
    assert {value for value, _ in outside.values()} == {0}
    with pytest.raises(ValueError, match="no points"):
        penetration_scores(points[3:], opacities[3:], surface)


def test_surface_of_a_cylinder_too_wide(cylinder):
    scan, wide = cylinder(0.20, -1.0, 1.0, 0.0), cylinder(0.207, -1.0, 1.0, 0.0)
    rows = {row["metric"]: row["value"] for row in surface_rows(wide, scan, seed=1)}
    assert rows["chamfer"] == pytest.approx(0.007 * 0.91, abs=5e-4)  # 91 % of the area is the side
    assert rows["f_score_5mm"] < 0.2 < 0.99 < rows["f_score_10mm"]
    assert rows["normal_consistency"] > 0.98
    again = {row["metric"]: row["value"] for row in surface_rows(wide, scan, seed=1)}
    assert rows == again


def test_penetration_rows_use_the_posed_layer(post, capture, cylinder):
    class Post:
        device, faces = "cpu", cylinder(0.15, -0.8, 0.8, 0.0).faces

        def vertices(self, params):
            return torch.from_numpy(cylinder(0.15, -0.8, 0.8, 0.0).vertices)[None] + params.transl

    wide = cylinder(0.25, -0.8, 0.8, 0.1)
    rows = {row["metric"]: row["value"] for row in penetration_rows(post, capture, Post(), wide)}
    assert rows["penetration_rate"] == 0
    assert rows["penetration_rate_true_body"] == 1
    assert rows["penetration_depth_mean_true_body"] == pytest.approx(50, abs=1)


def test_batches_change_nothing(post, capture):
    cameras, cloud = capture.cameras("test"), post.pose(post.captured)
    together, apart = (
        list(render_views(cloud, cameras)),
        list(render_views(cloud, cameras, batch=1)),
    )
    for a, b in zip(together, apart, strict=True):
        assert a.camera == b.camera
        torch.testing.assert_close(a.rgb, b.rgb)
        torch.testing.assert_close(a.features, b.features)


def test_rows_become_a_tidy_table():
    table = tidy([{"metric": "psnr", "value": 1, "unit": "dB", "frame": "00000"}], subject="s")
    assert list(table.columns) == COLUMNS
    assert table["camera"].isna().all()
    assert table["value"].dtype == "float64"
    with pytest.raises(ValueError, match="unknown"):
        tidy([{"metric": "psnr", "value": 1, "colour": "red"}])
    with pytest.raises(ValueError, match="psnr"):
        tidy([{"metric": "psnr", "value": float("nan")}])
