"""Avatars follow the motions that the configuration names, those of the methods that it names."""

import re

import pandas as pd
import pytest
from workflow_project import ROOT, new_project, planned_rules

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.layout import Layout
from avatarpipe.schemas import read_yaml

SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
MOTIONS = "motions: {walk: procedural:walk, turn: {file: procedural:turn, gender: male}}"
TINAS = "results/tina/layered/drive/walk/drive.json"
SUBJECTS = """subject	dataset	source	gender	frames	methods
tina	synthetic	3	female	0	layered
vic	synthetic-video	7	male	all	animatable
"""


def test_animatable_subjects_follow_by_themselves_and_layered_ones_where_asked(tmp_path):
    """One plan of a whole run and of one motion of a layered subject, which no whole run makes unless told."""
    folder = tmp_path / "project"
    folder.mkdir()
    project = new_project(folder)
    (folder / "config/subjects.tsv").write_text(SUBJECTS)
    drive = "{motions: [turn], camera: orbit, height: 80, ply: true, floor: false}"
    project.edit("config/config.yaml", "\nseed: 0", f"\n{MOTIONS}\ndrive: {drive}\nseed: 0")
    output = project.run("--dry-run", "--printshellcmds", "all", TINAS)
    jobs = [job for job in re.split(r"\n(?=\[)", output) if "\nrule drive:" in job]
    assert len(jobs) == 2 and planned_rules(output) > {"drive", "train_animatable", "train_outer"}
    tina, vic = sorted(jobs, key=lambda job: "subject=vic" in job)
    for job, flags in (
        (tina, ("--avatar results/tina/layered/outer/avatar/avatar.json", "--motion results/motions/walk.npz",
                "--body results/body/SMPLX_FEMALE.npz", "--motion-body results/body/SMPLX_NEUTRAL.npz")),
        (vic, ("--avatar results/vic/animatable/full/avatar/avatar.json", "--motion results/motions/turn.npz",
               "--capture results/vic/normalize/capture.json", "--motion-body results/body/SMPLX_MALE.npz")),
        *((job, ("--camera orbit", "--height 80 ", "--no-floor --no-repair --ply", "--width None", "--expression none"))
          for job in jobs),
    ):  # fmt: skip
        for flag in flags:
            assert flag in job.replace("=", " "), flag


def test_what_follows_what():
    rows = pd.DataFrame(
        {"subject": ["tina", "vic"], "methods": ["layered", "animatable"]}
    ).set_index("subject")
    config = {"drive": {"motions": ["a", "b"], "methods": ["layered", "animatable"]}}
    assert Layout(config, rows).driven() == [
        f"results/{subject}/drive/{motion}/drive.json"
        for subject in ("tina/layered", "vic/animatable") for motion in "ab"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("drive", "says"),
    [
        ({"motions": ["walk"]}, r"drive\.motions: 'walk' is no name of `motions`, which has none"),
        ({"camera": "side"}, r"drive\.camera: 'side' does not match"),
        ({"smooth": 4}, r"drive\.smooth: 4 should not be valid"),
        ({"methods": ["none"]}, r"drive\.methods\.0: 'none' is not one of"),
        ({"hieght": 3}, r"drive: unknown key 'hieght'; did you mean 'height'"),
    ],
)
def test_what_cannot_be_driven_is_named_before_anything_runs(drive, says):
    with pytest.raises(InputError, match=says):
        resolve_config({"drive": drive}, ROOT / "config/presets", read_yaml(SCHEMA))


def test_the_configuration_that_comes_with_it_drives():
    config = resolve_config(
        read_yaml(ROOT / "config/config.yaml"), ROOT / "config/presets", read_yaml(SCHEMA)
    )
    assert config["drive"]["motions"] == ["dance"] and config["drive"]["methods"] == ["animatable"]
    assert config["motions"]["dance"]["file"] == "procedural:dance"
