"""Pictures hold what they should: everything in frame, errors with their sign, animations that fit."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.capture import Capture
from avatarpipe.evaluation.curves import plot_curves, running_median
from avatarpipe.evaluation.framing import framed_orbit, shown_points
from avatarpipe.evaluation.poses import NOVEL_POSES, canonical_figure, novel_params
from avatarpipe.evaluation.sheets import compare_views, contact_sheet
from avatarpipe.evaluation.style import PAPER, save_figure
from avatarpipe.evaluation.tiles import Tiling
from avatarpipe.evaluation.turntable import panels, save_animation, turntable
from avatarpipe.gaussians.cloud import GaussianCloud


def project(cameras, points):
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    seen = np.einsum("cij,cjk,nk->cni", cameras.K, cameras.w2c[:, :3], homogeneous)
    return seen[..., :2] / seen[..., 2:]


def test_frame_holds_all_and_is_filled(clouds):
    both = list(clouds.values())
    cameras = framed_orbit(both, [0.0, 77.0, 200.0], 300)
    pixels = project(cameras, shown_points(both))
    size = np.array([cameras.width, cameras.height])
    assert (pixels >= 0).all()
    assert (pixels <= size).all()
    margins = np.minimum(pixels, size - pixels).min(axis=(0, 1)) / size
    assert margins.min() < 0.06


def test_strays_and_the_transparent_do_not_widen_the_frame(clouds):
    cloud = clouds["inner"]
    far = replace(cloud.select(slice(0, 2)), means=torch.tensor([[40.0, 0, 0], [0, 30.0, 0]]))
    faint = replace(cloud, means=cloud.means * 9, opacities=cloud.opacities * 0.1)
    points = shown_points([GaussianCloud.concatenate([cloud, far, faint])])
    assert np.abs(points).max() < 1.0
    with pytest.raises(ValueError, match="opaque"):
        shown_points([faint])


def test_a_thin_limb_is_kept(clouds):
    """Four Gaussians of a thousand reach 10 cm farther than the rest: a hand, not strays."""
    cloud = clouds["inner"]
    hand = replace(cloud.select(slice(0, 4)), means=torch.tensor([[0.25, 0.0, 0.0]] * 4))
    assert shown_points([GaussianCloud.concatenate([cloud, hand])])[:, 0].max() == pytest.approx(
        0.25
    )


def test_turntable_shows_the_layers_side_by_side(post, silent):
    images = turntable(post, silent, frames=4, height=80)
    assert len(images) == 4
    width = images[0].shape[1]
    assert width % 3 == 0
    third = width // 3
    np.testing.assert_allclose(images[0][-1, 0], np.round(np.array(PAPER) * 255), atol=1)
    inner, outer = (images[0][34:, third * k : third * (k + 1)].astype(float) for k in (1, 2))
    assert inner[40, third // 2, 0] > inner[40, third // 2, 2]  # skin is red, the coat blue
    assert outer[40, third // 2, 2] > outer[40, third // 2, 0]


def noise(count):
    return [np.random.default_rng(k).integers(0, 255, (64, 48, 3), np.uint8) for k in range(count)]


def test_animation_loops_through_all_frames(tmp_path):
    save_animation(noise(5), tmp_path / "t.webp", seconds=1.0)
    with Image.open(tmp_path / "t.webp") as animation:
        assert (animation.n_frames, animation.size, animation.info["loop"]) == (5, (48, 64), 0)
        animation.seek(1)
        animation.load()
        assert animation.info["duration"] == 200


def test_an_animation_too_large_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="over 500"):
        save_animation(noise(3), tmp_path / "t.webp", limit=500)
    assert not list(tmp_path.iterdir())


def test_one_layer_is_one_panel(make_avatar, clouds):
    assert panels(make_avatar({"body": clouds["inner"]})) == [("avatar", ("body",))]
    assert [caption for caption, _ in panels(make_avatar(clouds))] == [
        "composite",
        "inner layer",
        "outer layer",
    ]


def test_sheet_compares_the_right_views_with_signed_errors(
    post_capture, make_avatar, clouds, tmp_path
):
    clouds["outer"].colors = (clouds["outer"].colors + 0.1).clamp(0, 1)
    capture, brighter = Capture.load(post_capture), make_avatar(clouds)
    views = compare_views(brighter, capture, "test", 2, "upper")
    assert [view.camera for view in views] == ["test000", "test002"]
    for view in views:
        assert 0.05 < view.error[view.outline].mean() < 0.12
        assert abs(view.error[~view.outline].mean()) < 0.01
        assert view.images["ground truth"].shape == (*view.error.shape, 3)
        assert view.outline.sum() > 100
    figure = contact_sheet(views, brighter.layer_names)
    assert len(figure.axes) == 2 * 4 + 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "inner", "outer", "true garment outline",
    ]  # fmt: skip
    save_figure(figure, tmp_path / "views.png")
    with Image.open(tmp_path / "views.png") as image:
        assert np.ptp(np.asarray(image)) > 200


def test_tiles_neither_overlap_nor_leave_the_figure():
    tiling = Tiling(2, 5, 1.0, 2.0, gap=0.1, row_gap=0.3, left=0.5, top=0.4, block=2)
    xs = [tiling.corner(0, k)[0] for k in range(5)]
    np.testing.assert_allclose(np.diff(xs), [1.1, 1.5, 1.1, 1.5])
    assert tiling.size == pytest.approx((xs[-1] + 1.1, 0.4 + 4 + 0.3 + 0.1))
    assert tiling.corner(1, 0)[1] - 2.0 == pytest.approx(tiling.bottom)


def test_canonical_figure_shows_each_layer_from_two_sides(post):
    figure = canonical_figure(post, height=60)
    assert len(figure.axes) == 3 * 2
    texts = {text.get_text() for text in figure.texts}
    assert {"composite", "inner layer", "outer layer", "front", "back"} <= texts


def test_novel_poses_turn_the_joints_they_name():
    captured = BodyParams.zeros()
    captured.betas[0, 0], captured.transl[0, 1] = 2.0, 5.0
    params = novel_params(captured, {"left_knee": (90, 0, 0)}, JOINT_NAMES)
    turned = params.full_pose.view(55, 3)
    assert turned[JOINT_NAMES.index("left_knee"), 0] == pytest.approx(np.pi / 2)
    assert turned.count_nonzero() == 1
    assert params.betas[0, 0] == 2
    assert params.transl.abs().sum() == 0
    for pose in NOVEL_POSES.values():
        assert set(pose.joints) <= set(JOINT_NAMES[1:22])


def test_curves_get_a_plot_a_name_and_a_line_a_stage():
    steps = np.arange(100)
    first = pd.DataFrame({"step": steps, "name": "loss", "value": np.exp(-steps / 10.0)})
    second = pd.concat([first, first.assign(name="psnr", value=20 + steps / 10)])
    figure = plot_curves({"inner": first, "outer": second})
    loss, psnr = figure.axes[:2]
    assert (loss.get_title(loc="left"), psnr.get_title(loc="left")) == ("loss", "psnr")
    assert (loss.get_yscale(), psnr.get_yscale()) == ("log", "linear")
    assert sum(len(line.get_xdata()) > 0 for line in psnr.lines) == 2
    with pytest.raises(ValueError, match="empty"):
        plot_curves({"inner": first.iloc[:0]})


def test_running_median_ignores_a_spike():
    values = np.r_[np.ones(50), 99.0, np.ones(50)]
    assert running_median(values).tolist() == [1.0] * 101
