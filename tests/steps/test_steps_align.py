import json

import pytest

from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.steps.align import Align, run
from avatarpipe.synthetic.mistakes import hand_mean, opengl, write_mistaken
from avatarpipe.tables import read_table


def options(capture, pipeline, folder, **changes) -> Align:
    return Align(capture, pipeline.body, folder / "align" / "alignment.json", images=6, **changes)


def test_a_rendered_scan_is_aligned(pipeline, tmp_path):
    chosen = options(pipeline.rendered, pipeline, tmp_path)
    run(chosen)
    document = json.loads(chosen.out.read_text())
    assert document["aligned"] and document["cause"] is None and document["images"] == 6
    assert document["median"]["outside"] < 0.02 and document["provenance"]["inputs"].keys() == {"capture", "body"}
    table = read_table(chosen.out.parent / "alignment.parquet", ["frame", "camera", "agreement"])
    assert len(table) == 6
    assert (chosen.out.parent / "overlays.png").stat().st_size > 20_000
    assert not (chosen.out.parent / "failed").exists()


def test_a_wrong_one_is_refused_with_its_cause_and_leaves_a_picture(pipeline, tmp_path):
    capture, body = Capture.load(pipeline.rendered), Body(pipeline.body)
    wrong = options(write_mistaken(capture, body, opengl, tmp_path / "wrong"), pipeline, tmp_path)
    with pytest.raises(InputError, match=r"camera axes: .*OpenGL.*See .*failed/overlays\.png"):
        run(wrong)
    failed = wrong.out.parent / "failed"
    assert not wrong.out.exists() and (failed / "overlays.png").is_file()
    assert json.loads((failed / "alignment.json").read_text())["cause"] == "camera axes"
    assert len(read_table(failed / "alignment.parquet")) == 6
    run(options(pipeline.rendered, pipeline, tmp_path))
    assert wrong.out.is_file() and not failed.exists(), "a capture put right takes its traces away"


def test_hands_too_small_to_tell_do_not_cry_wolf(pipeline, tmp_path):
    """96 pixels: fingers are a pixel or two wide."""
    capture, body = Capture.load(pipeline.rendered), Body(pipeline.body)
    run(options(write_mistaken(capture, body, hand_mean(1), tmp_path / "wrong"), pipeline, tmp_path))


@pytest.mark.parametrize("text", ["{", "[]", '{"outsid": 1}'])
def test_bad_tolerance(pipeline, tmp_path, text):
    with pytest.raises(InputError, match="--tolerance"):
        run(options(pipeline.rendered, pipeline, tmp_path, tolerance=text))
    assert not (tmp_path / "align").exists()


def test_a_capture_without_images(pipeline, tmp_path):
    with pytest.raises(InputError, match="no cameras yet; run `avatarpipe render`"):
        run(options(pipeline.normalized, pipeline, tmp_path))


def test_the_schema_offers_exactly_what_the_check_reads():
    from dataclasses import fields
    from pathlib import Path

    from avatarpipe.capture.alignment_causes import Tolerance
    from avatarpipe.schemas import read_yaml

    schema = read_yaml(Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml")
    offered = schema["properties"]["align"]["properties"]["tolerance"]["properties"]
    assert {field.name: f"({field.default:g})" for field in fields(Tolerance)} == {
        name: "(" + part["description"].rpartition("(")[2] for name, part in offered.items()
    }
