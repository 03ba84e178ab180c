"""All three stages with guidance: the diffusion model has its say, density counts it, and a resume changes nothing."""

import json

import fake_diffusion
import pytest
import torch
from layered_runs import QUICK, arguments

from avatarpipe.avatar import Avatar
from avatarpipe.errors import InputError
from avatarpipe.methods.layered.guided import skin_tone, stage_guidance
from avatarpipe.methods.layered.settings import stage_settings
from avatarpipe.methods.layered.stages import (
    StageInputs,
    inner_stage,
    outer_stage,
    single_stage,
    stage_avatar,
)
from avatarpipe.steps import extract_mesh, train_layered
from avatarpipe.tables import read_table

STAGES = ("single", "inner", "outer")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return fake_diffusion.write_pipeline(tmp_path_factory.mktemp("diffusion"))


@pytest.fixture(scope="module")
def guided_settings(folders):
    """For moments of training, with guidance by the toy networks every other iteration."""
    return QUICK | {
        "iterations": 16, "checkpoint_every": 8, "densify": {"start": 6, "stop": 12, "every": 6, "max_points": 2500},
        "guidance_weight": 1e-3, "guidance_from": 2, "guidance_every": 2, "guidance_views": 2,
        "guidance_zooms": {"head": {"probability": 0.3}},
        "guidance": folders | {"dtype": "fp32", "timestep_schedule": "annealed"},
    }  # fmt: skip


def run_guided(dressed, root, stage, settings) -> None:
    words = arguments(dressed, root, stage)
    words[words.index("--settings") + 1] = json.dumps(settings)
    train_layered.main(words)


@pytest.fixture(scope="module")
def guided(dressed, guided_settings, tmp_path_factory):
    """The folder of a subject whose stages were all guided."""
    root = tmp_path_factory.mktemp("guided")
    for stage in STAGES:
        run_guided(dressed, root, stage, guided_settings)
        if stage == "single":
            extract_mesh.run(
                extract_mesh.ExtractMesh(
                    root / stage / "avatar" / "avatar.json", dressed.capture,
                    root / stage / "mesh" / "mesh.json", voxel=0.02, size=96,
                )
            )  # fmt: skip
    return root


def test_every_stage_is_guided_and_says_so(guided, folders):
    for stage in STAGES:
        curves = read_table(guided / stage / "curves.parquet", ["step", "name", "value"])
        assert (curves[curves["name"] == "guidance"]["value"] > 0).any(), stage
        made_by = json.loads((guided / stage / "avatar" / "avatar.json").read_text())["provenance"]
        assert made_by["inputs"]["guidance_model"]["path"] == f"{folders['model']}/model_index.json"
        assert json.loads(made_by["config"]["settings"])["guidance"]["controlnet"] == folders["controlnet"]


def started(name, dressed, settings, guided):
    """A stage at its beginning."""
    from avatarpipe.body.model import Body
    from avatarpipe.capture.capture import Capture
    from avatarpipe.mesh.mesh import load_mesh

    inputs = StageInputs(
        Capture.load(dressed.capture), Body(dressed.body), "upper", stage_settings(settings), 3, torch.device("cpu")
    )
    inputs.guidance = stage_guidance(name, inputs)
    if name == "single":
        return single_stage(inputs)
    previous = Avatar.load(guided / ("single" if name == "inner" else "inner") / "avatar")
    previous.body = inputs.body
    make = inner_stage if name == "inner" else outer_stage
    return make(inputs, previous, load_mesh(guided / "single" / "mesh" / "garment.ply"))


@pytest.mark.parametrize("name", STAGES)
def test_a_guided_stage_resumed_from_its_state_ends_bit_identical(name, dressed, guided_settings, guided):
    interrupted, resumed = (started(name, dressed, guided_settings, guided) for _ in range(2))
    for step in range(9):
        interrupted.step(step)
    assert interrupted.guided.total.sum() > 0
    resumed.restore({key: value.clone() for key, value in interrupted.state().items()})
    for step in range(9, 16):
        resumed.step(step)
    resumed.finish()
    ours = stage_avatar(resumed, name, "ann", {}).layers
    theirs = Avatar.load(guided / name / "avatar").layers  # of the job that was never interrupted
    for layer in ours:
        for tensor in ("means", "quats", "scales", "opacities", "colors"):
            assert torch.equal(getattr(ours[layer].cloud, tensor), getattr(theirs[layer].cloud, tensor)), tensor


def test_guidance_sees_what_the_stage_trains(dressed, guided_settings, guided):
    shown = {}
    for name in STAGES:
        stage = started(name, dressed, guided_settings, guided)
        cloud = stage.surfels.cloud()
        term = stage.guidance.loss(stage.guided_layer(cloud), stage.shown_beside(), 3)
        shown[name] = term.rendering.radii.shape[1] - len(cloud)
        assert stage.guidance.stage.prompt == {
            "single": "a photo of a person wearing a shirt",
            "inner": "a photo of a person wearing pants and a white tank top",
            "outer": "a photo of a person wearing a shirt",
        }[name]  # fmt: skip
    inner = Avatar.load(guided / "inner" / "avatar").layers["inner"].cloud
    assert shown == {"single": 0, "inner": 0, "outer": len(inner)}


def test_no_weight_or_no_model_is_no_guidance(dressed, guided_settings, quick_inputs):
    assert stage_guidance("single", quick_inputs) is None
    for off in ({"guidance_weight": 0}, {"guidance": {"model": ""}}):
        settings = stage_settings(guided_settings | off)
        inputs = StageInputs(quick_inputs.capture, quick_inputs.body, "upper", settings, 3, torch.device("cpu"))
        assert stage_guidance("single", inputs) is None


def test_missing_weights_stop_the_step_before_it_trains(dressed, guided_settings, tmp_path, capsys):
    missing = guided_settings["guidance"] | {"controlnet": str(tmp_path / "nothing")}
    with pytest.raises(SystemExit):
        run_guided(dressed, tmp_path, "single", guided_settings | {"guidance": missing})
    said = " ".join(capsys.readouterr().err.split())
    assert "nothing: no such folder" in said and "hf download lllyasviel/sd-controlnet-openpose" in said
    assert not (tmp_path / "single").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"guidance": {"modle": "x"}}, r"settings\.guidance: unknown key modle"),
        ({"guidance": {"dtype": "fp8"}}, r"guidance\.dtype: 'fp8' is not one of bf16, fp16, fp32"),
        ({"guidance": {"timesteps": [0.1]}}, r"timesteps: \[0\.1\] is not a list of 2 numbers"),
        ({"guidance": {"cameras": {"fov": [70, 40]}}}, r"cameras\.fov: \[70, 40\] is no range; the lower end"),
        ({"guidance": {"compiled": 1}}, r"compiled: 1 is not true or false"),
        ({"guidance": "x"}, r"'x' is not a mapping"),
        ({"guidance_prompt": 3}, r"guidance_prompt: 3 is not a text"),
        ({"guidance_zooms": {"hand": {}}}, r"guidance_zooms: unknown key hand\. Known are head, upper, legs"),
    ],
)
def test_wrong_guidance_settings_are_named(values, words):
    with pytest.raises(InputError, match=words):
        stage_settings(values)


def test_the_skin_tone_is_that_of_the_subject(quick_inputs):
    expected = torch.tensor([200.0, 160.0, 140.0]) / 255.0  # the fake subject's skin
    assert (skin_tone(quick_inputs.capture) - expected).abs().max() < 0.08


def test_without_guidance_nothing_changes(dressed, quick_inputs):
    """A stage without guidance keeps its second statistic at nothing."""
    stage = single_stage(quick_inputs)
    for step in range(3):
        assert "guidance" not in stage.step(step)
    assert stage.guided.total.abs().max() == 0
