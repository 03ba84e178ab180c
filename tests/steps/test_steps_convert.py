import json
import pickle
import shutil
from types import SimpleNamespace

import fake_subject
import numpy as np
import pytest
from fake_pipeline import convert_options

from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256
from avatarpipe.steps import convert


@pytest.fixture
def broken(pipeline, tmp_path):
    """A private copy of the raw data and an output path."""
    shutil.copytree(pipeline.raw, tmp_path / "raw")
    return SimpleNamespace(
        raw=tmp_path / "raw", body=pipeline.body, converted=tmp_path / "out" / "convert" / "capture.json",
        folder=tmp_path / "raw" / "00001" / "Inner" / "Take1",
    )  # fmt: skip


def test_the_capture_holds_what_the_dataset_held(pipeline, fake_body):
    capture = Capture.load(pipeline.converted)
    raw = pickle.loads((pipeline.raw / "00001/Inner/Take1/Meshes_pkl/mesh-f00011.pkl").read_bytes())
    scan = capture.scan()
    assert np.array_equal(scan.vertices.astype(np.float32), raw["vertices"])
    assert np.array_equal(scan.faces, raw["faces"])
    assert np.array_equal(scan.uvs, raw["uvs"][raw["faces"]])
    assert np.array_equal(scan.texture, fake_subject.atlas()[::-1])
    assert np.array_equal(scan.vertex_labels, fake_subject.dressed_labels(fake_body) + 1)
    assert (capture.subject, capture.gender, capture.frame_names) == ("ann", "neutral", ("00011",))
    assert np.array_equal(capture.normalization, np.eye(4))
    assert (pipeline.converted.parent / "scan.glb").is_file()


def test_provenance_names_every_file_that_was_read(pipeline):
    block = json.loads(pipeline.converted.read_text())["provenance"]
    assert set(block["inputs"]) == {"basic_info", "mesh", "atlas", "fit", "labels", "body"}
    assert block["inputs"]["body"]["sha256"] == file_sha256(pipeline.body)
    assert block["config"]["source"] == "00001/Inner/Take1" and block["avatarpipe"]


def test_truth_is_referred_to(pipeline):
    truth = Capture.load(pipeline.converted).truth
    assert truth["notes"].read_text() == "seed 7"
    assert set(truth) == {"layer_body", "layer_upper", "poses", "notes"}


def test_the_same_input_gives_the_same_manifest(pipeline):
    before = pipeline.converted.read_bytes()
    convert.run(convert_options(pipeline))
    assert pipeline.converted.read_bytes() == before


@pytest.mark.parametrize("role", ["Meshes_pkl/mesh", "Meshes_pkl/atlas", "Semantic/labels/label"])
@pytest.mark.parametrize("content", [b"", b"cos\nsystem\n(S'touch pwned'\ntR."])
def test_bad_files_leave_nothing_behind(broken, role, content):
    (broken.folder / f"{role}-f00011.pkl").write_bytes(content)
    with pytest.raises(InputError, match="f00011"):
        convert.run(convert_options(broken))
    assert not broken.converted.parent.exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"subject": "../evil"}, "subject '../evil'"),
        ({"subject": ""}, "subject ''"),
        ({"source": "../../x"}, "source"),
        ({"frames": "99"}, r"basic_info.pkl: frames '99': 99 is not there; the sequence has 2 frames \(10 to 11\)"),
        ({"dataset": "4d-dres"}, "dataset '4d-dres': use one of synthetic, 4d-dress"),
        ({"options": "{"}, "options '{': not valid JSON"),
        ({"options": "[]"}, "expected a JSON object"),
        ({"frames": "10"}, "smplx.pkl: no such file"),
    ],
)
def test_bad_options_leave_nothing_behind(broken, changes, message):
    with pytest.raises(InputError, match=message):
        convert.run(convert_options(broken, **changes))
    assert not broken.converted.parent.exists()


def test_truth_that_is_listed_but_gone(broken):
    (broken.raw / "truth" / "shirt.ply").unlink()
    with pytest.raises(InputError, match=r"shirt\.ply: no such file.*manifest\.json lists it"):
        convert.run(convert_options(broken))
    assert not broken.converted.parent.exists()
