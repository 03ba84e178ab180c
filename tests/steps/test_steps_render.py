import numpy as np
import pytest

from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.steps.render import Render, run


@pytest.fixture(scope="module")
def capture(pipeline):
    return Capture.load(pipeline.rendered)


def test_the_capture_is_complete(capture, pipeline):
    assert len(capture.cameras("train")) == 4 and len(capture.cameras("test")) == 2
    assert capture.cameras().width == 96
    assert capture.scan_path().resolve() == (pipeline.normalized.parent / "scan.ply").resolve()
    assert set(capture.truth) == {"layer_body", "layer_upper", "poses", "notes"}
    assert capture.manifest.fit["median"] < 0.006


def test_masks_are_soft_and_images_black_outside(capture):
    masks, images = capture.stack(None, "masks"), capture.stack(None, "images")
    assert ((masks > 0) & (masks < 1)).any()
    assert images[masks == 0].max() == 0 and images[masks == 1].max() > 0.5
    assert 0.01 < masks.mean() < 0.3


def test_labels_lie_where_their_colours_do(capture):
    """The shirt is red and the trousers are blue in the atlas of the fake subject."""
    images, labels = capture.stack(None, "images"), capture.stack(None, "truth_labels")
    masks = capture.stack(None, "masks")
    solid = masks == 1
    shirt, trousers = images[solid & (labels == 4)], images[solid & (labels == 5)]
    assert np.median(shirt, axis=0).argmax() == 0 and np.median(trousers, axis=0).argmax() == 2
    assert (labels[masks == 0] == 0).all() and (labels[solid] > 0).mean() > 0.999


def test_the_posed_body_projects_onto_the_masks(capture, fake_body):
    vertices = fake_body.vertices(capture.poses)[0].double().numpy()
    cameras, masks = capture.cameras(), capture.stack(None, "masks")
    for w2c, K, mask in zip(cameras.w2c, cameras.K, masks, strict=True):
        x = (vertices @ w2c[:3, :3].T + w2c[:3, 3]) @ K.T
        column, row = (x[:, :2] / x[:, 2:]).astype(int).T
        assert (mask[row, column] > 0).mean() > 0.99
        covered = np.zeros(mask.shape, bool)
        covered[row, column] = True
        assert covered.sum() > 0.8 * (mask == 1).sum()


def test_what_lies_under_the_garment(capture):
    camera = capture.cameras("test").names[0]
    shirt = capture.ground_truth_labels(camera) == 4
    naked, mask = capture.hidden_image(camera, "upper"), capture.hidden_mask(camera, "upper")
    inside = shirt & (mask == 1)
    assert np.allclose(naked[inside], [0.8, 0.6, 0.5], atol=0.01), "skin where the shirt was"
    clothed = capture.hidden_image(camera, "lower")
    assert np.allclose(np.median(clothed[inside], axis=0), [0.7, 0.1, 0.1], atol=0.01)
    with pytest.raises(InputError, match="test cameras of synthetic subjects"):
        capture.hidden_image("train_000", "upper")


def test_a_subject_that_leaves_the_picture(pipeline, tmp_path):
    out = tmp_path / "render" / "capture.json"
    with pytest.raises(
        InputError, match="leaves the picture of camera train_000; use a distance above 1"
    ):
        run(Render(pipeline.normalized, out, size=32, distance=1.0))
    assert not out.exists() and not list(out.parent.iterdir())


def test_more_views_than_there_are(pipeline, tmp_path):
    with pytest.raises(InputError, match="80 views: the rig has 72"):
        run(Render(pipeline.normalized, tmp_path / "capture.json", train_views=80))
