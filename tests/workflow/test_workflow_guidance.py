"""Guidance in the workflow: weights are inputs of the stages that use them, and missing ones stop it before any job."""

import json
from pathlib import Path

import pytest

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.layout import Layout
from avatarpipe.schemas import read_yaml
from avatarpipe.weight_files import guidance_manifests, weights_folder

ROOT = Path(__file__).parents[2]
SCHEMA = read_yaml(ROOT / "workflow/schemas/config.schema.yaml")
WEIGHTED = {"guidance_weight": 1e-5}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, tmp_path):
    """An empty Hugging Face cache, whatever this machine has."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def layout(**layered) -> Layout:
    given = {"preset": "tiny", "layered": layered}
    return Layout(resolve_config(given, ROOT / "config/presets", SCHEMA), {})


@pytest.fixture
def folders(tmp_path) -> dict[str, str]:
    for name, manifest in {"sd": "model_index.json", "openpose": "config.json", "taesd": "config.json"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / manifest).write_text("{}")
    return {"model": f"{tmp_path}/sd", "controlnet": f"{tmp_path}/openpose", "vae": f"{tmp_path}/taesd"}


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "config/presets").glob("*.yaml")))
def test_no_preset_asks_for_a_model(preset):
    config = resolve_config({"preset": preset}, ROOT / "config/presets", SCHEMA)
    plain = Layout(config, {})
    for stage in ("single", "inner", "outer"):
        assert not plain.is_guided(stage) and plain.guidance_weights(stage) == []
        assert "guidance" not in json.loads(plain.stage_settings(stage))


def test_weights_are_inputs_of_the_stages_that_use_them_and_of_no_other(folders, tmp_path):
    found = layout(guidance=folders, inner=WEIGHTED)
    assert found.guidance_weights("single") == [] and found.guidance_weights("outer") == []
    names = ("sd/model_index.json", "openpose/config.json", "taesd/config.json")
    assert found.guidance_weights("inner") == [tmp_path / name for name in names]
    assert json.loads(found.stage_settings("inner"))["guidance"]["controlnet"] == folders["controlnet"]
    assert "guidance" not in json.loads(found.stage_settings("single"))


def test_a_model_of_its_own_vae_has_one_input_less(folders, tmp_path):
    assert set(guidance_manifests(folders | {"vae": ""})) == {"model", "controlnet"}


def test_a_prior_of_our_own_is_its_manifest_and_may_be_made_later(tmp_path):
    found = layout(guidance={"model": "results/prior"}, inner=WEIGHTED)
    assert found.guidance_weights("inner") == [Path("results/prior/prior.json")]
    (tmp_path / "prior.json").write_text("{}")
    found = layout(guidance={"model": str(tmp_path)}, outer=WEIGHTED)
    assert found.guidance_weights("outer") == [tmp_path / "prior.json"]


def test_missing_weights_are_one_error_that_says_how_to_get_them(folders):
    missing = layout(guidance=folders | {"controlnet": "resources/none"}, single=WEIGHTED)
    with pytest.raises(InputError, match=r"resources/none: no such folder.*hf download lllyasviel/sd-controlnet-openpose"):
        missing.guidance_weights("single")
    with pytest.raises(InputError, match=r"stable-diffusion-v1-5/stable-diffusion-v1-5: no such folder, nor a repository"):
        weights_folder("stable-diffusion-v1-5/stable-diffusion-v1-5", "model")
    Path(folders["model"], "model_index.json").unlink()
    with pytest.raises(InputError, match=r"sd/model_index\.json: no such file.*hf download"):
        guidance_manifests(folders)


def test_a_cached_repository_is_found_by_its_id(tmp_path):
    """In the layout of the hub's cache: a reference names the commit whose snapshot holds the files."""
    repository = tmp_path / "cache" / "models--madebyollin--taesd"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    assert weights_folder("madebyollin/taesd", "vae") == snapshot


def test_the_rules_take_the_weights_of_their_stage():
    text = (ROOT / "rules/train_layered.smk").read_text()
    for stage in ("single", "inner", "outer"):
        rule = text.split(f"rule train_{stage}:")[1].split("rule train_")[0]
        assert f'weights=guidance_weights("{stage}"),' in rule
