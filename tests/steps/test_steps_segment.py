import json
import subprocess
import sys

import fake_subject
import numpy as np
import pytest
from fake_network import write_network

from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.segmentation.sapiens import CLASSES
from avatarpipe.steps.segment import Segment, run


def test_scan_labels_are_copied_exactly(pipeline, tmp_path):
    out = pipeline.rendered.parent.parent / "segment" / "capture.json"
    run(Segment(pipeline.rendered, out))
    capture = Capture.load(out)
    assert np.array_equal(capture.stack(None, "labels"), capture.stack(None, "truth_labels"))
    assert capture.manifest.images == "../render/images" and capture.manifest.labels == "labels"
    camera = capture.cameras("test").names[0]
    assert capture.hidden_image(camera, "upper").shape == (96, 96, 3)


def test_sapiens_labels_by_a_network_that_knows_the_colours(pipeline, tmp_path):
    names = ("Torso", "Hair", "Left_Shoe", "Upper_Clothing", "Lower_Clothing")
    colours = {
        CLASSES.index(name): tuple(colour / 255)
        for name, colour in zip(names, fake_subject.COLOURS, strict=False)
    }
    checkpoint = write_network(tmp_path / "tiny.pt2", colours | {0: (0, 0, 0)})
    out = tmp_path / "segment" / "capture.json"
    run(Segment(pipeline.rendered, out, "sapiens", checkpoint, "cpu", batch_size=4))
    capture = Capture.load(out)
    labels, truth = capture.stack(None, "labels"), capture.stack(None, "truth_labels")
    solid = capture.stack(None, "masks") == 1
    assert (labels == truth)[solid].mean() > 0.9
    assert (labels[capture.stack(None, "masks") == 0] == 0).all()
    assert set(np.unique(capture.stack(None, "class_maps"))) <= {0, *colours}
    assert "checkpoint" in capture.manifest.provenance["inputs"]


def test_a_missing_checkpoint_leaves_nothing_behind(pipeline, tmp_path):
    out = tmp_path / "segment" / "capture.json"
    with pytest.raises(InputError, match=r"resources/sapiens/sapiens_1b.*no such file"):
        run(Segment(pipeline.rendered, out, "sapiens"))
    assert not out.parent.exists()


def test_an_unlabelled_scan(pipeline, tmp_path):
    document = json.loads(pipeline.rendered.read_text())
    del document["truth_labels"]
    unlabelled = pipeline.rendered.with_name("unlabelled.json")
    unlabelled.write_text(json.dumps(document))
    out = tmp_path / "segment" / "capture.json"
    with pytest.raises(InputError, match=r"its scan has no labels\. Segment with provider sapiens"):
        run(Segment(unlabelled, out))
    assert not out.exists()


def test_a_capture_that_was_not_rendered(pipeline, tmp_path):
    with pytest.raises(
        InputError, match="this capture has no cameras yet; run `avatarpipe render`"
    ):
        run(Segment(pipeline.normalized, tmp_path / "segment" / "capture.json"))


def test_it_needs_only_what_its_environment_has():
    """envs/sapiens.yaml has none of these; a step that imports one at its door would fail there."""
    absent = "numba gsplat smplx scipy trimesh igl skimage embreex anny diffusers matplotlib"
    code = (
        f"import sys\nfor name in {absent.split()}: sys.modules[name] = None\n"
        "import avatarpipe.steps.segment"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
