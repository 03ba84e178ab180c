"""Motions of the configuration: made on the way to everything else, or stopped before anything runs."""

import pytest
from workflow_project import ROOT, planned_rules

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.schemas import read_yaml


def with_motions(project, text: str):
    project.edit("config/config.yaml", "\nseed: 0", f"\nmotions: {text}\nseed: 0")
    return project


def test_a_motion_made_here_needs_a_body_and_nothing_else(project):
    with_motions(project, "{walk: procedural:walk}")
    output = project.run("--dry-run", "--printshellcmds", "results/motions/walk.json")
    assert planned_rules(output) == {"body", "convert_motion"}
    assert "--motion=procedural:walk" in output and "--shape mean" in output


def test_how_a_file_is_read_reaches_the_command(project):
    (project.folder / "x.npy").touch()
    with_motions(project, "{x: {file: x.npy, up: '-y', fps: 25, frames: '10:', gender: male}}")
    output = project.run("--dry-run", "--printshellcmds", "results/motions/x.json")
    assert "--up=-y" in output and "--fps 25" in output and "--frames 10:" in output
    assert "SMPLX_MALE.npz" in output


def test_bad_motions_stop_before_anything_runs(project):
    with_motions(project, "{x: {file: gone.npy}}")
    output = project.run("--dry-run", succeeds=False)
    assert "gone.npy: no such file. `motions.x` in config.yaml names it" in output


@pytest.mark.parametrize(
    ("motions", "says"),
    [
        (
            {"x": {"file": "a", "frmes": ":3"}},
            r"motions\.x: unknown key 'frmes'; did you mean 'frames'\?",
        ),
        ({"x": {"format": "amass"}}, r"motions\.x: 'file' is a required property"),
        ({"x": {"file": "a", "up": "x"}}, r"motions\.x\.up: 'x' is not one of"),
        ({"x": "procedural:danse"}, r"motions\.x: 'procedural:danse' does not fit\. .* walk, dance"),
        ({"x": {"file": "procedural:danse"}}, r"motions\.x\.file: 'procedural:danse' does not fit\. .* walk, dance"),
        ({"x": 3}, r"motions\.x: 3 is not text or a group of keys"),
        ({"../x": "procedural:walk"}, r"motions: '\.\./x' does not fit\. Expected: letters"),
        ("procedural:walk", r"motions: 'procedural:walk' is not a group of keys"),
    ],
)
def test_a_bad_section_is_named(motions, says):
    schema = read_yaml(ROOT / "workflow/schemas/config.schema.yaml")
    with pytest.raises(InputError, match=says):
        resolve_config({"motions": motions}, ROOT / "config/presets", schema)
