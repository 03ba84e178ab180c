"""Captures out and in again: what other programs would read, and the very capture through our own converters."""

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import trimesh

from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.cameras import Cameras, orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing, write_frames, write_split, write_views
from avatarpipe.datasets import colmap, nerfstudio
from avatarpipe.datasets.formats.colmap import read_points
from avatarpipe.datasets.multiview import Request
from avatarpipe.datasets.smpl_params import read_smpl_params
from avatarpipe.files import read_json
from avatarpipe.images import write_image
from avatarpipe.steps import export_capture
from avatarpipe.tables import read_table, write_table

FRAMES = ("000010", "000011", "000013", "000020")
CAMERAS = ("b", "a", "c")
SEEN = [("000010", "b"), ("000010", "a"), ("000010", "c"), ("000011", "a"), ("000011", "c"), ("000020", "b")]
WIDTH, HEIGHT = 64, 48


def poses() -> BodyParams:
    rng = np.random.default_rng(4)
    arrays = {name: rng.normal(0, 0.2, (len(FRAMES), size)) for name, size in SIZES.items()}
    arrays["betas"] = np.tile(arrays["betas"][:1], (len(FRAMES), 1))
    return BodyParams.from_arrays(arrays, "drawn")


def rig() -> Cameras:
    """Three cameras of different lenses, none of them looking straight at the middle."""
    drawn = orbit([5], [0, 80, 170], 2.5, 60, WIDTH, HEIGHT, target=(0.1, 0.2, 0))
    K = drawn.K + np.array([[[3, 0, 2], [0, -2, 1], [0, 0, 0]]]) * np.arange(3)[:, None, None]
    return Cameras(drawn.w2c, K, WIDTH, HEIGHT, CAMERAS)


@pytest.fixture
def video(tmp_path):
    """Four frames, of which one was seen by nobody, three cameras, one of them held out and with JPEGs, masks in PNG."""
    path, rng, rows = tmp_path / "ann" / "normalize" / "capture.json", np.random.default_rng(0), []
    with publishing(path) as draft:
        for frame, camera in SEEN:
            image = f"photos/{camera}_{frame}.{'jpg' if camera == 'a' else 'png'}"
            mask, square = f"mattes/{camera}_{frame}.png", np.zeros((HEIGHT, WIDTH))
            square[10:40, 20:44] = rng.random((30, 24))
            write_image(draft / image, rng.random((HEIGHT, WIDTH, 3)))
            write_image(draft / mask, square)
            rows.append({"frame": frame, "camera": camera, "image": image, "mask": mask})
        Manifest(
            subject="ann", gender="female", provenance={}, images="photos", masks="mattes", photographs=True,
            normalization=[[0, 0, 2.0, 1], [0, 2, 0, 0], [-2, 0, 0, 3], [0, 0, 0, 1]],
            **write_frames(draft, poses(), FRAMES, [0.0, 0.05, 0.15, 0.5]), **write_split(draft, rig(), ["a"]),
            **write_views(draft, pd.DataFrame(rows)),
        ).save(draft / "capture.json")  # fmt: skip
    return path


def exported(video, layout, *more):
    """The folder, after the command line was run."""
    out = video.parents[1] / "export" / layout / "export.json"
    export_capture.main(["--capture", str(video), "--format", layout, "--out", str(out), *map(str, more)])
    return out.parent


def requested(folder, body, frames="all", **options) -> Request:
    return Request(folder.parent, folder.name, frames, "female", body, options)


def assert_same_cameras(found: Cameras, names) -> None:
    assert sorted(found.names) == sorted(names)
    mine = rig()[[CAMERAS.index(name) for name in found.names]]
    assert np.abs(found.w2c - mine.w2c).max() < 1e-9 and np.abs(found.K - mine.K).max() < 1e-9
    assert (found.width, found.height) == (WIDTH, HEIGHT)


def assert_same_bodies(found: BodyParams, rows, body) -> None:
    apart = body.vertices(found).double() - body.vertices(poses()[rows]).double()
    assert apart.abs().max() < 1e-4


def test_nerfstudio_and_back(video, fake_body):
    folder = exported(video, "nerfstudio")
    source = nerfstudio.read(requested(folder, fake_body, test_cameras=["a"]))
    assert_same_cameras(source.cameras, CAMERAS)
    assert_same_bodies(source.poses, [0, 1, 3], fake_body)
    np.testing.assert_allclose(source.times, [0, 0.05, 0.5])
    capture, names = Capture.load(video), [FRAMES[row] for row in (0, 1, 3)]
    assert len(source.views) == len(SEEN)
    for view in source.views:
        frame, camera = names[view.frame], source.cameras.names[view.camera]
        assert (frame, camera) in SEEN
        for kind, file in (("images", view.image), ("masks", view.mask)):
            assert file.read_bytes() == capture.image_path(kind, camera, frame).read_bytes()


def test_transforms_json_as_its_own_program_reads_it(video, fake_body, fake_body_file):
    """Poses are camera to world with y up and z backward; a point of the body projects where our cameras see it."""
    folder = exported(video, "nerfstudio", "--body", fake_body_file)
    document = json.loads((folder / "transforms.json").read_text())
    assert [(f["frame"], f["camera"]) for f in document["frames"]] == SEEN
    assert [f["frame_index"] for f in document["frames"]] == [0, 0, 0, 1, 1, 2]
    assert [f["time"] for f in document["frames"]] == [0, 0, 0, 0.05, 0.05, 0.5]
    files = [f["file_path"] for f in document["frames"]]
    held_out = [file for file in files if "/a." in file]
    assert document["test_filenames"] == document["val_filenames"] == held_out and len(held_out) == 2
    assert document["train_filenames"] == [file for file in files if file not in held_out]
    points = trimesh.load(folder / document["ply_file_path"], process=False).vertices
    np.testing.assert_allclose(points, fake_body.vertices(poses()[0])[0], atol=1e-5)
    for entry in document["frames"][:3]:
        c2w = np.array(entry["transform_matrix"])
        seen = (points - c2w[:3, 3]) @ c2w[:3, :3]
        x = entry["cx"] - entry["fl_x"] * seen[:, 0] / seen[:, 2]
        y = entry["cy"] + entry["fl_y"] * seen[:, 1] / seen[:, 2]
        camera = rig()[CAMERAS.index(entry["camera"])]
        mine = np.c_[points, np.ones(len(points))] @ (camera.K[0] @ camera.w2c[0, :3]).T
        np.testing.assert_allclose(np.c_[x, y], mine[:, :2] / mine[:, 2:], atol=1e-6)
        assert (folder / entry["file_path"]).is_file() and (folder / entry["mask_path"]).is_file()


@pytest.mark.parametrize("layout", ["colmap", "colmap-binary"])
def test_colmap_a_folder_a_frame_and_back(video, fake_body, fake_body_file, layout):
    folder = exported(video, layout, "--body", fake_body_file)
    left = sorted(p.name for p in folder.iterdir())
    assert left == ["000010", "000011", "000020", "export.json", "provenance.json"]
    ending = ".bin" if layout == "colmap-binary" else ".txt"
    for row, frame in ((0, "000010"), (1, "000011"), (3, "000020")):
        model = folder / frame / "sparse" / "0"
        assert {p.name for p in model.iterdir()} - {"test.txt"} == {f"{n}{ending}" for n in ("cameras", "images", "points3D")}
        source = colmap.read(requested(folder / frame, fake_body))
        assert_same_cameras(source.cameras, [c for f, c in SEEN if f == frame])
        assert_same_bodies(source.poses, [row], fake_body)
        vertices = fake_body.vertices(poses()[row])[0]
        np.testing.assert_allclose(read_points(model).positions, vertices, atol=1e-6)
        capture = Capture.load(video)
        for view in source.views:
            camera = source.cameras.names[view.camera]
            assert view.image.read_bytes() == capture.image_path("images", camera, frame).read_bytes()
            assert view.mask.read_bytes() == capture.image_path("masks", camera, frame).read_bytes()
    held_out = [(folder / f / "sparse/0/test.txt") for f in ("000010", "000011")]
    assert [path.read_text() for path in held_out] == ["a.jpg\n"] * 2
    assert not (folder / "000020/sparse/0/test.txt").exists()


def test_colmap_text_line_by_line(video):
    """As https://colmap.github.io/format.html has it: no point is needed, poses are w2c with quaternions wxyz."""
    model = exported(video, "colmap", "--frames", "20") / "000020" / "sparse" / "0"
    (camera,) = (line.split() for line in (model / "cameras.txt").read_text().splitlines() if line[0] != "#")
    K = rig().K[0]
    assert camera[1:4] == ["PINHOLE", str(WIDTH), str(HEIGHT)]
    np.testing.assert_allclose(np.array(camera[4:], float), [K[0, 0], K[1, 1], K[0, 2], K[1, 2]])
    lines = [line for line in (model / "images.txt").read_text().splitlines() if not line.startswith("#")]
    values = lines[0].split()
    assert len(lines) == 2 and not lines[1] and values[9] == "b.png" and values[8] == camera[0]
    w, x, y, z = np.array(values[1:5], float)
    np.testing.assert_allclose(w * w + x * x + y * y + z * z, 1)
    np.testing.assert_allclose([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], rig().w2c[0, 0, :3])
    np.testing.assert_allclose(np.array(values[5:8], float), rig().w2c[0, :3, 3])
    assert [line for line in (model / "points3D.txt").read_text().splitlines() if line[0] != "#"] == []


PYCOLMAP = """
import json, sys, pycolmap
model = pycolmap.Reconstruction(sys.argv[1])
rows = {i.name: [i.cam_from_world().matrix().tolist(), model.cameras[i.camera_id].calibration_matrix().tolist()]
        for i in model.images.values()}
print(json.dumps({"images": rows, "points": len(model.points3D)}))
"""


@pytest.mark.skipif(find_spec("pycolmap") is None, reason="pycolmap is not installed (pip install pycolmap)")
@pytest.mark.parametrize("layout", ["colmap", "colmap-binary"])
def test_colmap_itself_reads_the_model(video, fake_body, fake_body_file, layout):
    """In a process of its own: its libraries and OpenCV's do not get along in one."""
    model = exported(video, layout, "--body", fake_body_file) / "000010" / "sparse" / "0"
    done = subprocess.run([sys.executable, "-c", PYCOLMAP, str(model)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["points"] == len(fake_body.v_template)
    assert sorted(found["images"]) == ["a.jpg", "b.png", "c.png"]
    for name, (w2c, K) in found["images"].items():
        camera = rig()[CAMERAS.index(name[0])]
        np.testing.assert_allclose(w2c, camera.w2c[0, :3], atol=1e-9)
        np.testing.assert_allclose(K, camera.K[0], atol=1e-9)


def test_bodies_alone(video, fake_body):
    folder = exported(video, "smpl-params", "--frames", "11,13-13,20")
    assert_same_bodies(read_smpl_params(folder / "smpl_params.npz"), [1, 2, 3], fake_body)
    manifest = read_json(folder / "export.json")
    assert manifest["frames"] == list(FRAMES[1:]) and manifest["times"] == [0.05, 0.15, 0.5]
    assert (manifest["gender"], manifest["views"]) == ("female", None)


def test_the_manifest_says_how_to_return(video):
    transform = read_json(exported(video, "nerfstudio") / "export.json")["transform"]
    back, forth = (np.array(transform[name]) for name in ("capture_to_input", "input_to_capture"))
    np.testing.assert_allclose(back @ forth, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(forth, Capture.load(video).normalization)
    assert transform["world"] == "capture"
    assert transform["input_units_per_metre"] == pytest.approx(0.5)


def test_links_lead_to_the_capture_and_copies_stand_alone(video, tmp_path):
    linked = exported(video, "nerfstudio") / "images" / "000010" / "b.png"
    original = Capture.load(video).image_path("images", "b", "000010")
    assert linked.is_symlink() and linked.resolve() == original.resolve()
    assert not linked.readlink().is_absolute(), "the results may be moved as a whole"
    (tmp_path / "ann").rename(tmp_path / "bob")
    assert (tmp_path / "bob/export/nerfstudio/images/000010/b.png").is_file()
    moved = tmp_path / "bob/normalize/capture.json"
    copied = exported(moved, "colmap", "--images", "copy") / "000010" / "images" / "b.png"
    assert copied.is_file() and not copied.is_symlink()


def test_a_capture_of_scans_has_bodies_to_export_only(tmp_path, capsys):
    path = tmp_path / "ann" / "convert" / "capture.json"
    with publishing(path) as draft:
        entries = write_frames(draft, BodyParams.zeros(1), ["0"], [0.0])
        Manifest("ann", "neutral", provenance={}, **entries).save(draft / "capture.json")
    assert (exported(path, "smpl-params") / "smpl_params.npz").is_file()
    assert refusal(path, "nerfstudio", capsys).count("no cameras yet; run `avatarpipe render`") == 1


def refusal(video, layout, capsys, *more) -> str:
    with pytest.raises(SystemExit) as stopped:
        exported(video, layout, *more)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_bad_input_is_one_message(video, capsys):
    assert "frames '7': 7 is not there" in refusal(video, "nerfstudio", capsys, "--frames", "7")
    assert "no camera saw any of the frames 000013" in refusal(video, "colmap", capsys, "--frames", "13")
    image = Capture.load(video).image_path("images", "c", "000011")
    image.unlink()
    assert f"{image.name}: no such file" in refusal(video, "nerfstudio", capsys)
    assert not (video.parents[1] / "export" / "nerfstudio" / "transforms.json").exists()


def test_what_the_layouts_cannot_say_is_refused(video, capsys):
    changed = poses()
    changed.betas[3] += 1
    changed.save(video.parent / "poses.npz")
    assert "betas differ between frames" in refusal(video, "smpl-params", capsys)
    exported(video, "colmap")  # a body a folder: no matter
    table = Capture.load(video).frames.assign(time=0.0)
    table.to_parquet(video.parent / "frames.parquet")
    poses().save(video.parent / "poses.npz")
    assert "times of its frames do not grow" in refusal(video, "nerfstudio", capsys)


def test_a_name_that_leads_out_is_refused(video, capsys):
    for file, column in (("frames", "frame"), ("views", "frame")):
        table = read_table(video.parent / f"{file}.parquet")
        write_table(table.replace({column: {"000010": "../../10"}}), video.parent / f"{file}.parquet")
    said = refusal(video, "colmap", capsys)
    assert "frame '../../10'" in said and "nor hold slashes" in said
