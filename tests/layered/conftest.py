"""The fake subject as a rendered and segmented capture, and the layered stages trained on it for moments."""

from types import SimpleNamespace

import fake_subject
import pytest
import torch
from layered_runs import QUICK, run_stage

from avatarpipe.capture.capture import Capture
from avatarpipe.methods.layered.settings import stage_settings
from avatarpipe.methods.layered.stages import StageInputs
from avatarpipe.steps import convert, extract_mesh, normalize, render, segment


@pytest.fixture(scope="session")
def dressed(fake_body, fake_body_file, tmp_path_factory):
    """Paths of the dressed fake subject: body and the segmented capture, 64 pixels, 12 training and 3 test views."""
    raw, results = tmp_path_factory.mktemp("dressed_raw"), tmp_path_factory.mktemp("dressed")
    fake_subject.write_raw(raw, fake_body, fake_subject.raw_fit(), thickness=0.02)
    steps = {name: results / name / "capture.json" for name in ("convert", "normalize", "render", "segment")}
    convert.run(
        convert.Convert(
            "4d-dress", raw, "00001/Inner/Take1", "ann", "neutral", fake_body_file, steps["convert"], "11"
        )
    )
    normalize.run(normalize.Normalize(steps["convert"], fake_body_file, steps["normalize"]))
    render.run(render.Render(steps["normalize"], steps["render"], size=64, train_views=12, test_views=3))
    segment.run(segment.Segment(steps["render"], steps["segment"]))
    return SimpleNamespace(body=fake_body_file, capture=steps["segment"])


@pytest.fixture(scope="session")
def quick_inputs(dressed, fake_body) -> StageInputs:
    """What a stage is given, with settings for moments of training."""
    return StageInputs(
        Capture.load(dressed.capture), fake_body, "upper", stage_settings(QUICK), 3, torch.device("cpu")
    )


@pytest.fixture(scope="session")
def trained(dressed, tmp_path_factory):
    """The folder of a subject whose three stages and coarse meshes are done. Read only."""
    root = tmp_path_factory.mktemp("layered")
    for stage in ("single", "inner", "outer"):
        run_stage(dressed, root, stage)
        if stage != "inner":
            extract_mesh.run(
                extract_mesh.ExtractMesh(
                    root / stage / "avatar" / "avatar.json", dressed.capture,
                    root / stage / "mesh" / "mesh.json", voxel=0.02, size=96,
                )
            )  # fmt: skip
    return root
