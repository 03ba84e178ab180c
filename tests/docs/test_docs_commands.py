"""Every command of the pages is tried: options are read by the program that they are given to, files asked of the workflow."""

import importlib
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import tyro
from docs_commands import (
    ALL,
    GROUPS,
    NOT_TRIED,
    PROSE,
    SNAKEMAKE,
    STEPS,
    beginning,
    in_prose,
    tried,
)
from docs_pages import ROOT, Command
from snakemake.cli import parse_args

from avatarpipe.__main__ import main, step_names

THEIRS = ("my.yaml",)  # files that only a reader has


class Read(BaseException):
    """Raised in the place of running: the command line was understood."""


def named(commands: Sequence[Command]) -> dict:
    return {"argvalues": commands, "ids": [command.text[:60] for command in commands]}


def test_every_command_is_tried_or_in_the_list_and_the_list_holds_nothing_else():
    of_groups = {command.text for command in tried(*GROUPS)}
    left = {
        command.text
        for command in ALL
        if beginning(command) is None and command.text not in of_groups
    }
    assert not left, f"say how to try {left}, or why it cannot be tried"
    assert {beginning(command) for command in ALL} - {None} == set(NOT_TRIED)
    assert {command.text for command in ALL} >= PROSE
    assert len(ALL) > 80 and len(tried(*STEPS)) > 20 and len(tried(*SNAKEMAKE)) > 15


# Snakemake


def arguments(command: Command) -> list[str]:
    """What stands behind `snakemake`."""
    words = [word for word in command.words if word != "..."]
    return words[words.index("snakemake") + 1 :]


def targets(command: Command) -> list[str]:
    """The files that a command of Snakemake asks for."""
    return [str(target) for target in _read(arguments(command)).targets]


def _read(words: list[str]):
    """What Snakemake makes of its arguments, the profile left out, whose executor may not be installed here."""
    if "--workflow-profile" in words:
        at = words.index("--workflow-profile")
        words = [*words[:at], *words[at + 2 :]]
    _, read = parse_args(["--workflow-profile", "none", *words])
    return read


@pytest.mark.parametrize("command", **named(tried(*SNAKEMAKE)))
def test_snakemake_reads_the_options_and_what_they_name_exists(command):
    words = arguments(command)
    read = _read(words)
    if "--workflow-profile" in words:
        profile = ROOT / words[words.index("--workflow-profile") + 1]
        assert (profile / "config.v9+.yaml").is_file(), f"{profile}: no such profile"
    for setting in read.config or []:
        key, _, value = setting.partition("=")
        assert key in ("preset", "subjects")
        assert key != "preset" or (ROOT / f"config/presets/{value}.yaml").is_file(), setting
    for file in read.configfile or []:
        assert str(file) in THEIRS or (ROOT / file).is_file()


def results(command: Command) -> list[str]:
    """The files and folders in results/ that a step is given to read, which rules must make."""
    words, found = command.words, []
    for option, value in pairwise(words):
        if (
            option.startswith("--")
            and value.startswith("results/")
            and option not in ("--out", "--curves")
        ):
            found.append(value)
    return [] if set(command.words) & {"view", "verify", "rerun"} else found


@pytest.fixture(scope="module")
def outputs(reader) -> set[str]:
    """Every file that the workflow makes of what the pages ask for; fails where no rule makes one of their targets."""
    asked = {target for command in tried(*SNAKEMAKE) for target in targets(command)}
    read = {path for command in tried(*STEPS, "python -m benchmarks.") for path in results(command)}
    files = sorted(asked | {path for path in read if Path(path).suffix})
    table = reader.run("--summary", "all", *files)
    return {line.split("\t")[0] for line in table.splitlines() if line.startswith("results/")}


def test_rules_make_every_file_that_the_pages_ask_for_or_read(outputs):
    assert len(outputs) > 60
    for command in tried(*STEPS, "python -m benchmarks."):
        for path in results(command):
            made = path in outputs or any(output.startswith(f"{path}/") for output in outputs)
            assert made, f"{command.page}: {command.text}: no rule makes {path}"


def test_a_file_that_no_rule_makes_would_be_found(reader):
    output = reader.run(
        "--summary", "results/ada/animatable/full/avatr/avatar.json", succeeds=False
    )
    assert "MissingRuleException" in output


# Steps


def understood(call: Callable, monkeypatch, partial: bool) -> object:
    """The options that `call` makes of its command line; SystemExit where they are wrong. partial: required ones may lack."""
    cli, caught = tyro.cli, []

    def read(kind, *, args=None, **others):
        words = list(sys.argv[1:] if args is None else args)
        caught.append(
            cli(kind, args=[*_filled(kind, words), *words] if partial else words, **others)
        )
        raise Read

    monkeypatch.setattr(tyro, "cli", read)
    with pytest.raises(Read):
        call()
    return caught[0]


def _filled(kind, words: list[str]) -> list[str]:
    """A value for each required option that a shortened command leaves out."""
    filled = []
    for field in fields(kind):
        option = f"--{field.name.replace('_', '-')}"
        if field.default is MISSING and field.default_factory is MISSING and option not in words:
            filled += [option, str(next(iter(get_args(field.type)), "0"))]
    return filled


def step_arguments(command: Command) -> list[str]:
    """What `avatarpipe` is given; the same for a step that torchrun starts."""
    words = [word for word in command.words if word != "..."]
    if words[0] == "torchrun":
        module = words[words.index("-m") + 1]
        return [module.removeprefix("avatarpipe.steps."), *words[words.index("-m") + 2 :]]
    return words[1:]


@pytest.mark.parametrize("command", **named(tried(*STEPS)))
def test_the_step_reads_its_options(command, monkeypatch, capsys):
    words = step_arguments(command)
    if words[-1] == "--help" or len(words) == 1:
        with pytest.raises(SystemExit) as end:
            main([words[0], "--help"])
        assert end.value.code == 0 and "usage: avatarpipe" in capsys.readouterr().out
        return
    options = understood(lambda: main(words), monkeypatch, in_prose(command))
    assert getattr(options, "since", None) in (None, *step_names())


@pytest.mark.parametrize(
    "words",
    [
        ["drive", "--avatar", "a", "--motion", "m", "--out", "o", "--projectoin", "auto"],
        ["train-animatable", "--variant", "whole"],
        ["verify", "results", "--agianst", "b"],
        ["normalise", "--capture", "a"],
    ],
)
def test_wrong_options_would_be_found(words, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        understood(lambda: main(words), monkeypatch, partial=True)


# Everything else


@pytest.mark.parametrize("command", **named(tried("python -m benchmarks.")))
def test_a_benchmark_reads_its_options(command, monkeypatch):
    name, *words = command.words[2:]
    if "argparse" in (ROOT / f"{name.replace('.', '/')}.py").read_text():
        words = [*words, "--help"]
    monkeypatch.setattr(sys, "argv", [name, *words])
    if words[-1:] == ["--help"]:
        _argparse(name, words[:-1], monkeypatch)
    else:
        understood(
            lambda: runpy.run_module(name, run_name="__main__"), monkeypatch, in_prose(command)
        )


def _argparse(name: str, words: list[str], monkeypatch) -> None:
    """The same of a benchmark that reads its options by argparse."""
    import argparse

    real = argparse.ArgumentParser.parse_args

    def read(parser, args=None, namespace=None):
        real(parser, words, namespace)
        raise Read

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read)
    with pytest.raises(Read):
        importlib.import_module(name).main()


def test_make_has_every_target():
    wanted = {word for command in tried("make") for word in command.words[1:] if "=" not in word}
    done = subprocess.run(
        ["make", "--dry-run", *sorted(wanted)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and wanted >= {"demo", "test", "run"}, done.stderr
    wrong = subprocess.run(["make", "--dry-run", "dmeo"], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode != 0


def test_packages_are_those_that_the_project_declares():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    declared = {package for packages in extras.values() for package in packages}
    installed = {
        word
        for command in tried(".venv/bin/pip install")
        for word in command.words[2:]
        if word[0] != "-"
    }
    assert installed <= declared | {f".[{extra}]" for extra in extras} and installed


@pytest.mark.parametrize("command", **named(tried("python -m pytest")))
def test_the_tests_that_pages_name_exist(command):
    paths = [word for word in command.words if word.startswith("tests/")]
    assert paths and all((ROOT / path).exists() for path in paths)
