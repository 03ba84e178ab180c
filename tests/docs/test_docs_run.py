"""Every command of the pages, run in a tiny project that `make demo` has made whole: each page's in its order, in a copy of it.

Slow; what is run in the place of a command, and why, is in docs_runs.py:

    python -m pytest -m slow tests/docs/test_docs_run.py
"""

import importlib.util
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import pytest
from docs_commands import ALL, beginning
from docs_pages import Command
from docs_reader import BODY_FILES, CONFIG_FILE, MOTION_FILES, Reader, new_reader
from docs_runs import (
    INSTEAD,
    LEFT_OUT,
    MORE,
    Run,
    is_run,
    key,
    made,
    names_only,
    recorded_jobs,
    runs,
    substitutions,
)

LIMIT = 900  # seconds a command
PLUGINS = {
    "workflow/profiles/slurm": "snakemake_executor_plugin_slurm",
    "workflow/profiles/kubernetes": "snakemake_executor_plugin_cluster_generic",
}


def different(commands: Iterable[Command]) -> list[Command]:
    """Each command where it stands first."""
    found: dict[str, Command] = {}
    for command in commands:
        found.setdefault(key(command), command)
    return list(found.values())


RUN = different(filter(is_run, ALL))
NAMED = different(filter(names_only, ALL))


def pages() -> list:
    """A parameter (page, command) for each command that is run."""
    return [
        pytest.param(name, command, id=f"{name}: {key(command)[:90]}")
        for name, found in groupby(RUN, lambda command: command.page)
        for command in found
    ]


# What is run, and instead of what


def test_every_command_is_run_or_named_or_cannot_be_tried():
    kinds = [
        (is_run(c), names_only(c) and beginning(c) is None, beginning(c) is not None) for c in ALL
    ]
    assert all(sum(kind) == 1 for kind in kinds)
    assert len(RUN) > 60 and 5 < len(NAMED) < 20


def test_the_lists_hold_nothing_that_no_command_has():
    assert set().union(*map(substitutions, RUN)) | {"benchmarks.stages"} == {*INSTEAD, *MORE}
    texts = [key(command) for command in RUN]
    for part in (*LEFT_OUT, *MOTION_FILES, *BODY_FILES, CONFIG_FILE, *PLUGINS):
        assert any(part in text for text in texts), part


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("avatarpipe verify results --hashes h.json", ("h.json",)),
        ("snakemake --cores all", ("results/tables/metrics.csv",)),
        ("snakemake --cores all -n results/a.json", ()),
        ("snakemake --cores all results/a.json", ("results/a.json",)),
        ("snakemake --cores all --report results/report.html", ("results/report.html",)),
    ],
)
def test_what_a_command_says_that_it_makes(command, files):
    assert made(tuple(shlex.split(command))) == files


# The runs


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Reader:
    """The reader's project after `make demo`."""
    reader = new_reader(tmp_path_factory.mktemp("reader") / "project")
    done = reader.shell("make demo", timeout=3 * LIMIT)
    assert done.returncode == 0, done.stdout[-6000:]
    return reader


@pytest.fixture(scope="module")
def copies(whole, tmp_path_factory) -> Iterator[Callable[[str], Reader]]:
    """The copy for the commands of a page; gone with its last."""
    held: dict[str, Reader] = {}

    def drop() -> None:
        for copy in held.values():
            shutil.rmtree(copy.folder)
        held.clear()

    def of_page(name: str) -> Reader:
        if name not in held:
            drop()
            held[name] = whole.copy(tmp_path_factory.mktemp("page") / "project")
        return held[name]

    yield of_page
    drop()


@pytest.fixture
def project(request, copies) -> Reader:
    """Asked for by page: pytest would make a fixture of a wider scope anew for each parameter."""
    return copies(request.param)


@pytest.mark.slow
@pytest.mark.parametrize(("project", "command"), pages(), indirect=["project"])
def test_the_command_does_what_it_says(project, command):
    skip_where_something_is_missing(command, project)
    for run in runs(command, project):
        if run.words[:2] == ("avatarpipe", "view"):
            serves(project, run)
        else:
            succeeds(project, run)


def skip_where_something_is_missing(command: Command, project: Reader) -> None:
    for part, plugin in PLUGINS.items():
        if part in command.text and not importlib.util.find_spec(plugin):
            pytest.skip(f"needs {plugin} (requirements-test.txt)")
    if "--sdm conda" in command.text:
        program = "uv" if command.assigned else "conda"
        if not shutil.which(program, path=project.environment()["PATH"]):
            pytest.skip(f"needs {program}")


def succeeds(project: Reader, run: Run) -> None:
    """Its files are taken away, it ends with status 0, they are there again."""
    for name in run.made:
        (project.folder / name).unlink(missing_ok=True)
    done = project.shell(run.text, LIMIT)
    assert done.returncode == 0, f"{run.text}\n{done.stdout[-6000:]}"
    for name in run.made:
        assert (project.folder / name).stat().st_size > 0, f"{run.text}: no {name}"


def serves(project: Reader, run: Run) -> None:
    """It says where it serves, serves a page there, and ends with status 0 at Ctrl-C."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    log = project.folder / "view.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*run.words, "--port", str(port)], cwd=project.folder, env=project.environment(),
            stdout=file, stderr=file,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: address in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        assert b"<html" in urllib.request.urlopen(address, timeout=60).read().lower()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def wait_for(happened: Callable[[], bool], patience: float = 120) -> None:
    """Until it happened, at most so many seconds."""
    end = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("command", NAMED, ids=[command.text for command in NAMED])
def test_what_a_paragraph_only_names_is_run_by_a_rule_or_elsewhere(command, whole):
    elsewhere = [list(other.words) for other in RUN] + recorded_jobs(whole)
    count = 3 if command.words[0] == "python" else 2
    assert any(
        words[:count] == list(command.words[:count]) and set(command.words) <= set(words)
        for words in elsewhere
    )
