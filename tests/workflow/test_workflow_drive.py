"""Avatars follow the motions that the configuration names, those of the methods that it names."""

import re
import shlex

import pytest
import tyro
from workflow_project import ROOT, new_project, planned_rules

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.layout import Layout
from avatarpipe.schemas import read_yaml
from avatarpipe.steps.drive import Drive

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
    drive = "{motions: [turn], camera: orbit, height: 80, ply: true, floor: false, background: '#203040'}"
    project.edit("config/config.yaml", "\nseed: 0", f"\n{MOTIONS}\ndrive: {drive}\nseed: 0")
    output = project.run("--dry-run", "--printshellcmds", "all", TINAS)
    assert planned_rules(output) > {"drive", "train_animatable", "train_outer"}
    commands = re.findall(r"avatarpipe\.steps\.drive (.*?) 2>&1", output, re.S)
    options = [tyro.cli(Drive, args=shlex.split(command)) for command in commands]
    tina, vic = sorted(options, key=lambda each: "vic" in str(each.out))
    assert str(tina.avatar) == "results/tina/layered/outer/avatar/avatar.json"
    assert str(tina.motion) == "results/motions/walk.npz"
    assert str(tina.body) == "results/body/SMPLX_FEMALE.npz"
    assert str(tina.motion_body) == "results/body/SMPLX_NEUTRAL.npz"
    assert str(vic.avatar) == "results/vic/animatable/full/avatar/avatar.json"
    assert str(vic.motion) == "results/motions/turn.npz"
    assert str(vic.capture) == "results/vic/normalize/capture.json"
    assert str(vic.motion_body) == "results/body/SMPLX_MALE.npz"
    for each in (tina, vic):
        assert (each.camera, each.height, each.width, each.fps) == ("orbit", 80, None, 5)
        assert (each.floor, each.repair, each.ply) == (False, False, True)
        assert (each.background, each.expression, each.projection) == ("#203040", "none", "auto")


def test_what_follows_what():
    rows = {"tina": {"methods": "layered"}, "vic": {"methods": "animatable"}}
    config = {"drive": {"motions": ["a", "b"], "methods": ["layered", "animatable"]}}
    assert Layout(config, rows).driven() == [
        f"results/{subject}/drive/{motion}/drive.json"
        for subject in ("tina/layered", "vic/animatable") for motion in "ab"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("drive", "says"),
    [
        ({"motions": ["walk"]}, r"drive\.motions: 'walk' is no name of `motions`, which has none"),
        ({"camera": "side"}, r"drive\.camera: 'side' does not fit\. Expected: front, orbit"),
        ({"smooth": 4}, r"drive\.smooth: 4 does not fit\. Expected: .*odd number"),
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
