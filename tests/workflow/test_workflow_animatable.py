"""An animatable subject in the workflow: what is planned, on which template, and that steps understand their commands."""

import inspect
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import tyro
from workflow_project import Project, new_project, planned_rules

COLUMNS = ("subject", "dataset", "source", "gender", "frames", "methods")
VERA = ("vera", "synthetic-video", "3", "female", "all", "animatable")
FULL = "results/vera/animatable/full/avatar/avatar.json"


def video_project(folder: Path, **animatable: str) -> Project:
    """The workflow with one tiny subject in motion, and further values of the section `animatable`."""
    project = new_project(folder, "vera synthetic 3 female")
    rows = ("\t".join(row) + "\n" for row in (COLUMNS, VERA))
    (folder / "config/subjects.tsv").write_text("".join(rows))
    values = "".join(f"  {name}: {value}\n" for name, value in animatable.items())
    with (folder / "config/config.yaml").open("a") as config:
        config.write(f"animatable:\n{values}" if values else "")
    return project


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> str:
    """What a dry run says of a whole run, commands included."""
    project = video_project(tmp_path_factory.mktemp("animatable"), novel_frames='"60-90"')
    return project.run("--dry-run", "--printshellcmds")


def commands(plan: str) -> dict[str, list[list[str]]]:
    """Of each module the arguments of every command that the plan runs."""
    found = {}
    for text in re.findall(r"python -m (avatarpipe\.steps\..+?)2>&1", plan, re.S):
        module, *arguments = shlex.split(text.replace("\\\n", " "))
        found.setdefault(module.rpartition(".")[2], []).append(arguments)
    return found


def test_a_video_is_trained_on_twice_measured_and_never_segmented(plan):
    rules = planned_rules(plan)
    assert {"weight_volume", "train_animatable", "evaluate_animatable", "align", "collect"} <= rules
    assert not rules & {"render", "segment", "train_single", "extract_mesh"}
    variants = [
        options[options.index("--variant") + 1] for options in commands(plan)["train_animatable"]
    ]
    assert sorted(variants) == ["full", "skinned"]


def test_every_step_understands_the_command_that_its_rule_gives_it(plan):
    given = commands(plan)
    assert len(given) >= 8
    for name, calls in given.items():
        run = import_module(f"avatarpipe.steps.{name}").run
        (parameter,) = inspect.signature(run, eval_str=True).parameters.values()
        for arguments in calls:
            options = tyro.cli(parameter.annotation, args=arguments)
            if name == "train_animatable":
                assert options.novel_frames == "60-90" and options.template == "body"
                assert options.template_mesh == "" and '"iterations": 20' in options.settings


def test_a_mesh_that_is_not_there_is_named_and_found_by_the_subjects_name(tmp_path):
    project = video_project(tmp_path, template='"templates/{subject}.ply"')
    assert "templates/vera.ply: no such file" in project.run("--dry-run", FULL, succeeds=False)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/vera.ply").touch()
    command = project.run("--dry-run", "--printshellcmds", FULL)
    assert "--template given" in command and "--template-mesh=templates/vera.ply" in command


def test_the_layered_methods_mesh_needs_labels(tmp_path):
    project = video_project(tmp_path, template="layered")
    output = project.run("--dry-run", FULL, succeeds=False)
    assert "vera: synthetic-video has no labels to train layers by" in output
