"""The real workflow with hostile values wherever the configuration takes a text: its commands, run in a real shell."""

import re
import subprocess

import pytest
import yaml
from workflow_project import ROOT, new_project

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.schemas import read_yaml

TEXT = "it's $(touch owned) `touch owned` \"; touch owned; & | > owned {subject} {wildcards} {config[seed]} %s \\ * ~"
NAME = TEXT.replace("{", "(").replace("}", ")")  # paths may not hold braces
COMMAND = re.compile(r"^Shell command: \n(.*?)\n +\n", re.M | re.S)
STUB = """
take_gpu() { :; }
on_gpus() { "${@:2}"; }
tee() { command cat > /dev/null; }
python() { printf '%s\\0' "$@" >> argv; printf '\\1\\0' >> argv; }
"""
TARGETS = (
    "all",
    "results/tina/export/nerfstudio/export.json",
    "results/vic/animatable/full/avatar/avatar.json",
)


def hostile_folder(project, name: str, *files: str) -> str:
    """A folder of a hostile name with empty files in it, as the configuration names it."""
    for file in files:
        path = project.folder / name / NAME / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return f"{name}/{NAME}"


def hostile_config(project) -> dict:
    """Every text of the configuration that no schema bounds, hostile."""
    scan = ("THuman2.0_Release/0525/0525.obj", "THuman2.0_Smpl_X_Paras/0525/smplx_param.pkl")
    bodies = [f"SMPLX_{gender}.npz" for gender in ("FEMALE", "MALE", "NEUTRAL")]
    rewarded = ("ImageReward.pt", "med_config.json", "vocab.txt")
    clip = ("config.json", "vocab.json", "merges.txt", "model.safetensors")
    return {
        "bodies": hostile_folder(project, "bodies", *bodies),
        "datasets": {"thuman2.0": {"root": hostile_folder(project, "scans", *scan)}},
        "segmentation": {"provider": "sapiens", "checkpoint": hostile_folder(project, "nets", "net.pt2") + "/net.pt2"},
        "layered": {
            "guidance": {"model": hostile_folder(project, "prior", "prior.json")},
            "inner": {"guidance_weight": 1.0, "guidance_prompt": TEXT, "guidance_negative": TEXT},
        },
        "scoring": {
            "enabled": True, "prompt": f"{TEXT}\ntouch owned",
            "image_reward": hostile_folder(project, "rewards", *rewarded), "clip": hostile_folder(project, "clip", *clip),
        },
        "motions": {"walk": hostile_folder(project, "motions", "walk.npz") + "/walk.npz"},
        "export": {"frames": TEXT},
        "drive": {"motions": ["walk"], "camera": f"capture:{TEXT}", "background": TEXT},
        "animatable": {
            "weights": {"interpolant": TEXT}, "novel_frames": TEXT,
            "template": hostile_folder(project, "meshes", "template.ply") + "/template.ply",
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> tuple:
    """(project, the shell command of every job that a run with the hostile configuration would start)."""
    project = new_project(
        tmp_path_factory.mktemp("hostile"), "tina synthetic 3 female", "dora thuman2.0 0525 male"
    )
    table = project.folder / "config/subjects.tsv"
    head, *rows = table.read_text().splitlines()
    rows = [f"{row}\t0\tlayered" for row in rows] + [
        "vic\tsynthetic-video\t7\tmale\tall\tanimatable"
    ]
    table.write_text("\n".join([f"{head}\tframes\tmethods", *rows]) + "\n")
    (project.folder / "hostile.yaml").write_text(yaml.safe_dump(hostile_config(project)))
    output = project.run(
        "--dry-run", "--printshellcmds", "--configfile", "hostile.yaml", "--", *TARGETS
    )
    return project, COMMAND.findall(output)


def run_in_shell(project, commands: list[str]) -> list[list[str]]:
    """The arguments that each command gives to Python, by a shell in which Python only writes them down."""
    (project.folder / "commands.sh").write_text(STUB + "\n".join(commands))
    subprocess.run(
        ["bash", "commands.sh"], cwd=project.folder, check=False, capture_output=True, timeout=60
    )
    words = (project.folder / "argv").read_text().split("\0")
    calls, call = [], []
    for word in words[:-1]:
        if word == "\1":
            calls.append(call)
            call = []
        else:
            call.append(word)
    return calls


def test_hostile_values_arrive_whole_and_run_nothing(commands):
    project, found = commands
    assert {re.search(r"avatarpipe\.steps\.(\w+)", command)[1] for command in found} >= {
        "convert", "convert_motion", "train_layered", "score", "segment", "export_capture", "train_animatable", "weight_volume",
    }  # fmt: skip
    calls = run_in_shell(project, found)
    assert len(calls) == len(found) > 25
    assert not list(project.folder.rglob("owned"))
    escaped = TEXT.replace("\\", "\\\\").replace('"', '\\"')  # inside of JSON
    for call in calls:
        for word in call:
            assert "owned" not in word or any(text in word for text in (TEXT, NAME, escaped)), word
        assert call[:2] == ["-m", call[1]] and call[1].startswith("avatarpipe.steps.")


def test_each_kind_of_hostile_value_was_there(commands):
    words = {word for call in run_in_shell(*commands) for word in call}
    assert f"--prompt={TEXT}\ntouch owned" in words
    assert f"--root=scans/{NAME}" in words and f"--motion=motions/{NAME}/walk.npz" in words
    assert TEXT in words and f"--interpolant={TEXT}" in words and f"--novel-frames={TEXT}" in words
    assert any(
        word.startswith("{") and "guidance_prompt" in word and "{subject}" in word for word in words
    )


SCHEMA = read_yaml(ROOT / "workflow/schemas/config.schema.yaml")


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"bodies": "res/{subject}"}, "bodies"),
        ({"datasets": {"thuman2.0": {"root": "a{b"}}}, "datasets.thuman2.0.root"),
        ({"motions": {"walk": "m/{x}.npz"}}, "motions.walk"),
        ({"motions": {"walk": {"file": "m\n.npz"}}}, "motions.walk.file"),
        ({"scoring": {"clip": "{input}"}}, "scoring.clip"),
        ({"layered": {"guidance": {"model": "x}"}}}, "layered.guidance.model"),
    ],
)
def test_paths_that_would_be_read_as_wildcards_are_refused(given, key):
    with pytest.raises(InputError, match=rf"config, {re.escape(key)}: .*braces"):
        resolve_config(given, ROOT / "config/presets", SCHEMA)


@pytest.mark.parametrize(
    "name",
    [
        "../../evil",
        "a/b",
        "$(touch owned)",
        "walk\n",
        "a b",
        "",
        ".hidden",
        "-rf",
        "{motion}",
        "x" * 65,
        "walk\0",
    ],
)
def test_hostile_names_of_motions_are_refused(name):
    with pytest.raises(InputError, match="motions"):
        resolve_config({"motions": {name: "procedural:walk"}}, ROOT / "config/presets", SCHEMA)
