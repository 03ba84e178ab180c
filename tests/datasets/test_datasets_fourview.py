"""Four-view folders of both programs: written and read back into the metric world; bad ones are named."""

import json
import pickle
from dataclasses import replace

import cv2
import datasets_recordings as demo
import numpy as np
import pytest

from avatarpipe.datasets import fourview
from avatarpipe.datasets.multiview import Request
from avatarpipe.datasets.writers import fourview as writer
from avatarpipe.errors import InputError

VIEWS = {"older": ("front", "back", "left", "right"), "newer": ("0", "90", "180", "270")}
NUMBER = "0007"


def recording(kind):
    """Cameras all around, so that none of them has the body behind it by mistake."""
    raw = demo.recording((0,), count=4, distortion=demo.LENS)
    poses = raw.poses.replaced(transl=0.2 * raw.poses.transl)
    return replace(raw, cameras=replace(raw.cameras, names=VIEWS[kind]), poses=poses)


def written(tmp_path, kind, scale=0.62):
    raw = recording(kind)
    writer.write(tmp_path, NUMBER, raw, scale, older=kind == "older")
    return raw


def request(root, body, **options):
    return Request(root, NUMBER, "0", "male", body, options)


@pytest.mark.parametrize("kind", VIEWS)
def test_round_trip(tmp_path, fake_body, kind):
    raw = written(tmp_path, kind)
    source = fourview.read(request(tmp_path, fake_body, test_cameras=[VIEWS[kind][1]]))
    order = [source.cameras.names.index(name) for name in raw.cameras.names]
    assert np.abs(source.cameras.w2c[order] - raw.cameras.w2c).max() < 1e-6
    assert np.abs(source.cameras.K[order] - raw.cameras.K).max() < 1e-6
    apart = demo.vertices(fake_body, source.poses) - demo.vertices(fake_body, raw.poses)
    assert apart.abs().max() < 1e-4
    assert source.test_cameras == (VIEWS[kind][1],) and not source.missing
    captured = demo.capture(source, tmp_path)
    for c, name in enumerate(raw.cameras.names):
        image = cv2.imread(str(captured.image_path("images", name, 0)))[..., ::-1]
        np.testing.assert_array_equal(image, raw.image(0, c))


def test_axes_can_be_told(tmp_path, fake_body):
    written(tmp_path, "older")
    auto = fourview.read(request(tmp_path, fake_body)).cameras.w2c
    told = fourview.read(request(tmp_path, fake_body, axes="opengl")).cameras.w2c
    wrong = fourview.read(request(tmp_path, fake_body, axes="opencv")).cameras.w2c
    np.testing.assert_array_equal(auto, told)
    np.testing.assert_allclose(wrong[:, 1:3], -told[:, 1:3])


def test_camera_to_world_matrices_are_inverted(tmp_path, fake_body):
    raw = written(tmp_path, "newer")
    for path in (tmp_path / "THuman_cameras").iterdir():
        document = json.loads(path.read_text())
        document |= {"type": "c2w", "viewmat": np.linalg.inv(document["viewmat"]).tolist()}
        path.write_text(json.dumps(document))
    source = fourview.read(request(tmp_path, fake_body))
    assert np.abs(source.cameras.w2c - raw.cameras.w2c).max() < 1e-6


def test_a_missing_mask_is_listed(tmp_path, fake_body):
    written(tmp_path, "older")
    (tmp_path / f"processed/{NUMBER}/{NUMBER}_left_mask.png").unlink()
    source = fourview.read(request(tmp_path, fake_body))
    assert source.missing == [("000000", "left", "no mask")] and len(source.views) == 3


def camera(view, **changes):
    def spoil(root):
        path = root / f"THuman_cameras/thuman_{view}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


class Hostile:
    def __reduce__(self):
        return print, ("owned",)


def hostile_fit(root):
    path = root / f"processed/{NUMBER}/smplx_param.pkl"
    path.write_bytes(pickle.dumps({"betas": Hostile()}))


def turn_one(root):
    path = root / "THuman_cameras/thuman_90.json"
    document = json.loads(path.read_text())
    viewmat = np.diag([1, -1, -1, 1]) @ document["viewmat"]
    path.write_text(json.dumps(document | {"viewmat": viewmat.tolist()}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (camera("90", K=[1, 2]), "K is missing"),
        (camera("90", viewmat=np.full((4, 4), np.nan).tolist()), "NaN"),
        (camera("90", viewmat=np.diag([1, 1, 3, 1]).tolist()), "no rotation"),
        (camera("90", image_size=[48, 40]), "another image size"),
        (camera("90", image_size=[200, 200]), "96 x 80 pixels"),
        (turn_one, "some cameras look at the body"),
        (hostile_fit, "wants to run"),
        (
            lambda root: (root / "THuman_cameras/thuman_90.json").unlink(),
            "thuman_90.json: no such file",
        ),
        (
            lambda root: (root / f"processed/{NUMBER}/smplx_param.pkl").unlink(),
            "SMPL-X fit was expected",
        ),
    ],
)
def test_a_bad_person_is_named(tmp_path, fake_body, spoil, said):
    written(tmp_path, "newer")
    spoil(tmp_path)
    with pytest.raises(InputError) as raised:
        demo.capture(fourview.read(request(tmp_path, fake_body)), tmp_path)
    assert said in str(raised.value)


def test_no_path_leaves_the_root(tmp_path, fake_body):
    written(tmp_path, "newer")
    with pytest.raises(InputError, match="no path inside"):
        fourview.read(request(tmp_path / "processed", fake_body, images="../processed"))
    with pytest.raises(InputError, match="source"):
        fourview.read(replace(request(tmp_path, fake_body), source="../7"))
