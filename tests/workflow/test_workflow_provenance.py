"""Provenance of a whole run: it speaks of every file, tells what no longer matches, and makes the same results again."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from in_process import Done, run_command

EVALUATED = "results/tina/layered/evaluate"


@pytest.fixture
def avatarpipe(monkeypatch, capsys, caplog):
    """(project, *args) -> Done of `avatarpipe ARGS` in the project, in this process."""

    def run(project, *args: str) -> Done:
        monkeypatch.chdir(project.folder)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        return run_command(args, capsys, caplog)

    return run


@pytest.fixture
def checked(avatarpipe):
    """(project, *args) -> (exit status, document) of `avatarpipe verify results --json`."""

    def run(project, *args: str) -> tuple[int, dict]:
        done = avatarpipe(project, "verify", "results", "--json", *args)
        return done.status, json.loads(done.printed)

    return run


def elsewhere(project, *args: str) -> str:
    """What `avatarpipe ARGS` prints by the project's own copy of the package."""
    environment = project.environment() | {"PYTHONPATH": str(project.folder)}
    command = [sys.executable, "-m", "avatarpipe", *args]
    return subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, text=True
    ).stdout


def mismatches(document: dict, severities=("broken", "stale")) -> dict[str, list[str]]:
    """What no longer matches, by the folder of the provenance file."""
    found = {}
    for verdict in document["verdicts"]:
        for mismatch in verdict["mismatches"]:
            if mismatch["severity"] in severities:
                found.setdefault(str(Path(verdict["provenance"]).parent), []).append(
                    mismatch["what"]
                )
    return found


def test_every_file_has_one_provenance_and_all_of_them_hold(finished, checked):
    status, document = checked(finished)
    assert (status, mismatches(document), document["unrecorded"]) == (0, {}, [])
    steps = [verdict["step"] for verdict in document["verdicts"]]
    assert set(steps) >= {
        "body",
        "synthesize",
        "convert",
        "render",
        "train-layered",
        "evaluate",
        "pictures",
        "export",
        "collect",
    }
    assert steps.count("train-layered") == 3
    claims = [
        (path.parent / name).resolve()
        for path in (finished.folder / "results").rglob("*provenance.json")
        for name in json.loads(path.read_text())["outputs"]
    ]
    assert len(claims) == len(set(claims))


def test_it_says_what_made_an_artefact(finished):
    found = json.loads(
        (finished.folder / "results/tina/layered/outer/avatar/provenance.json").read_text()
    )
    assert (
        found["module"] == "avatarpipe.steps.train_layered"
        and found["seed"] == 0
        and len(found["code"]) == 64
    )
    assert found["config"]["stage"] == "outer" and found["packages"]["torch"]
    assert found["inputs"]["capture"]["path"] == "../../../segment/capture.json"
    assert "../curves.parquet" in found["outputs"] and found["run"]["device"] == "cpu"
    assert (
        found["arguments"][:2] == ["--stage", "outer"]
        and found["run"]["folder"] == "../../../../.."
    )


def test_what_no_longer_matches_is_told_apart(done):
    results = done.folder / "results"
    images = results / "tina/render/images"
    next(images.rglob("*.png")).unlink()
    (results / "tina/layered/single/curves.parquet").unlink()
    (results / "tina/segment/capture.json").write_text("{}")
    (results / "tina/align/provenance.json").write_text("{")
    (results / "tina/notes.txt").write_text("mine")
    with (done.folder / "avatarpipe/evaluation/turntable.py").open("a") as file:
        file.write("# changed\n")
    path = results / "tina/normalize/provenance.json"
    document = json.loads(path.read_text())
    document["packages"]["numpy"], document["run"]["device_name"] = "0.1", "an abacus"
    path.write_text(json.dumps(document))

    document = json.loads(elsewhere(done, "verify", "results", "--json"))
    found = mismatches(document)
    assert found["results/tina/render"] == [
        line
        for line in found["results/tina/render"]
        if "output images has changed (12 files, now 11" in line
    ]
    assert found["results/tina/layered/single/avatar"][0] == "output ../curves.parquet is missing"
    assert any(
        "segment/capture.json" in line and "changed since" in line
        for line in found["results/tina/layered/inner/avatar"]
    )
    assert any("output capture.json has changed" in line for line in found["results/tina/segment"])
    assert "not valid JSON" in found["results/tina/align"][0]
    assert (
        "the code of avatarpipe.steps.pictures has changed since"
        in found["results/tina/layered/pictures"]
    )
    assert not any("the code" in line for line in found["results/tina/layered/single/avatar"])
    assert "results/tina/convert" not in found and "results/tina/normalize" not in found
    assert "results/tina/notes.txt" in document["unrecorded"]
    moved = mismatches(document, ("elsewhere",))["results/tina/normalize"]
    assert moved[0].startswith("numpy 0.1, here ") and moved[1].startswith(
        "made on an abacus, here "
    )


def test_a_person_reads_what_no_longer_matches(done, avatarpipe):
    (done.folder / "results/tina/layered/single/curves.parquet").unlink()
    (done.folder / "results/tina/notes.txt").write_text("mine")
    shown = avatarpipe(done, "verify", "results")
    lines = shown.printed.splitlines()
    assert shown.status == 1
    assert any(
        line.split()[:3] == ["tina/layered/single/avatar", "train-layered", "broken"]
        for line in lines
    )
    assert any(
        line.startswith("1 files have no provenance, such as results/tina/notes.txt")
        for line in lines
    )
    assert re.fullmatch(r"(\d+) of (\d+) steps hold", lines[-1]).groups() == ("14", "16")
    part = avatarpipe(done, "verify", "results/tina/render")
    assert part.status == 0 and part.printed.splitlines()[-1] == "1 of 1 steps hold"
    nothing = avatarpipe(done, "verify", "results/tina/synthesize/truth")
    assert nothing.status == 2 and "no provenance.json in there" in nothing.said


def test_hashes_are_kept_and_not_trusted_too_far(done, checked, tmp_path):
    kept = ("--hashes", str(tmp_path / "hashes.json"))
    assert checked(done, *kept)[0] == 0
    assert len(json.loads((tmp_path / "hashes.json").read_text())) > 50
    table = done.folder / EVALUATED / "metrics.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    status, document = checked(done, *kept)
    assert status == 1 and set(mismatches(document)) == {EVALUATED, "results/tables"}


def test_a_step_runs_again_from_its_provenance_to_the_same_bytes(finished, avatarpipe, tmp_path):
    again = tmp_path / "again"
    done = avatarpipe(
        finished,
        "rerun",
        f"{EVALUATED}/provenance.json",
        "--into",
        str(again),
        "--since",
        "evaluate",
    )
    assert done.status == 0, done.said
    assert "2 of 2 outputs are the same bytes" in done.said and "equal" in done.printed
    assert (again / EVALUATED / "metrics.parquet").read_bytes() == (
        finished.folder / EVALUATED / "metrics.parquet"
    ).read_bytes()
    assert not (again / EVALUATED / "metrics.parquet").is_symlink()
    assert (again / "results/tina/layered/outer/avatar").is_symlink()
    refused = avatarpipe(finished, "rerun", f"{EVALUATED}/provenance.json", "--into", str(again))
    assert refused.status == 2 and "is not empty" in refused.said


def test_a_whole_chain_is_planned_from_the_start(finished, avatarpipe, tmp_path):
    done = avatarpipe(
        finished, "rerun", f"{EVALUATED}/provenance.json", "--into", str(tmp_path / "x"), "--plan"
    )
    (planned,) = [line for line in done.said.split("rerun.py:") if "evaluate  " in line]
    steps = [line.split()[0] for line in planned.partition(" ")[2].splitlines()]
    assert steps == [
        "body", "synthesize", "convert", "normalize", "render", "segment", "train-layered", "extract-mesh", "train-layered",
        "train-layered", "extract-mesh", "evaluate",
    ]  # fmt: skip
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_made_again_is_refused_before_anything_runs(done, avatarpipe, tmp_path):
    into = ("--into", str(tmp_path / "x"))
    unknown = avatarpipe(
        done, "rerun", f"{EVALUATED}/provenance.json", *into, "--since", "levitate"
    )
    assert unknown.status == 2 and "--since levitate: not among the steps" in unknown.said
    path = done.folder / "results/tina/synthesize/provenance.json"
    document = json.loads(path.read_text())
    document["inputs"]["body"] = {"path": "../../../README.txt", "sha256": "0" * 64}
    path.write_text(json.dumps(document))
    gone = avatarpipe(done, "rerun", f"{EVALUATED}/provenance.json", *into)
    assert (
        gone.status == 2
        and "README.txt: synthesize was given this file, and it is gone" in gone.said
    )
    (done.folder / "README.txt").write_text("x")
    changed = avatarpipe(done, "rerun", f"{EVALUATED}/provenance.json", *into)
    assert (
        changed.status == 2 and "README.txt: has changed since synthesize read it" in changed.said
    )
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("change", "tolerance", "status"),
    [(0.0, "0", 0), (1e-6, "0", 1), (1e-6, "1e-3", 0), (1.0, "1e-3", 1)],
)
def test_metrics_of_two_runs_are_compared(
    finished, avatarpipe, tmp_path, change, tolerance, status
):
    name = "tina/layered/evaluate/metrics.parquet"
    other = tmp_path / "other" / name
    other.parent.mkdir(parents=True)
    table = pd.read_parquet(finished.folder / "results" / name)
    table.loc[3, "value"] += change
    table.sample(frac=1, random_state=0).to_parquet(other)
    done = avatarpipe(
        finished,
        "verify",
        str(tmp_path / "other"),
        "--against",
        "results",
        "--tolerance",
        tolerance,
    )
    assert done.status == status, done.said
    if change:
        assert f"{table.loc[3, 'metric']} by {change:.3g}" in done.printed
