import json
import shutil

import numpy as np
import pytest
import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.fit import Tolerance
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import load_mesh, save_mesh
from avatarpipe.steps.normalize import Normalize, run


@pytest.fixture
def converted(pipeline, tmp_path):
    """A private copy of the converted capture, its manifest without ground truth."""
    folder = tmp_path / "convert"
    shutil.copytree(pipeline.converted.parent, folder)
    document = json.loads((folder / "capture.json").read_text())
    del document["truth"]
    (folder / "capture.json").write_text(json.dumps(document))
    return folder / "capture.json"


def test_scan_body_and_truth_move_together(pipeline, fake_body):
    before, after = Capture.load(pipeline.converted), Capture.load(pipeline.normalized)
    matrix = after.normalization
    moved = before.scan().transformed(matrix)
    assert np.allclose(after.scan().vertices, moved.vertices, atol=1e-12)
    assert np.array_equal(after.scan().vertex_labels, moved.vertex_labels)
    body = fake_body.vertices(after.poses)[0].double().numpy()
    assert np.allclose(load_mesh(after.truth["layer_body"]).vertices, body, atol=2e-6)
    truth = BodyParams.load(after.truth["poses"])
    assert torch.allclose(truth.full_pose, after.poses.full_pose, atol=1e-6)
    assert after.truth["notes"].read_text() == "seed 7"


def test_the_fit_is_recorded(pipeline):
    fit = Capture.load(pipeline.normalized).manifest.fit
    assert fit["median"] < 0.006 and fit["outside"] == 0


def test_it_can_be_done_twice(pipeline, tmp_path):
    run(Normalize(pipeline.normalized, pipeline.body, tmp_path / "capture.json"))
    once, twice = Capture.load(pipeline.normalized), Capture.load(tmp_path)
    assert np.allclose(once.normalization, twice.normalization, atol=1e-5)
    assert np.allclose(once.scan().vertices, twice.scan().vertices, atol=1e-5)


def test_a_fit_of_another_frame_is_refused(converted, pipeline, tmp_path):
    poses = BodyParams.load(converted.parent / "poses.npz")
    poses.replaced(transl=poses.transl + 0.3).save(converted.parent / "poses.npz")
    out = tmp_path / "normalize" / "capture.json"
    with pytest.raises(
        InputError, match=r"convert/capture\.json: the body fit does not match the scan.*frames"
    ):
        run(Normalize(converted, pipeline.body, out))
    assert not out.parent.exists()
    run(Normalize(converted, pipeline.body, out, Tolerance(9, 9, 9, 9)))
    assert out.is_file(), "a user who knows better may say so"


def test_millimetres_are_noticed(converted, pipeline, tmp_path):
    scan = Capture.load(converted).scan()
    save_mesh(scan.transformed(np.diag([1000, 1000, 1000, 1])), converted.parent / "scan.ply")
    with pytest.raises(InputError, match="wrong scale or unit"):
        run(Normalize(converted, pipeline.body, tmp_path / "n" / "capture.json"))


def test_nan_vertices(converted, pipeline, tmp_path):
    path = converted.parent / "scan.ply"
    scan = Capture.load(converted).scan()
    scan.vertices[7] = np.nan
    save_mesh(scan, path)
    with pytest.raises(InputError, match=r"scan\.ply: 1 vertices are NaN"):
        run(Normalize(converted, pipeline.body, tmp_path / "n" / "capture.json"))
    assert not (tmp_path / "n").exists()
