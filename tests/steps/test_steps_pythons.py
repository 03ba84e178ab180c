"""Chains whose steps ran in two environments: what is noted of each, and with which Python each runs again.

Both environments find this one's packages behind their own, which are the metadata of another tyro: enough to tell them apart
by what their steps needed, and quick to build.
"""

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from in_process import run_command

from avatarpipe import environments
from avatarpipe.environments import (
    environment_note,
    environment_of,
    named_environment,
    noted_environments,
    own,
)
from avatarpipe.errors import InputError
from avatarpipe.evaluation.rows import tidy
from avatarpipe.files import file_sha256
from avatarpipe.provenance_files import read_provenance
from avatarpipe.tables import write_table

ROOT = Path(__file__).parents[2]
HERE = Path(pd.__file__).parents[1]
FIRST, SECOND = "results/first/provenance.json", "results/second/provenance.json"


def distribution(prefix: Path, name: str, version: str) -> Path:
    """The metadata of a package, as pip leaves it."""
    (site,) = prefix.glob("lib/python3*/site-packages")
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "top_level.txt").write_text(f"{name}\n")
    return folder


def build(prefix: Path, spec: str, tyro: str) -> Path:
    """An environment with its file beside it, as Snakemake leaves them; returns its Python."""
    venv.create(prefix, with_pip=False, symlinks=True)
    Path(f"{prefix}.yaml").write_text(spec)
    (site,) = prefix.glob("lib/python3*/site-packages")
    (site / "here.pth").write_text(f"import sys; {'pass; ' * 60}pass\n{HERE}\n")
    distribution(prefix, "tyro", tyro)
    return prefix / "bin/python"


@dataclass(frozen=True)
class Two:
    """A project whose results were made in two environments, one after the other."""

    folder: Path

    @property
    def envs(self) -> Path:
        return self.folder / ".snakemake/conda"

    def collect(self, python: Path, source: str, out: str) -> None:
        command = [python, "-m", "avatarpipe.steps.collect", "--metrics", source, "--out", out]
        variables = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=self.folder, env=variables, check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Two:
    """Read only."""
    two = Two(tmp_path_factory.mktemp("two"))
    rows = [{"camera": name, "metric": "psnr", "value": 30.0, "unit": "dB"} for name in "ab"]
    shared = {"subject": "ann", "method": "layered", "stage": "outer", "split": "test"}
    write_table(tidy(rows, **shared), two.folder / "raw.parquet")
    ant = build(two.envs / "ant_", (ROOT / "envs/sapiens.yaml").read_text(), "9.1")
    bee = build(two.envs / "bee_", "dependencies: [pip]\n", "9.2+label")
    two.collect(ant, "raw.parquet", "results/first/metrics.parquet")
    two.collect(bee, "results/first/metrics.parquet", "results/second/metrics.parquet")
    return two


@pytest.fixture
def project(made, tmp_path, monkeypatch) -> Two:
    """A copy under another name, so that every path from outside is another one."""
    subprocess.run(["cp", "-a", made.folder, tmp_path / "moved"], check=True)
    monkeypatch.chdir(tmp_path / "moved")
    return Two(tmp_path / "moved")


@pytest.fixture
def avatarpipe(capsys, caplog):
    """(*args) -> (exit status, what was printed and said) of `avatarpipe ARGS`, which remembers nothing of an earlier one."""

    def run(*args: str) -> tuple[int, str]:
        for remembered in (environments._version, environments._built_of):
            remembered.cache_clear()
        done = run_command(args, capsys, caplog)
        return done.status, done.printed + done.said

    return run


def made_with(document: Path) -> Path:
    """The interpreter that a provenance file names."""
    note = json.loads(document.read_text())["run"]["environment"]["interpreter"]
    return Path(os.path.abspath(document.parent / note))


def test_a_step_notes_its_environment_in_its_run_alone(made):
    found = json.loads((made.folder / FIRST).read_text())
    assert found["run"]["environment"] == {
        "interpreter": "../../.snakemake/conda/ant_/bin/python",
        "file": "envs/sapiens.yaml",
        "sha256": file_sha256(ROOT / "envs/sapiens.yaml"),
    }
    assert found["packages"]["tyro"] == "9.1"
    assert set(found["needs"]) >= {"tyro", "pandas"} and set(found["needs"]) < set(
        found["packages"]
    )
    assert str(made.folder) not in json.dumps(found)
    other = json.loads((made.folder / SECOND).read_text())
    assert other["run"]["environment"]["file"] == "bee_.yaml"


def test_an_interpreter_elsewhere_is_noted_as_it_is(tmp_path):
    note = environment_note(tmp_path, tmp_path / "results")
    assert note["interpreter"] == sys.executable
    assert list(noted_environments(note, tmp_path, tmp_path / "results")) == [own()]


def test_each_step_runs_again_in_its_own_environment(project, avatarpipe):
    status, said = avatarpipe("rerun", SECOND, "--into", "again")
    assert status == 0, said
    assert "18 of 18 outputs are the same bytes" in said and "not as it was" not in said
    for name, env in ((FIRST, "ant_"), (SECOND, "bee_")):
        assert made_with(project.folder / "again" / name) == project.envs / env / "bin/python"
        assert f"by {project.envs / env}/bin/python" in said


def test_verify_asks_the_environment_of_each_step(project, avatarpipe):
    status, said = avatarpipe("verify", "results")
    assert status == 0 and "tyro" not in said and "2 of 2 steps hold" in said
    changed = project.envs / "ant_/lib"
    next(changed.rglob("tyro-*")).rename(project.folder / "tyro")
    distribution(project.envs / "ant_", "tyro", "9.3")
    status, said = avatarpipe("verify", "results")
    assert status == 0 and f"1 of 2 steps: tyro 9.1, now in {project.envs}/ant_ 9.3" in said
    (project.envs / "ant_").rename(project.folder / "gone")
    status, said = avatarpipe("verify", "results")
    assert f"1 of 2 steps: tyro 9.1, here {own().version('tyro')}" in said


def test_without_an_environment_nothing_runs_and_two_ways_out_are_told(project, avatarpipe):
    (project.envs / "ant_").rename(project.folder / "gone")
    status, said = avatarpipe("rerun", SECOND, "--into", "again")
    assert status == 2 and not (project.folder / "again").exists()
    assert f"this Python lacks tyro 9.1 (here {own().version('tyro')})" in said
    assert "of envs/sapiens.yaml as it was: `snakemake --sdm conda" in said
    assert "--python collect=PATH" in said
    (project.envs / "bee_").rename(project.folder / "gone too")
    (project.envs / "bee_.yaml").unlink()
    path = project.folder / SECOND
    document = json.loads(path.read_text())
    del document["run"]["environment"]
    path.write_text(json.dumps(document))
    assert "`pip install tyro==9.2`" in avatarpipe("rerun", SECOND, "--into", "again")[1]


def test_an_environment_that_came_with_results_is_started_only_when_it_is_named(
    project, avatarpipe, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    plan = ("rerun", str(project.folder / FIRST), "--into", "again", "--plan")
    status, said = avatarpipe(*plan)
    assert status == 2 and "gone, has changed or was not built here" in said
    ant = project.envs / "ant_"
    status, said = avatarpipe(*plan, "--python", f"collect={ant}")
    assert status == 0 and f"by {ant}/bin/python" in said
    monkeypatch.setenv("SNAKEMAKE_CONDA_PREFIX", str(project.envs))
    status, said = avatarpipe(*plan)
    assert status == 0 and f"by {ant}/bin/python" in said


def test_what_was_built_since_of_the_same_file_is_taken(project, avatarpipe):
    (project.envs / "ant_").rename(project.folder / "gone")
    (project.envs / "ant_.yaml").unlink()
    built = build(project.envs / "new_", (ROOT / "envs/sapiens.yaml").read_text(), "9.1")
    status, said = avatarpipe("rerun", SECOND, "--into", "again", "--plan")
    assert status == 0 and f"by {built}" in said and f"by {project.envs}/bee_/bin/python" in said


def test_a_python_that_is_named_is_taken_whatever_it_has(project, avatarpipe):
    (project.envs / "ant_").rename(project.folder / "gone")
    plan = ("rerun", SECOND, "--into", "again", "--plan")
    status, said = avatarpipe(*plan, "--python", f"collect={sys.executable}")
    here = own().version("tyro")
    assert status == 0 and f"not as it was: tyro 9.1, here {here}" in said
    status, said = avatarpipe(*plan, "--python", str(project.folder / "gone"))
    assert status == 0 and said.count(f"by {project.folder}/gone/bin/python") == 2
    assert f"not as it was: tyro 9.2+label, now in {project.folder}/gone 9.1" in said
    status, said = avatarpipe(*plan, "--python", f"levitate={sys.executable}")
    assert status == 2 and "levitate is not among the steps collect" in said
    status, said = avatarpipe(*plan, "--python", "collect=README")
    assert status == 2 and "README: not a Python that runs" in said


def test_this_python_serves_where_it_has_what_the_step_needs(project, avatarpipe):
    """Packages that only came along, and labels of builds, do not count; without a word on needs everything does."""
    path = project.folder / FIRST
    document = json.loads(path.read_text())
    document["packages"] |= {"tyro": f"{own().version('tyro')}+cpu", "cowsay": "6.1"}
    document["run"]["environment"] = {}
    path.write_text(json.dumps(document))
    status, said = avatarpipe("rerun", FIRST, "--into", "again", "--plan")
    assert status == 0 and "not as it was: cowsay 6.1, here absent" in said
    del document["needs"]
    path.write_text(json.dumps(document))
    status, said = avatarpipe("rerun", FIRST, "--into", "again", "--plan")
    assert status == 2 and "cowsay 6.1 (here none)" in said


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("needs", "tyro"), ("environment", ["x"]), ("environment", {"interpreter": 3})],
)
def test_a_note_of_another_kind_is_refused(made, tmp_path, key, wrong):
    document = json.loads((made.folder / FIRST).read_text())
    (document["run"] if key == "environment" else document)[key] = wrong
    (tmp_path / "provenance.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=rf"not a provenance file of this version \({key}\)"):
        read_provenance(tmp_path / "provenance.json")


def test_looking_at_an_environment_starts_nothing(tmp_path):
    """A folder with an executable of that name is none; and one that looks like one is read, not run."""
    python = tmp_path / "env/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
    python.chmod(0o755)
    assert environment_of(python) is None
    (tmp_path / "env/pyvenv.cfg").touch()
    assert environment_of(python).version("numpy") is None
    assert not (tmp_path / "owned").exists()
    with pytest.raises(InputError, match="not a Python that runs"):
        named_environment(python)
