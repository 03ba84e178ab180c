"""Scans over time on their way to images, and image captures through normalize."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fake_network import write_network
from scan_recordings import poses, recording

from avatarpipe.cameras import orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.fit import Tolerance
from avatarpipe.capture.manifest import MANIFEST_NAME
from avatarpipe.capture.writing import publishing
from avatarpipe.datasets.writers import avatarrex, fourddress, thuman2
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.errors import InputError
from avatarpipe.steps import convert, normalize, render, segment

SOURCE = "00122/Outer/Take11"


@pytest.fixture(scope="module")
def walk(fake_body, fake_body_file, tmp_path_factory):
    """Three frames of a walking subject, taken through every step to label maps."""
    root = tmp_path_factory.mktemp("walk")
    given = recording(fake_body, (11, 12, 13))
    fourddress.write(root / "raw" / SOURCE, given)
    paths = SimpleNamespace(
        given=given, body=fake_body_file, raw=root / "raw",
        **{step: root / step / "capture.json" for step in ("convert", "normalize", "render", "segment")},
    )  # fmt: skip
    convert.run(
        convert.Convert("4d-dress", root / "raw", SOURCE, "ann", "male", paths.body, paths.convert, "all")
    )
    normalize.run(normalize.Normalize(paths.convert, paths.body, paths.normalize))
    render.run(
        render.Render(paths.normalize, paths.render, size=128, train_views=2, test_views=1, supersample=1)
    )
    segment.run(segment.Segment(paths.render, paths.segment))
    return paths


def test_each_frame_has_its_own_scan(walk):
    capture = Capture.load(walk.convert)
    assert capture.frame_names == ("00011", "00012", "00013")
    for index in range(3):
        wanted = walk.given.scan(index)
        assert np.array_equal(capture.scan(index).vertices, wanted.vertices)
        assert np.array_equal(capture.scan(index).vertex_labels, wanted.vertex_labels)
    assert "scan-00012" in Capture.load(walk.normalize).manifest.provenance["inputs"]


def test_all_frames_move_by_what_the_first_asks_for(walk, fake_body):
    before, after = Capture.load(walk.convert), Capture.load(walk.normalize)
    matrix = after.normalization
    bodies, moved = fake_body.vertices(before.poses).double().numpy(), fake_body.vertices(after.poses)
    assert np.abs(bodies @ matrix[:3, :3].T + matrix[:3, 3] - moved.double().numpy()).max() < 1e-5
    for index in range(3):
        wanted = before.scan(index).transformed(matrix)
        assert np.allclose(after.scan(index).vertices, wanted.vertices, atol=1e-9)
    assert after.manifest.fit["median"] < 0.006


def test_every_frame_is_rendered_from_cameras_that_see_all_of_the_walk(walk, fake_body):
    capture = Capture.load(walk.render)
    cameras, bodies = capture.cameras(), fake_body.vertices(capture.poses).double().numpy()
    for frame, vertices in enumerate(bodies):
        for index, name in enumerate(cameras.names):
            mask = capture.mask(name, frame)
            x = (vertices @ cameras.w2c[index][:3, :3].T + cameras.w2c[index][:3, 3]) @ cameras.K[index].T
            column, row = (x[:, :2] / x[:, 2:]).astype(int).T
            assert (mask[row, column] > 0).mean() > 0.93
            assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    assert not np.array_equal(capture.image("train_000", 0), capture.image("train_000", 2))


def test_every_frame_is_labelled(walk):
    capture = Capture.load(walk.segment)
    for frame in capture.frame_names:
        labels = capture.labels("train_000", frame)
        assert (labels[capture.mask("train_000", frame) == 1] > 0).all() and len(np.unique(labels)) > 3


def test_a_scan_of_another_frame_is_named(walk, tmp_path):
    folder = tmp_path / "convert"
    with publishing(folder / MANIFEST_NAME) as draft:
        capture = Capture.load(walk.convert)
        turned = capture.poses.replaced(transl=capture.poses.transl + 0.0)
        turned.transl[1] += 0.5
        turned.save(draft / "poses.npz")
        moved = capture.manifest.moved(capture.folder, folder, poses="poses.npz")
        moved.save(draft / MANIFEST_NAME)
    with pytest.raises(InputError, match=r"capture\.json, frame 00012: the body fit does not match"):
        normalize.run(
            normalize.Normalize(folder / MANIFEST_NAME, walk.body, tmp_path / "n" / "capture.json")
        )


def test_images_stay_and_their_cameras_move_with_the_bodies(walk, fake_body, tmp_path):
    """The rendered capture without its scans is what a dataset of images looks like."""
    folder, out = tmp_path / "convert", tmp_path / "normalize" / MANIFEST_NAME
    rendered = Capture.load(walk.render)
    with publishing(folder / MANIFEST_NAME) as draft:
        as_images = rendered.manifest.moved(rendered.folder, folder, scan=None, normalization=None)
        as_images.save(draft / MANIFEST_NAME)
    normalize.run(normalize.Normalize(folder / MANIFEST_NAME, walk.body, out, Tolerance(0, 0, 0, 0)))
    before, after = Capture.load(folder), Capture.load(out)
    assert after.image_path("images", 0).resolve() == rendered.image_path("images", 0).resolve()
    assert after.cameras("test").names == before.cameras("test").names
    assert after.manifest.fit is None
    seen = [
        fake_body.vertices(capture.poses).double().numpy() @ capture.cameras().w2c[1][:3, :3].T
        + capture.cameras().w2c[1][:3, 3]
        for capture in (before, after)
    ]
    assert np.abs(seen[0] - seen[1]).max() < 1e-5


def test_a_capture_of_nothing_is_refused(walk, tmp_path):
    capture = Capture.load(walk.convert)
    with publishing(tmp_path / "c" / MANIFEST_NAME) as draft:
        capture.manifest.moved(capture.folder, tmp_path / "c", scan=None).save(draft / MANIFEST_NAME)
    with pytest.raises(InputError, match="neither scans nor cameras"):
        normalize.run(
            normalize.Normalize(tmp_path / "c" / MANIFEST_NAME, walk.body, tmp_path / "n.json")
        )


def test_images_that_are_missing_get_no_labels(fake_body, fake_body_file, tmp_path):
    """Photographs of two frames, one of which a camera missed, through convert, normalize and the network."""
    folder = tmp_path / "raw" / "zzr"
    given = poses(fake_body, 2)
    cameras = orbit([0.0], [0.0, 120.0, 240.0], 4.0, 60.0, 48, 64, target=(0.3, 1.0, -0.4))
    cameras = replace(cameras, names=("a", "b", "c"))
    white = np.zeros((64, 48), np.uint8)
    white[10:54, 16:32] = 255
    film = RawRecording(
        cameras, np.zeros((3, 5)), (0, 1), 30.0, given, "neutral",
        lambda f, c: None if (f, c) == (1, 2) else np.repeat(white[..., None], 3, 2),
        lambda f, c: None if (f, c) == (1, 2) else white,
    )  # fmt: skip
    avatarrex.write(folder, film)
    paths = {step: tmp_path / step / MANIFEST_NAME for step in ("convert", "normalize", "segment")}
    convert.run(
        convert.Convert(
            "avatarrex", tmp_path / "raw", "zzr", "ann", "neutral", fake_body_file, paths["convert"],
            "all", '{"test_cameras": ["b"]}', workers=2,
        )
    )  # fmt: skip
    normalize.run(normalize.Normalize(paths["convert"], fake_body_file, paths["normalize"]))
    network = write_network(tmp_path / "tiny.pt2", {0: (0, 0, 0), 21: (1, 1, 1)})
    segment.run(segment.Segment(paths["normalize"], paths["segment"], "sapiens", network, "cpu", 4))
    capture = Capture.load(paths["segment"])
    assert len(capture.views()) == 5 and not capture.seen("c", 1)
    assert capture.cameras("test").names == ("b",)
    assert (capture.labels("a", 1)[12:52, 18:30] == 1).all()
    with pytest.raises(InputError, match=r"missing\.csv of the conversion says why"):
        capture.labels("c", 1)


@pytest.mark.parametrize(("release", "dataset"), [("2.0", "thuman2.0"), ("2.1", "thuman2.1")])
def test_thuman_ends_in_the_common_frame(fake_body, fake_body_file, tmp_path, release, dataset):
    thuman2.write(tmp_path / "model", tmp_path / "smplx", "0007", recording(fake_body), 0.45, release)
    options = '{"scans": "model", "fits": "smplx", "flat_hand_mean": true}'
    out = tmp_path / "convert" / "capture.json"
    convert.run(
        convert.Convert(
            dataset, tmp_path, "0007", "ann", "male", fake_body_file, out, options=options
        )
    )
    normalize.run(normalize.Normalize(out, fake_body_file, tmp_path / "n" / "capture.json"))
    capture = Capture.load(tmp_path / "n")
    assert capture.manifest.fit["median"] < 0.006 and abs(capture.manifest.fit["scale"] - 1) < 0.02
    assert np.abs(capture.scan().vertices).max() < 1
