"""Scoring in the workflow: off unless asked for; then its networks are inputs, its prompt fits, its table is collected."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_scorers
from PIL import Image
from workflow_project import ROOT, new_project

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.layout import Layout
from avatarpipe.schemas import read_yaml
from avatarpipe.tables import read_table

SCHEMA = read_yaml(ROOT / "workflow/schemas/config.schema.yaml")
FILES = {
    "imagereward": ("ImageReward.pt", "med_config.json", "vocab.txt"),
    "clip": ("config.json", "model.safetensors", "vocab.json", "merges.txt"),
}


def layout(**scoring) -> Layout:
    rows = (("a", "female", "layered"), ("b", "male", "layered"), ("c", "neutral", "none"))
    table = {name: {"gender": gender, "methods": methods, "dataset": "synthetic"} for name, gender, methods in rows}
    config = resolve_config({"preset": "tiny", "scoring": scoring}, ROOT / "config/presets", SCHEMA)
    return Layout(config, table)


def write_networks(root: Path) -> list[Path]:
    files = [root / folder / name for folder, names in FILES.items() for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return files


def test_only_where_it_is_asked_for_are_scores_collected_and_timed():
    scores = ["results/a/layered/score/metrics.parquet", "results/b/layered/score/metrics.parquet"]
    assert not set(scores) & set(layout().metrics())
    assert layout(enabled=True).metrics() == layout().metrics() + scores
    assert set(layout(enabled=True).timed_jobs()) - set(layout().timed_jobs()) == {
        "a/draw_inner", "a/score", "b/draw_inner", "b/score",
    }  # fmt: skip


def test_the_prompt_names_the_gender():
    words = [layout().score_prompt(subject) for subject in "abc"]
    assert [text.split()[:3] for text in words] == [
        ["a", noun, "wearing"] for noun in ("woman", "man", "person")
    ]
    assert layout(prompt="one {person}, that {person}").score_prompt("a") == "one woman, that woman"


def test_networks_are_inputs_and_missing_ones_are_named(tmp_path):
    folders = {"image_reward": str(tmp_path / "imagereward"), "clip": str(tmp_path / "clip")}
    with pytest.raises(
        InputError, match=r"ImageReward\.pt: no such file\. .*Nothing is downloaded"
    ):
        layout(**folders).score_weights()
    with pytest.raises(InputError, match="both empty"):
        layout(image_reward="", clip="").score_weights()
    files = write_networks(tmp_path)
    assert sorted(layout(**folders).score_weights()) == sorted(files)
    assert (
        layout(**folders | {"image_reward": ""}).score_weights()
        == layout(**folders).score_weights()[3:]
    )
    files[4].rename(files[4].with_name("pytorch_model.bin"))
    assert files[4].with_name("pytorch_model.bin") in layout(**folders).score_weights()


def test_it_runs_in_its_own_environment_on_words_as_they_are_written(tmp_path):
    project = new_project(tmp_path, "ann synthetic 1 female")
    base = project.planned()
    project.edit(
        "config/config.yaml",
        "seed: 0",
        'seed: 0\nscoring: {enabled: true, prompt: "a {person}\'s $(body)"}',
    )
    assert "ImageReward.pt: no such file" in project.run("--dry-run", succeeds=False)
    write_networks(tmp_path / "resources")
    output = project.run("--dry-run", "--printshellcmds")
    assert project.planned() == base | {"draw_inner", "score"}
    assert """--prompt='a woman'"'"'s $(body)'""" in output
    rules = (ROOT / "rules/score.smk").read_text()
    assert (
        rules.index("draw_inner") < rules.index("envs/avatarpipe.yaml") < rules.index("rule score:")
    )
    assert rules.index("envs/imagereward.yaml") > rules.index("rule score:")


@pytest.mark.slow
def test_the_step_works_in_the_environment_that_is_built_for_it(tmp_path):
    """Built as `--sdm conda` builds it; what it computes there is what it computes here."""
    reward, clip = tmp_path / "reward", tmp_path / "clip"
    tiny_scorers.write_image_reward(reward)
    tiny_scorers.write_clip(clip)
    Image.effect_noise((48, 48), 90).save(tmp_path / "a.png")
    document = {"subject": "s", "stage": "inner", "split": "test", "layer": "inner"}
    (tmp_path / "pictures.json").write_text(
        json.dumps(document | {"pictures": [{"camera": "a", "file": "a.png"}]})
    )

    conda, spec = ROOT / "workflow/conda-uv/bin/conda", ROOT / "envs/imagereward.yaml"
    run(sys.executable, conda, "env", "create", "--file", spec, "--prefix", tmp_path / "env")
    absent = "import importlib.util as u; print([n for n in ('gsplat', 'smplx', 'cv2', 'scipy') if u.find_spec(n)])"
    assert run(tmp_path / "env/bin/python", "-c", absent).strip() == "[]"
    values = []
    for python in (tmp_path / "env/bin/python", sys.executable):
        run(
            python, "-m", "avatarpipe.steps.score", "--pictures", tmp_path / "pictures.json", "--prompt", "a man",
            "--image-reward", reward, "--clip", clip, "--out", tmp_path / "metrics.parquet", "--device", "cpu",
        )  # fmt: skip
        values.append(read_table(tmp_path / "metrics.parquet")["value"].tolist())
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def run(*command) -> str:
    """What the command prints; run with the package on the path, as jobs are."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=1200,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
