"""SIGMAN items: written and read back; the published rig; root and hands by the published rules; bad items are named."""

import json
from dataclasses import replace

import cv2
import datasets_recordings as demo
import numpy as np
import pytest
import torch

from avatarpipe.cameras import orbit
from avatarpipe.datasets import sigman
from avatarpipe.datasets.writers import sigman as writer
from avatarpipe.errors import InputError


@pytest.fixture
def raw():
    return demo.recording((0,), missed={(0, 2)}, distortion=demo.LENS)


@pytest.fixture
def item(tmp_path, raw, fake_body):
    writer.write(tmp_path / "take", raw, fake_body)
    return tmp_path / "take"


def in_cameras(cameras, vertices):
    """(C, V, 3) of the first body, in the frames of the cameras."""
    vertices = vertices[0].numpy()
    return np.einsum("crk,vk->cvr", cameras.w2c[:, :3, :3], vertices) + cameras.w2c[:, None, :3, 3]


def test_round_trip(tmp_path, item, raw, fake_body):
    """The world is another one by design; every camera sees the body where it saw it, to 0.1 mm."""
    source = sigman.read(demo.request(tmp_path, fake_body))
    found = in_cameras(source.cameras, demo.vertices(fake_body, source.poses))
    wanted = in_cameras(raw.cameras, demo.vertices(fake_body, raw.poses))
    assert np.abs(found - wanted).max() < 1e-4
    assert np.abs(source.cameras.K - raw.cameras.K).max() < 1e-6
    assert source.missing == [("000000", "0002", "no image")]
    assert source.cameras.names == ("0000", "0001", "0002")
    captured = demo.capture(source, tmp_path)
    assert not captured.manifest.photographs
    for camera in (0, 1):
        drawn, mask = raw.image(0, camera), raw.mask(0, camera)
        white = cv2.imread(str(item / f"rgb_map/{camera:04d}.jpg"))[..., ::-1].astype(int)
        image = cv2.imread(str(captured.image_path("images", camera, 0)))[..., ::-1].astype(int)
        np.testing.assert_array_equal(
            image, np.clip(white - (255 - mask[..., None].astype(int)), 0, 255)
        )
        soft = (mask > 20) & (mask < 235)
        off = np.abs(image - drawn * (mask[..., None] / 255.0))
        assert soft.sum() > 30 and off[soft].mean() < 12 and off[mask == 255].mean() < 3
        kept = cv2.imread(str(captured.image_path("masks", camera, 0)), cv2.IMREAD_GRAYSCALE)
        np.testing.assert_array_equal(kept, mask)


def test_cameras_of_a_body_at_rest_stay_as_they_are(tmp_path, raw, fake_body):
    poses = raw.poses.replaced(
        global_orient=torch.zeros(1, 3), transl=torch.tensor([sigman.ROOT_TRANSL])
    )
    writer.write(tmp_path / "take", replace(raw, poses=poses), fake_body)
    source = sigman.read(demo.request(tmp_path, fake_body))
    assert np.abs(source.cameras.w2c - raw.cameras.w2c).max() < 1e-6
    found, wanted = demo.vertices(fake_body, source.poses), demo.vertices(fake_body, poses)
    assert (found - wanted).abs().max() < 1e-4


def test_the_published_rig(tmp_path, fake_body, item):
    """Three rings of 30, 2.5 m away: id 0 from the front and below, 30 level, 45 from behind, 60 from above."""
    rig = orbit([-30, 0, 45], np.arange(30) * 12.0, 2.5, 49.92, 1024, 1024)
    K = [[1100, 0, 512], [0, 1100, 512], [0, 0, 1]]
    document = {
        f"{i:04d}": {
            "K": K,
            "R": w2c[:3, :3].tolist(),
            "T": w2c[:3, 3].tolist(),
            "height": 1024,
            "weight": 1024,
        }
        for i, w2c in enumerate(rig.w2c)
    }
    (item / sigman.CALIBRATION).write_text(json.dumps(document))
    source = sigman.read(demo.request(tmp_path, fake_body))
    assert source.test_cameras == sigman.HELD_OUT and len(source.missing) == 88
    np.testing.assert_allclose(source.cameras.centres[30], [0, 0, 2.5], atol=1e-9)
    np.testing.assert_allclose(source.cameras.centres[45], [0, 0, -2.5], atol=1e-9)
    assert source.cameras.centres[0][1] < 0 < source.cameras.centres[60][1]
    np.testing.assert_array_equal(source.cameras.K[7], K)
    chosen = sigman.read(demo.request(tmp_path, fake_body, cameras=["0000", 1], test_cameras=[]))
    assert chosen.cameras.names == ("0000", "0001") and chosen.test_cameras == ()


def change_body(item, **changes):
    with np.load(item / sigman.POSES) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    np.savez(
        item / sigman.POSES, **{name: value for name, value in arrays.items() if value is not None}
    )


def test_the_stored_root_is_believed_on_request_only(tmp_path, item, raw, fake_body):
    change_body(item, global_orient=np.array([[1.2, 1.1, 1.2]]))
    canonical = sigman.read(demo.request(tmp_path, fake_body)).poses
    assert not canonical.global_orient.any() and canonical.transl.tolist()[0][1] == pytest.approx(
        0.35
    )
    stored = sigman.read(demo.request(tmp_path, fake_body, stored_root=True)).poses
    np.testing.assert_allclose(stored.global_orient, [[1.2, 1.1, 1.2]], atol=1e-6)
    torch.testing.assert_close(stored.transl, raw.poses.transl)


def test_items_of_179_numbers_and_hands_of_few(tmp_path, item, fake_body):
    hand = np.random.default_rng(0).normal(size=(1, 12))
    change_body(item, jaw_pose=None, leye_pose=None, reye_pose=None, left_hand_pose=hand)
    poses = sigman.read(demo.request(tmp_path, fake_body)).poses
    assert not poses.jaw_pose.any()
    np.testing.assert_allclose(poses.left_hand_pose, fake_body.decode_hand(hand, "left"), atol=1e-6)


def edit(key, value):
    def spoil(item):
        document = json.loads((item / sigman.CALIBRATION).read_text())
        document["0001"][key] = value
        (item / sigman.CALIBRATION).write_text(json.dumps(document))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (edit("K", [[1100, 0, 512], [0, 1100, 512], [0, 0, 1]]), "another image size"),
        (edit("R", np.diag([1, 1, 2]).tolist()), "no rotation"),
        (edit("R", np.full((3, 3), np.nan).tolist()), "9 finite numbers"),
        (edit("T", [1, 2]), "3 finite numbers"),
        (edit("weight", None), "image size"),
        (lambda item: (item / sigman.CALIBRATION).write_text("[]"), "record for each camera"),
        (lambda item: change_body(item, body_pose=np.full((1, 63), np.nan)), "63 NaN"),
        (lambda item: change_body(item, betas=None), "betas is missing"),
        (lambda item: change_body(item, scale=np.array([1.3])), "metric"),
        (lambda item: change_body(item, betas=np.array([{}], object)), "plain arrays"),
        (lambda item: (item / "rgb_map/0001.jpg").write_bytes(b"\xff\xd8\xff"), "0001.jpg"),
        (
            lambda item: cv2.imwrite(str(item / "mask_map/0001.png"), np.zeros((80, 96), np.uint8)),
            "empty mask",
        ),
        (
            lambda item: cv2.imwrite(
                str(item / "rgb_map/0001.jpg"), np.zeros((40, 48, 3), np.uint8)
            ),
            "48 x 40",
        ),
    ],
)
def test_a_bad_item_is_named(tmp_path, item, fake_body, spoil, said):
    spoil(item)
    with pytest.raises(InputError) as raised:
        demo.capture(sigman.read(demo.request(tmp_path, fake_body)), tmp_path)
    assert said in str(raised.value)


def test_an_item_has_one_frame(tmp_path, item, fake_body):
    with pytest.raises(InputError, match="frame 0 only"):
        sigman.read(demo.request(tmp_path, fake_body, frames="3"))
