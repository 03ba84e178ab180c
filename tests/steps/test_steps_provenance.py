"""The provenance file that a command leaves: what is in it, and when there is none."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import tyro

from avatarpipe.capture.writing import publishing
from avatarpipe.devices import chosen_device
from avatarpipe.environments import loaded_packages
from avatarpipe.errors import InputError
from avatarpipe.evaluation.comparison import compare_results, compare_tables
from avatarpipe.evaluation.rows import tidy
from avatarpipe.files import atomic_file, atomic_folder, file_sha256, write_json
from avatarpipe.provenance import hash_inputs
from avatarpipe.provenance_files import fingerprint, provenance_path
from avatarpipe.record import recording
from avatarpipe.steps import rerun, verify
from avatarpipe.steps.command import run_step

ROOT = Path(__file__).parents[2]


@dataclass
class Options:
    """A step for the test."""

    source: Path
    out: Path
    others: tuple[Path, ...] = ()
    seed: int = 7
    size: float = 0.5


@dataclass
class Viewing:
    """A step that makes nothing."""

    source: Path


def make(options: Options) -> None:
    chosen_device("cpu")
    extra = options.source.with_name("extra.bin")
    hash_inputs({"extra": extra})
    with publishing(options.out) as draft:
        (draft / "images/000000").mkdir(parents=True)
        for name in ("a", "b"):
            (draft / f"images/000000/{name}.png").write_text(name)
        write_json(draft / options.out.name, {})
    with atomic_folder(options.out.parent / "checkpoint") as folder:
        (folder / "state").touch()
    (options.out.parent / "checkpoint/state").unlink()
    (options.out.parent / "checkpoint").rmdir()
    with atomic_file(options.out.parent.parent / "curves.txt") as temporary:
        temporary.write_text("1 2 3")


def fail(options: Options) -> None:
    with atomic_file(options.out) as temporary:
        temporary.write_text("half of it")
    raise InputError("no.")


def look(options: Viewing) -> None:
    options.source.read_text()


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    for name in ("raw.txt", "one.txt", "two.txt", "extra.bin"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_step_leaves_what_made_its_output(project):
    arguments = [
        "--source",
        "raw.txt",
        "--out",
        "results/x/made.json",
        "--others",
        "one.txt",
        "two.txt",
    ]
    run_step(make, arguments)
    found = json.loads((project / "results/x/provenance.json").read_text())
    assert found["arguments"] == arguments and found["seed"] == 7 and found["config"]["size"] == 0.5
    assert found["inputs"] == {
        role: {"path": f"../../{name}", "sha256": file_sha256(project / name)}
        for role, name in {
            "extra": "extra.bin",
            "source": "raw.txt",
            "others_0": "one.txt",
            "others_1": "two.txt",
        }.items()
    }
    assert set(found["outputs"]) == {"images", "made.json", "../curves.txt"}
    assert (
        found["outputs"]["images"]["files"] == 2 and found["outputs"]["../curves.txt"]["bytes"] == 5
    )
    assert (
        found["packages"]["numpy"] == np.__version__
        and found["packages"]["torch"] == torch.__version__
    )
    assert found["run"]["folder"] == "../.." and (
        found["run"]["device"],
        found["run"]["threads"],
    ) == ("cpu", "3")


def test_the_same_work_differs_in_nothing_but_the_run(project):
    texts = []
    for _ in range(2):
        run_step(make, ["--source", "raw.txt", "--out", "results/x/made.json"])
        found = json.loads((project / "results/x/provenance.json").read_text())
        found["run"] = {
            key: found["run"][key] for key in found["run"] if key not in ("started", "seconds")
        }
        texts.append(found)
    assert texts[0] == texts[1]


def test_results_that_are_a_link_to_another_disk_know_their_project(project, tmp_path_factory):
    (project / "results").symlink_to(tmp_path_factory.mktemp("disk"))
    run_step(make, ["--source", "raw.txt", "--out", "results/x/made.json"])
    found = json.loads((project / "results/x/provenance.json").read_text())
    assert found["run"]["folder"] == "../.." and found["inputs"]["source"]["path"] == "../../raw.txt"


def test_a_step_that_fails_or_makes_nothing_leaves_none(project):
    with pytest.raises(SystemExit):
        run_step(fail, ["--source", "raw.txt", "--out", "results/x/made.json"])
    run_step(look, ["--source", "raw.txt"])
    assert not list(project.rglob("*provenance.json"))


def test_files_in_one_folder_have_one_each():
    assert provenance_path(Path("body/SMPLX_MALE.npz")) == Path("body/SMPLX_MALE.provenance.json")
    for name in ("capture.json", "metrics.parquet"):
        assert provenance_path(Path("x", name)) == Path("x/provenance.json")


def test_records_are_apart_and_closed(project):
    with recording() as outer:
        with recording() as inner, atomic_file("a.txt"):
            pass
        with atomic_file("b.txt"):
            pass
    with atomic_file("c.txt"):
        pass
    assert [path.name for path in inner.written] == ["a.txt"]
    assert [path.name for path in outer.written] == ["a.txt", "b.txt"]


def test_a_folder_is_its_names_and_contents(tmp_path):
    for name, text in (("a/x", "1"), ("a/y/z", "2")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    first = fingerprint(tmp_path / "a")
    assert first["files"] == 2 and first["bytes"] == 2
    (tmp_path / "a/.note").touch()
    (tmp_path / "a/provenance.json").touch()
    assert fingerprint(tmp_path / "a") == first
    (tmp_path / "a/x").rename(tmp_path / "a/w")
    assert fingerprint(tmp_path / "a")["sha256"] != first["sha256"]


def test_packages_are_those_that_are_loaded():
    found = loaded_packages()
    assert {"numpy", "pandas", "pytest", "torch"} <= set(found) and "avatarpipe" not in found


def rows(values: dict, **where) -> pd.DataFrame:
    shared = {"subject": "ann", "method": "layered", "stage": "outer", "split": "test", **where}
    return tidy(
        [
            {"camera": camera, "metric": "psnr", "value": value, "unit": "dB"}
            for camera, value in values.items()
        ],
        **shared,
    )


def test_tables_are_compared_row_by_row():
    ours = rows({"a": 30.0, "b": 31.0})
    assert compare_tables("t", ours, ours[::-1]).within
    other = compare_tables("t", ours, rows({"b": 31.5, "a": 30.0}))
    assert not other.within and other.differences == {"psnr": 0.5} and other.alone == 0
    assert compare_tables("t", ours, rows({"b": 31.5, "a": 30.0}), 0.02).within
    missing = compare_tables("t", ours, rows({"a": 30.0, "c": 31.0}), 1.0)
    assert (missing.shared, missing.alone, missing.within) == (1, 2, False)


def test_rows_that_are_alike_are_matched_in_their_order():
    twice = pd.concat([rows({"a": 1.0}), rows({"a": 2.0})], ignore_index=True)
    assert compare_tables("t", twice, twice).within
    assert compare_tables("t", twice, twice[::-1].reset_index(drop=True)).largest == 1.0


def test_folders_without_tables_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no metrics\.parquet in there"):
        compare_results(tmp_path, tmp_path)


COMMANDS = re.findall(
    r"^    avatarpipe (verify|rerun) (.*)$", (ROOT / "docs/reproducibility.md").read_text(), re.M
)


@pytest.mark.parametrize(("step", "arguments"), COMMANDS)
def test_the_commands_of_the_page_are_commands(step, arguments):
    options = {"verify": verify.Options, "rerun": rerun.Options}[step]
    tyro.cli(options, args=shlex.split(arguments, comments=True))
    assert len(COMMANDS) >= 8
