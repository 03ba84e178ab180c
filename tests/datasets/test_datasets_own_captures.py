"""One's own captures: written as nerfstudio and as COLMAP folders and read back; worlds of any scale; what is wrong is named."""

import json
import shutil
from dataclasses import replace

import cv2
import datasets_recordings as demo
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avatarpipe.cameras import Cameras
from avatarpipe.capture.normalization import moved_poses
from avatarpipe.datasets import colmap, nerfstudio
from avatarpipe.datasets.formats.colmap import write_colmap
from avatarpipe.datasets.formats.posed_image import Shot
from avatarpipe.datasets.formats.transforms import write_transforms
from avatarpipe.datasets.image_names import NamePattern
from avatarpipe.datasets.similarity import moved, similarity
from avatarpipe.datasets.smpl_params import write_smpl_params
from avatarpipe.datasets.writers import colmap as colmap_writer
from avatarpipe.datasets.writers import nerfstudio as nerfstudio_writer
from avatarpipe.errors import InputError

LENSES = {"pinhole": None, "lens": demo.LENS}


def write_nerfstudio(folder, recording):
    nerfstudio_writer.write(folder, recording)
    return nerfstudio.read, {}


def write_binary(folder, recording):
    colmap_writer.write(folder, recording)
    return colmap.read, {"names": colmap_writer.NAMES}


def write_text(folder, recording):
    colmap_writer.write(folder, recording, binary=False)
    return colmap.read, {"names": colmap_writer.NAMES}


FORMATS = {"nerfstudio": write_nerfstudio, "binary": write_binary, "text": write_text}


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("form", FORMATS)
def test_round_trip(tmp_path, fake_body, form, lens):
    frames = (0, 1, 2) if form == "nerfstudio" else (3, 4, 9)
    raw = demo.recording(frames, distortion=LENSES[lens], missed={(1, 2)})
    read, options = FORMATS[form](tmp_path / "take", raw)
    source = read(demo.request(tmp_path, fake_body, test_cameras=["22010001"], **options))
    assert np.abs(source.cameras.w2c - raw.cameras.w2c).max() < 1e-6
    assert np.abs(source.cameras.K - raw.cameras.K).max() < 1e-6
    np.testing.assert_array_equal(source.distortion, raw.distortion)
    assert source.cameras.names == raw.cameras.names and source.test_cameras == ("22010001",)
    apart = demo.vertices(fake_body, source.poses) - demo.vertices(fake_body, raw.poses)
    assert apart.abs().max() < 1e-4
    np.testing.assert_allclose(source.times, np.array(frames) / 30)
    assert [row[:2] for row in source.missing] == [(f"{frames[1]:06d}", "22010002")]
    assert_images_are(source, raw, exact=lens == "pinhole", folder=tmp_path)


def assert_images_are(source, raw, exact, folder):
    captured = demo.capture(source, folder)
    assert len(source.views) == 8
    for view in source.views:
        wanted = raw.image(view.frame, view.camera), raw.mask(view.frame, view.camera)
        for kind, picture in zip(("images", "masks"), wanted, strict=True):
            path = captured.image_path(kind, view.camera, view.frame)
            found = cv2.imread(
                str(path), cv2.IMREAD_COLOR if kind == "images" else cv2.IMREAD_GRAYSCALE
            )
            found = found[..., ::-1] if kind == "images" else found
            off = np.abs(found.astype(int) - picture)[8:-8, 8:-8]
            assert off.max() == 0 if exact else np.median(off) <= 2


def test_a_world_of_any_scale(tmp_path, fake_body):
    """The calibration's world is 0.37 m a unit and stands elsewhere: the options bring the true cameras back."""
    raw = demo.recording((0,))
    names, shots = (
        raw.cameras.names,
        [Shot(c, f"{n}/000000.png") for c, n in enumerate(raw.cameras.names)],
    )
    world = similarity(0.37)
    for shift in ((0, 0, 0), (1, 2, 3)):
        world[:3, 3] = shift
        foreign = Cameras(
            moved(raw.cameras.w2c, np.linalg.inv(world)), raw.cameras.K, 96, 80, names
        )
        assert np.abs(foreign.centres - raw.cameras.centres).max() > 1
        write_binary(tmp_path / "take", raw)
        write_colmap(tmp_path / "take/sparse/0", foreign, shots, True)
        options = {"transform": world.tolist()} if any(shift) else {"scale": 0.37}
        found = colmap.read(
            demo.request(tmp_path, fake_body, names=colmap_writer.NAMES, **options)
        ).cameras
        np.testing.assert_allclose(found.w2c, raw.cameras.w2c, atol=1e-9)


@pytest.mark.parametrize("up", ["-y", "+z", "-z", "+x", "-x", "body"])
def test_a_world_of_any_axes_is_stood_upright(tmp_path, fake_body, up):
    """Cameras and bodies turn together: each camera sees the body where it saw it, and +Y is up afterwards."""
    raw = demo.recording((0, 1))
    down = {"body": "+x"}.get(up, up)
    axis = np.eye(3)["xyz".index(down[1])] * (1 if down[0] == "+" else -1)
    lying = Rotation.align_vectors([axis], [[0, 1, 0]])[0]
    turn = np.eye(4)
    turn[:3, :3] = lying.as_matrix()
    poses = moved_poses(
        fake_body, raw.poses.replaced(global_orient=0.1 * raw.poses.global_orient), turn
    )
    cameras = Cameras(moved(raw.cameras.w2c, turn), raw.cameras.K, 96, 80, raw.cameras.names)
    write_nerfstudio(tmp_path / "take", replace(raw, cameras=cameras, poses=poses))
    source = nerfstudio.read(demo.request(tmp_path, fake_body, up=up))
    before = in_camera(cameras.w2c, demo.vertices(fake_body, poses).numpy())
    after = in_camera(source.cameras.w2c, demo.vertices(fake_body, source.poses).numpy())
    assert np.abs(after - before).max() < 1e-4
    ups = Rotation.from_rotvec(source.poses.global_orient.numpy()).apply([0, 1, 0])
    assert ups.mean(axis=0)[1] > 0.99


def test_names_count_before_times(tmp_path, fake_body):
    """Frames 0 and 2 by name, whatever the times in the file: row n of the bodies is frame n."""
    raw = demo.recording((0, 1, 2))
    write_nerfstudio(tmp_path / "take", raw)
    for path in (tmp_path / "take/images").glob("*/000001.png"):
        path.unlink()
    source = nerfstudio.read(demo.request(tmp_path, fake_body, names="images/{camera}/{frame}.png"))
    assert source.frames == ("000000", "000002") and len(source.views) == 6
    np.testing.assert_allclose(source.poses.body_pose, raw.poses.body_pose[[0, 2]])
    assert source.times == (0.0, 2 / 30)


def test_folders_of_images_may_be_links(tmp_path, fake_body):
    read, options = write_binary(tmp_path / "take", demo.recording())
    for kind in ("images", "masks"):
        (tmp_path / "take" / kind).rename(tmp_path / kind)
        (tmp_path / "take" / kind).symlink_to(tmp_path / kind)
    (tmp_path / "images/loop").symlink_to(tmp_path / "images")
    assert len(read(demo.request(tmp_path, fake_body, **options)).views) == 9


def test_lying_bodies_are_warned_of(tmp_path, fake_body, caplog):
    raw = demo.recording((0,))
    write_nerfstudio(
        tmp_path / "take",
        replace(raw, poses=raw.poses.replaced(global_orient=0 * raw.poses.global_orient)),
    )
    nerfstudio.read(demo.request(tmp_path, fake_body))
    assert "upright" not in caplog.text
    nerfstudio.read(demo.request(tmp_path, fake_body, up="+z"))
    assert "do not stand upright" in caplog.text


def in_camera(w2c, vertices):
    """(C, B, V, 3) metres in each camera's frame."""
    return np.einsum("crk,bvk->cbvr", w2c[:, :3, :3], vertices) + w2c[:, None, None, :3, 3]


def test_a_similarity_keeps_every_picture():
    """Naive: a moved point seen by the moved camera falls on the pixel it fell on before."""
    rng = np.random.default_rng(3)
    raw = demo.recording((0,))
    world = similarity(2.5)
    world[:3, :3] = world[:3, :3] @ Rotation.from_euler("xyz", [0.3, -1, 2]).as_matrix()
    world[:3, 3] = [0.3, -2, 1]
    point = np.append(rng.normal(size=3) * 0.2, 1)
    before = raw.cameras.w2c @ point
    after = moved(raw.cameras.w2c, world) @ (world @ point)
    np.testing.assert_allclose(
        after[:, :2] / after[:, 2:3], before[:, :2] / before[:, 2:3], atol=1e-12
    )
    np.testing.assert_allclose(after[:, 2], 2.5 * before[:, 2], atol=1e-12)


@pytest.mark.parametrize(
    "matrix", [np.diag([1, 1, -1, 1]), np.diag([1, 2, 1, 1]), np.eye(3), np.full((4, 4), np.nan)]
)
def test_a_transform_that_is_none_is_refused(matrix):
    with pytest.raises(InputError, match="transform"):
        similarity(matrix=matrix.tolist())


def test_a_phone_video_has_a_camera_a_frame(tmp_path, fake_body):
    """One moving camera: every image stands elsewhere; names tell only the frame."""
    raw = demo.recording((0, 1, 2))
    folder = tmp_path / "take"
    write_binary(folder, raw)
    flat = folder / "images"
    for kind in ("images", "masks"):
        (folder / kind).rename(folder / f"all-{kind}")
        (folder / kind).mkdir()
    for index, name in enumerate(raw.cameras.names):
        shutil.copy(folder / f"all-images/{name}/{index:06d}.png", flat / f"video_{index}.png")
        shutil.copy(
            folder / f"all-masks/{name}/{index:06d}.png.png", folder / f"masks/video_{index}.png"
        )
    write_colmap(
        folder / "sparse/0", raw.cameras, [Shot(c, f"video_{c}.png") for c in range(3)], True
    )
    source = colmap.read(demo.request(tmp_path, fake_body, names="video_{frame}.png"))
    assert source.cameras.names == ("video_0", "video_1", "video_2")
    assert [(view.frame, view.camera) for view in source.views] == [(0, 0), (1, 1), (2, 2)]
    assert len(demo.capture(source, tmp_path).frame_names) == 3


def test_images_with_alpha_need_no_masks(tmp_path, fake_body):
    raw = demo.recording((0,))
    nerfstudio_writer.write(tmp_path / "take", raw)
    document = json.loads((tmp_path / "take/transforms.json").read_text())
    for c, frame in enumerate(document["frames"]):
        del frame["mask_path"]
        bgra = np.dstack([raw.image(0, c)[..., ::-1], raw.mask(0, c)])
        cv2.imwrite(str(tmp_path / "take" / frame["file_path"]), bgra)
    (tmp_path / "take/transforms.json").write_text(json.dumps(document))
    shutil.rmtree(tmp_path / "take/masks")
    source = nerfstudio.read(demo.request(tmp_path, fake_body))
    assert [view.mask for view in source.views] == [None] * 3
    found = demo.capture(source, tmp_path).mask(1)
    np.testing.assert_array_equal((found * 255).round().astype(np.uint8), raw.mask(0, 1))


def test_exact_frames_are_chosen_and_numbers_kept(tmp_path, fake_body):
    raw = demo.recording((0, 1, 2, 3, 4, 5))
    read, options = write_binary(tmp_path / "take", raw)
    source = read(demo.request(tmp_path, fake_body, frames="1-5:2", **options))
    assert source.frames == ("000001", "000003", "000005") and len(source.views) == 9
    np.testing.assert_allclose(source.poses.body_pose, raw.poses.body_pose[[1, 3, 5]])


def refused(tmp_path, fake_body, spoil, form="nerfstudio", frames=(0, 1, 2), **options):
    read, needed = FORMATS[form](tmp_path / "take", demo.recording(frames))
    spoil(tmp_path / "take")
    with pytest.raises(InputError) as raised:
        demo.capture(read(demo.request(tmp_path, fake_body, **(needed | options))), tmp_path)
    return str(raised.value)


def edit(change):
    def spoil(folder):
        document = json.loads((folder / "transforms.json").read_text())
        change(document)
        (folder / "transforms.json").write_text(json.dumps(document))

    return spoil


def nan_poses(folder):
    with np.load(folder / "smpl_params.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["transl"][1] = np.nan
    np.savez(folder / "smpl_params.npz", **arrays)


def move_camera(document):
    document["frames"][3]["transform_matrix"][0][3] += 0.1


def two_of_a_kind(document):
    document["frames"][3]["time"] = 0.0


def truncate(folder):
    path = folder / "images/22010001/000001.png"
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "transforms.json").write_text("{"), "Mend it, or export"),
        (lambda f: shutil.rmtree(f / "images"), "none of the images that it names is there"),
        (lambda f: (f / "smpl_params.npz").unlink(), "smpl_params.npz: no such file"),
        (lambda f: shutil.rmtree(f / "masks"), "no image has a mask"),
        (nan_poses, "transl holds NaN"),
        (truncate, "000001.png"),
        (edit(lambda d: d["frames"][0].update(file_path="../../secret.png")), "no path inside"),
        (edit(move_camera), "differ in pose or lens"),
        (edit(two_of_a_kind), "are both frame 0"),
        (edit(lambda d: d["frames"][4].pop("time")), "has no time"),
        (
            edit(lambda d: [frame.update(w=48, h=40, cx=24, cy=20) for frame in d["frames"]]),
            "96 x 80",
        ),
    ],
)
def test_a_bad_nerfstudio_capture_is_named(tmp_path, fake_body, spoil, said):
    assert said in refused(tmp_path, fake_body, spoil)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"names": "{camera}_{frame}.png"}, "is not of the form"),
        ({"names": "frame.png"}, "use {camera}, {frame}"),
        ({"up": "z"}, "option up"),
        ({"images": "../take/images"}, "no path inside"),
        ({"masks": "../take/masks"}, "no path inside"),
        ({"test_cameras": ["cam9"]}, "no camera 'cam9'"),
    ],
)
def test_bad_options_are_named(tmp_path, fake_body, options, said):
    assert said in refused(tmp_path, fake_body, lambda folder: None, "binary", **options)


def test_too_few_bodies_are_named(tmp_path, fake_body):
    def shorten(folder):
        write_smpl_params(folder / "smpl_params.npz", demo.recording((0, 1)).poses)

    message = refused(tmp_path, fake_body, shorten)
    assert "poses of 2 frames, but there are images up to frame 2" in message


def test_a_mask_that_is_not_there_is_listed(tmp_path, fake_body):
    read, options = write_text(tmp_path / "take", demo.recording())
    (tmp_path / "take/masks/22010002/000001.png.png").unlink()
    source = read(demo.request(tmp_path, fake_body, **options))
    assert source.missing == [("000001", "22010002", "no mask")] and len(source.views) == 8


def test_name_patterns():
    assert NamePattern("{camera}/{frame}.png").match("a/b/012.png") is None
    assert NamePattern("x/{camera}/{frame}.png").match("x/b.c/012.png") == ("b.c", 12)
    assert NamePattern("video_{frame}.jpg").match("video_7.jpg") == (None, 7)
    assert NamePattern("{camera}.jpg").match("front.jpg") == ("front", None)
    for template in ("{camera}{camera}", "plain", "{frame}{other}"):
        with pytest.raises(InputError, match="option names"):
            NamePattern(template)


def test_transforms_of_an_export_without_times_are_one_frame(tmp_path, fake_body):
    raw = demo.recording((0,))
    nerfstudio_writer.write(tmp_path / "take", raw)
    shots = [Shot(c, f"images/{name}/000000.png") for c, name in enumerate(raw.cameras.names)]
    write_transforms(tmp_path / "take/transforms.json", raw.cameras, shots)
    source = nerfstudio.read(demo.request(tmp_path, fake_body))
    assert source.frames == ("000000",) and len(source.views) == 3
