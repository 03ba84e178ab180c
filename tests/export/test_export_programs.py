"""Exports as programs of others read them: splat-transform (PlayCanvas) and the Khronos glTF validator, where installed.

    npm install --no-save @playcanvas/splat-transform gltf-validator     (in the repository's folder, or set NODE_PATH to theirs)
"""

import json
import shutil
import subprocess
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from export_clouds import ellipsoid_cloud
from scipy.spatial.transform import Rotation
from test_export_glb import edited, parts

from avatarpipe.export.layers import transformed
from avatarpipe.export.splat_glb import load_splat_glb, save_splat_glb
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.ply import load_ply, save_ply

ROOT = Path(__file__).parents[2]
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # about z: PLY of 3DGS mostly has its y axis down
PREFIX = "KHR_gaussian_splatting:"
VALIDATE = """
const validator = require('gltf-validator'), fs = require('fs');
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])), {maxIssues: 0})
  .then(report => console.log(JSON.stringify(report)));
"""


def node(*args: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(["node", *args], cwd=folder, capture_output=True, text=True, timeout=60)


def package(name: str) -> Path:
    """Where Node finds a package from the repository's folder; the test is skipped where it does not."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed: exports are not read by programs of others")
    found = node("-p", f"require.resolve('{name}')")
    if found.returncode:
        pytest.skip(f"npm package {name} is not installed (npm install {name}, or set NODE_PATH)")
    return Path(found.stdout.strip())


@pytest.fixture(scope="module")
def splat_transform():
    """Runs the program on arguments after -q -w."""
    program = package("@playcanvas/splat-transform").parent.parent / "bin" / "cli.mjs"

    def run(*args) -> None:
        done = node(str(program), "-q", "-w", *map(str, args))
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def assert_alike(found: GaussianCloud, wanted: GaussianCloud, atol: float = 2e-5) -> None:
    """Same Gaussians in the same order; quaternions up to sign, clouds without bands above 0 by colour."""
    for name in ("means", "scales", "opacities"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), atol=atol, rtol=1e-4)
    turns = [Rotation.from_quat(c.quats.double().numpy(), scalar_first=True) for c in (found, wanted)]
    assert (turns[0].inv() * turns[1]).magnitude().max() < 1e-3
    name = "colors" if wanted.sh is None else "sh"
    torch.testing.assert_close(getattr(found, name), getattr(wanted, name), atol=5 * atol, rtol=1e-4)


@pytest.mark.parametrize("coefficients", [0, 4, 16])
def test_every_number_of_a_ply_is_read(splat_transform, tmp_path, coefficients):
    cloud = ellipsoid_cloud(40, coefficients)
    save_ply(cloud, tmp_path / "a.ply")
    splat_transform(tmp_path / "a.ply", tmp_path / "a.csv")
    table = pd.read_csv(StringIO((tmp_path / "a.csv").read_text()))
    assert len(table) == 40
    np.testing.assert_allclose(table[["x", "y", "z"]], cloud.means, atol=1e-6)
    np.testing.assert_allclose(np.exp(table[["scale_0", "scale_1", "scale_2"]]), cloud.scales, rtol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-table["opacity"])), cloud.opacities, rtol=1e-5)
    dc = table[[f"f_dc_{k}" for k in range(3)]].to_numpy()
    if coefficients:
        np.testing.assert_allclose(dc, cloud.sh[:, 0], atol=1e-6)
        green_of_last = table[f"f_rest_{2 * (coefficients - 1) - 1}"]
        np.testing.assert_allclose(green_of_last, cloud.sh[:, -1, 1], atol=1e-6)
    else:
        np.testing.assert_allclose(0.28209479 * dc + 0.5, cloud.colors, atol=1e-6)
    splat_transform(tmp_path / "a.ply", tmp_path / "b.ply")
    assert_alike(load_ply(tmp_path / "b.ply"), load_ply(tmp_path / "a.ply"))


@pytest.mark.parametrize("coefficients", [0, 16])
def test_a_cloud_is_turned_and_scaled_as_others_turn_and_scale_it(splat_transform, tmp_path, coefficients):
    """Colours that depend on the view too. The program acts in its own y-up world, half a turn about z from that of PLY;
    Euler angles in degrees are about x, then y, then z, all of them fixed axes."""
    cloud = ellipsoid_cloud(60, coefficients, seed=3)
    save_ply(cloud, tmp_path / "a.ply")
    splat_transform(tmp_path / "a.ply", "-r", "30,-50,70", "-s", "1.5", "-t", "1,-2,3", tmp_path / "b.ply")
    matrix = np.eye(4)
    matrix[:3, :3] = 1.5 * Rotation.from_euler("xyz", [30, -50, 70], degrees=True).as_matrix()
    matrix[:3, 3] = 1, -2, 3
    wanted = transformed(load_ply(tmp_path / "a.ply"), HALF_TURN @ matrix @ HALF_TURN)
    assert_alike(load_ply(tmp_path / "b.ply"), wanted)


@pytest.mark.parametrize("coefficients", [0, 16])
def test_our_gltf_reader_reads_what_others_write(splat_transform, tmp_path, coefficients):
    """On the way from PLY to glTF the program turns the world half about z."""
    cloud = ellipsoid_cloud(50, coefficients, seed=5)
    save_ply(cloud, tmp_path / "a.ply")
    splat_transform(tmp_path / "a.ply", tmp_path / "b.glb")
    assert_alike(load_splat_glb(tmp_path / "b.glb"), transformed(load_ply(tmp_path / "a.ply"), HALF_TURN))


def test_both_write_the_same_gltf(splat_transform, tmp_path):
    cloud = ellipsoid_cloud(50, 16)
    save_ply(transformed(cloud, HALF_TURN), tmp_path / "a.ply")
    splat_transform(tmp_path / "a.ply", tmp_path / "theirs.glb")
    save_splat_glb(cloud, tmp_path / "ours.glb", "a")
    (theirs,), (ours,) = (parts(tmp_path / f"{n}.glb")[0]["meshes"][0]["primitives"] for n in ("theirs", "ours"))
    assert ours["attributes"].keys() == theirs["attributes"].keys()
    assert ours["extensions"] == theirs["extensions"] and ours["mode"] == theirs["mode"]


@pytest.fixture(scope="module")
def issues():
    """{code: pointers} of the errors, warnings and hints that the glTF validator has about a file."""
    package("gltf-validator")

    def find(path: Path) -> dict[str, list[str]]:
        done = node("-e", VALIDATE, str(path))
        assert done.returncode == 0, done.stderr
        report, found = json.loads(done.stdout), {}
        assert report["info"]["totalVertexCount"] == 30
        for message in report["issues"]["messages"]:
            found.setdefault(message["code"], []).append(message.get("pointer", ""))
        return found

    return find


@pytest.mark.parametrize("coefficients", [0, 16])
def test_the_validator_finds_no_error(issues, tmp_path, coefficients):
    """A validator older than the extension knows neither it nor names with a prefix, and nothing else may be wrong."""
    path = tmp_path / "a.glb"
    save_splat_glb(ellipsoid_cloud(30, coefficients), path, "ann", {"space": "posed"})
    found = issues(path)
    assert found.keys() <= {"UNSUPPORTED_EXTENSION", "MESH_PRIMITIVE_INVALID_ATTRIBUTE"}
    named = found.get("MESH_PRIMITIVE_INVALID_ATTRIBUTE", [])
    assert all(pointer.rpartition("/")[2].startswith(PREFIX) for pointer in named)

    def as_custom(document):
        (primitive,) = document["meshes"][0]["primitives"]
        primitive["attributes"] = {n.replace(PREFIX, "_"): i for n, i in primitive["attributes"].items()}

    edited(path, as_custom)
    assert issues(path).keys() <= {"UNSUPPORTED_EXTENSION"}, "under names it knows, every array is sound"
    edited(path, lambda document: document["accessors"][0].update(min=[0, 0, 0]))
    assert "ACCESSOR_MIN_MISMATCH" in issues(path), "the validator does look"
