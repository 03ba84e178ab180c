"""Hostile files: each ends in one InputError that names it, soon and in little memory, and nothing outside is touched."""

import io
import json
import pickle
import resource
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from avatarpipe import tables
from avatarpipe.avatar import Avatar
from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing, write_cameras, write_frames
from avatarpipe.datasets.hdf5 import numbers, opened
from avatarpipe.datasets.plain_npz import read_arrays
from avatarpipe.datasets.smpl_params import read_smpl_params
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, atomic_folder, read_json
from avatarpipe.gaussians.ply import load_ply
from avatarpipe.images import read_image
from avatarpipe.mesh.mesh import load_mesh
from avatarpipe.motions.read import read_motion
from avatarpipe.npz import check_size
from avatarpipe.provenance_files import read_provenance
from avatarpipe.reruns import chain, check_outputs, prepare, run_again
from avatarpipe.skinned_avatar import SkinnedAvatar
from avatarpipe.steps.convert import Convert, run

AXES = "".join(f"property float {axis}\n" for axis in "xyz")
FACE = "element face 1\nproperty list uchar int vertex_indices\n"
MEMORY = 1 << 30


@pytest.fixture
def little_memory():
    """The test may take no gibibyte more than there is already."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def ply(head: str, body: bytes) -> bytes:
    return f"ply\nformat binary_little_endian 1.0\n{head}end_header\n".encode() + body


TRIANGLE = struct.pack("<9f", *range(9))
PLY = {
    "count": ply(f"element vertex 99999999999999\n{AXES}{FACE}", bytes(40)),
    "overflow": ply(f"element vertex {10**30}\n{AXES}{FACE}", bytes(40)),
    "negative": ply(f"element vertex -5\n{AXES}{FACE}", bytes(40)),
    "text": ply(f"element vertex many\n{AXES}{FACE}", bytes(40)),
    "missing": ply(f"element vertex\n{AXES}{FACE}", bytes(40)),
    "faces": ply(f"element vertex 1\n{AXES}element face 4000000000\nproperty list uint int vertex_indices\n", b"\xff" * 60),
    "ascii": b"ply\nformat ascii 1.0\nelement vertex 999999999999\n" + f"{AXES}{FACE}end_header\n0 0 0\n".encode(),
    "index": ply(f"element vertex 3\n{AXES}{FACE}", TRIANGLE + struct.pack("<B3i", 3, 0, 1, 900_000_000)),
    "below": ply(f"element vertex 3\n{AXES}{FACE}", TRIANGLE + struct.pack("<B3i", 3, 0, 1, -900_000_000)),
    "endless": b"ply\n" + b"comment x\n" * 100_000,
    "empty": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", PLY)
@pytest.mark.parametrize("read", [load_mesh, load_ply])
@pytest.mark.usefixtures("little_memory")
def test_hostile_ply(read, name, tmp_path):
    path = tmp_path / f"{name}.ply"
    path.write_bytes(PLY[name])
    with pytest.raises(InputError, match=rf"{name}\.ply"):
        read(path)


def glb(document: dict) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


@pytest.mark.parametrize(
    "data",
    [
        b"glTF" + struct.pack("<III", 2, 0xFFFFFFFF, 0xFFFFFFF0) + b"JSON",
        glb(
            {
                "asset": {"version": "2.0"},
                "buffers": [{"uri": "file:///etc/passwd", "byteLength": 10}],
            }
        ),
        glb(
            {
                "asset": {"version": "2.0"},
                "buffers": [{"uri": "../../../../etc/passwd", "byteLength": 1 << 40}],
            }
        ),
        glb(
            {
                "asset": {"version": "2.0"},
                "meshes": [{"primitives": [{"attributes": {"POSITION": 10**9}}]}],
            }
        ),
    ],
)
@pytest.mark.usefixtures("little_memory")
def test_hostile_glb(data, tmp_path):
    (tmp_path / "x.glb").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.glb"):
        load_mesh(tmp_path / "x.glb")


def test_a_material_of_elsewhere_is_not_followed(tmp_path):
    (tmp_path / "x.obj").write_text(
        "mtllib ../../../../../etc/passwd\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl a\nf 1 2 3\n"
    )
    assert load_mesh(tmp_path / "x.obj").texture is None


def header(shape: tuple) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def write_npz(path: Path, entries: dict[str, bytes], zeros: int = 0) -> Path:
    """An npz of raw entries, each followed by so many compressed zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in entries.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                stream.write(data)
                for _ in range(zeros >> 22):
                    stream.write(bytes(1 << 22))
    return path


READERS = [read_arrays, read_smpl_params, Body, read_motion, BodyParams.load]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("shape", [(10**12, 156), (-3, 156), (2**40,)])
@pytest.mark.usefixtures("little_memory")
def test_npz_with_impossible_shapes(read, shape, tmp_path):
    path = write_npz(
        tmp_path / "x.npz",
        {name: header(shape) for name in ("poses", "trans", "global_orient", "v_template")},
    )
    with pytest.raises(InputError, match=r"x\.npz"):
        read(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.usefixtures("little_memory")
def test_a_zip_bomb_is_not_unpacked(read, tmp_path, monkeypatch):
    monkeypatch.setattr(check_size, "__defaults__", (1 << 20,))
    path = write_npz(tmp_path / "bomb.npz", {"poses": header((1 << 20,))}, zeros=1 << 23)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"bomb\.npz: its arrays would take"):
        read(path)


def test_sizes_are_those_that_the_archive_states(tmp_path):
    path = write_npz(tmp_path / "x.npz", {"a": header((1,)) + bytes(8), "b": bytes(100)})
    check_size(path, 400)
    with pytest.raises(InputError, match=r"x\.npz"):
        check_size(path, 200)


def test_names_of_entries_are_names_and_no_paths(tmp_path):
    arrays = read_arrays(write_npz(tmp_path / "x.npz", {"../../evil": header((1,)) + bytes(8)}))
    assert list(arrays) == ["../../evil"] and not list(tmp_path.parent.rglob("evil*"))


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 100_000, '{"a": ' + "9" * 10_000 + "}"])
@pytest.mark.parametrize("read", [read_json, read_motion])
@pytest.mark.usefixtures("little_memory")
def test_json_that_is_nested_without_end(read, text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json"):
        read(tmp_path / "x.json")


@pytest.mark.usefixtures("little_memory")
def test_an_image_that_says_it_is_huge(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", size), chunk(b"IDAT", zlib.compress(bytes(1000))), chunk(b"IEND", b""))
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(InputError, match=r"x\.png"):
        read_image(tmp_path / "x.png")


@pytest.fixture
def outside(tmp_path) -> Path:
    """A folder out of the results, with a file that must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept.txt").write_text("mine")
    (tmp_path / "results").mkdir()
    yield tmp_path / "outside"
    assert (tmp_path / "outside/kept.txt").read_text() == "mine"
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["kept.txt"]


def test_a_file_takes_the_place_of_a_link_and_leaves_what_it_points_at(outside):
    link = outside.parent / "results/table.csv"
    link.symlink_to(outside / "kept.txt")
    with atomic_file(link) as temporary:
        temporary.write_text("ours")
    assert link.read_text() == "ours" and not link.is_symlink()


def test_a_folder_takes_the_place_of_a_link_and_leaves_what_it_points_at(outside):
    link = outside.parent / "results/avatar"
    link.symlink_to(outside, target_is_directory=True)
    with atomic_folder(link) as temporary:
        (temporary / "avatar.json").touch()
    assert [path.name for path in link.iterdir()] == ["avatar.json"] and not link.is_symlink()


def test_publishing_replaces_links_and_leaves_what_they_point_at(outside):
    folder = outside.parent / "results"
    (folder / "images").symlink_to(outside, target_is_directory=True)
    (folder / "capture.json").symlink_to(outside / "kept.txt")
    with publishing(folder / "capture.json") as draft:
        (draft / "images").mkdir()
        (draft / "images/a.png").touch()
        (draft / "capture.json").write_text("{}")
    assert not (folder / "images").is_symlink() and not (folder / "capture.json").is_symlink()


def provenance_file(path: Path, **changes) -> Path:
    document = {
        "format": "avatarpipe provenance 1", "step": "body", "module": "avatarpipe.steps.body",
        "arguments": ["--gender", "female", "--out", "results/body/x.npz"], "config": {}, "code": "", "inputs": {},
        "outputs": {}, "packages": {}, "run": {"folder": "../.."},
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document | changes))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"module": "http.server"}, {"module": "avatarpipe.steps.body; os"}, {"module": "avatarpipe.steps.body\n"},
        {"module": "avatarpipe.steps..os"}, {"module": 3}, {"outputs": []}, {"format": "2"}, {"arguments": "--out x"},
    ],
)  # fmt: skip
def test_a_provenance_file_names_steps_of_this_package_only(changes, tmp_path):
    path = provenance_file(tmp_path / "results/body/x.provenance.json", **changes)
    with pytest.raises(InputError, match=r"x\.provenance\.json"):
        read_provenance(path)


@pytest.mark.parametrize(
    "out", ["../evil.npz", "/tmp/avatarpipe-evil.npz", "results/../../evil.npz"]
)
@pytest.mark.parametrize("form", ["{flag} {out}", "{flag}={out}"])
def test_a_rerun_writes_into_its_folder_only(out, form, tmp_path):
    arguments = ["--gender", "female", *form.format(flag="--out", out=out).split(" ")]
    path = provenance_file(tmp_path / "results/body/x.provenance.json", arguments=arguments)
    with pytest.raises(InputError, match="lies outside"):
        check_outputs(chain([path]))


@pytest.mark.parametrize("out", ["config/x.npz", "raw/deep/x.npz"])
def test_a_rerun_does_not_write_through_the_links_to_its_project(out, tmp_path):
    project, into = tmp_path / "project", tmp_path / "again"
    (project / out).parent.mkdir(parents=True)
    (project / out).write_text("kept")
    arguments = ["--gender", "female", "--out", out]
    steps = chain([provenance_file(project / "results/body/x.provenance.json", arguments=arguments)])
    check_outputs(steps)
    prepare(into, [], steps)
    with pytest.raises(InputError, match="lies behind a link"):
        run_again(steps[0], into, SimpleNamespace(python="/bin/false"))
    assert (project / out).read_text() == "kept"


@pytest.mark.parametrize(
    ("step", "arguments"), [("view", ["avatar.json", "--host", "0.0.0.0"]), ("rerun", ["x.json", "--into", "/tmp/x"])]
)
def test_a_rerun_starts_nothing_that_leaves_no_output(step, arguments, tmp_path):
    path = provenance_file(tmp_path / "results/x/provenance.json", module=f"avatarpipe.steps.{step}", arguments=arguments)
    with pytest.raises(InputError, match="makes nothing"):
        check_outputs(chain([path]))


def test_networks_from_strangers_are_tensors_only(tmp_path):
    """A checkpoint that is a pickle in disguise is refused by the loader that every reader here uses."""

    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "owned",)

    torch.save({"weights": Bomb()}, tmp_path / "net.pth")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "net.pth", map_location="cpu", weights_only=True)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "a;touch owned", "$(touch owned)", "a\nb", "a\n"]
)
def test_a_step_refuses_a_subject_that_is_no_name(name, tmp_path):
    options = Convert(
        "synthetic", tmp_path, "x", name, "male", tmp_path / "x.npz", tmp_path / "out/capture.json"
    )
    with pytest.raises(InputError, match="subject"):
        run(options)
    assert not list(tmp_path.iterdir())


TRAVERSAL = ["../../evil", "/tmp/evil", ".hidden", "", "a/b", "a\\b", "a\nb"]


@pytest.mark.parametrize("name", TRAVERSAL)
@pytest.mark.parametrize("part", ["frame", "camera"])
def test_a_capture_whose_names_would_leave_its_folder_is_refused(part, name, tmp_path):
    """Steps write labels, pictures and exports under the names of frames and cameras."""

    def write(frame: str, camera: str) -> None:
        cameras = replace(orbit([0.0], [0.0], 2.0, 60.0, 8, 8), names=(camera,))
        entries = write_frames(tmp_path, BodyParams.zeros(), [frame], [0.0]) | write_cameras(
            tmp_path, {"train": cameras}
        )
        Manifest(subject="ann", gender="female", provenance={}, **entries).save(
            tmp_path / "capture.json"
        )

    write("000000", "cam 1.left")
    assert Capture.load(tmp_path).cameras().names == ("cam 1.left",)
    write(**{"frame": "000000", "camera": "a"} | {part: name})
    with pytest.raises(InputError, match=f"{part} "):
        Capture.load(tmp_path)


@pytest.mark.parametrize("name", TRAVERSAL)
def test_an_avatar_whose_layers_would_leave_its_folder_is_refused(fake_body, name, tmp_path):
    """Exports are called by the layers."""
    SkinnedAvatar("ann", fake_body, BodyParams.zeros(), {}, {}).save(tmp_path / "avatar")
    document = read_json(tmp_path / "avatar/avatar.json")
    document["layers"] = {name: {"file": "inner.safetensors", "kind": "surfel", "count": 1}}
    (tmp_path / "avatar/avatar.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="layer"):
        Avatar.load(tmp_path / "avatar")


def test_a_table_of_one_value_ten_million_times_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LIMIT", 1 << 20)
    tables.write_table(pd.DataFrame({"x": np.zeros(10**6)}), tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 15
    with pytest.raises(InputError, match=r"bomb\.parquet: 1,000,000 values, more than"):
        tables.read_table(tmp_path / "bomb.parquet")
    tables.write_table(pd.DataFrame({"x": np.zeros(10**5)}), tmp_path / "fine.parquet")
    assert len(tables.read_table(tmp_path / "fine.parquet")) == 10**5


@pytest.mark.usefixtures("little_memory")
def test_an_hdf5_array_that_was_never_written_is_not_read(tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("pose", shape=(10**10, 72), dtype="f4", chunks=(10**5, 72))
    assert (tmp_path / "bomb.h5").stat().st_size < 1 << 15
    refused = pytest.raises(InputError, match=r"bomb\.h5: pose has shape .* more than is ever read")
    with opened(tmp_path / "bomb.h5") as file, refused:
        numbers(file, "pose", (None, 72))
