"""Make results again from their provenance, in another folder, and compare the metrics with the recorded ones.

avatarpipe rerun results/demo/layered/evaluate/provenance.json --into again
avatarpipe rerun results/demo/layered/evaluate/provenance.json --into again --since extract-mesh
avatarpipe rerun results/demo/layered/score/provenance.json --into again --python score=scoring/bin/python
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from avatarpipe.environments import Environment
from avatarpipe.errors import InputError
from avatarpipe.evaluation.comparison import METRICS, Comparison, compare_tables
from avatarpipe.evaluation.rows import COLUMNS
from avatarpipe.provenance_files import fingerprint
from avatarpipe.rerun_pythons import named_pythons, pythons
from avatarpipe.reruns import (
    Recorded,
    chain,
    check_inputs,
    check_outputs,
    prepare,
    run_again,
    split_at,
)
from avatarpipe.steps.command import run_step
from avatarpipe.steps.verify import print_comparisons
from avatarpipe.tables import read_table
from avatarpipe.terminal import tracked
from avatarpipe.verification import verify

MISMATCH = 1


@dataclass(frozen=True)
class Options:
    """Exit status 0 where every metric came out as recorded, 1 where one differs."""

    provenance: tyro.conf.Positional[tuple[Path, ...]]
    """Provenance files of what is to be made again; what they stand on is found by theirs."""
    into: Path
    """An empty folder; results/ in it will hold what is made again, under the same names."""
    since: str | None = None
    """The first step to run again, such as extract-mesh; what was made before is linked. By default everything is run."""
    python: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """STEP=PATH, or PATH for every step: a Python, or a folder with bin/python, to run it with, whatever packages it has. By
    default each step runs in the environment of then, or here if the packages that it needs have the versions of then."""
    tolerance: float = 0.0
    """Share of a value by which a metric may differ; 0, equal numbers, is what a CPU gives."""
    plan: bool = False
    """Only say what would run, and what is not as it was."""


def run(options: Options) -> None:
    """Check what the chain was given, run its steps one by one, and compare."""
    if not options.provenance:
        raise InputError(
            "Give at least one provenance.json, such as results/demo/layered/evaluate/provenance.json."
        )
    steps = chain(options.provenance)
    kept, again = split_at(steps, options.since)
    check_outputs(again)
    check_inputs(steps)
    environments = pythons(again, named_pythons(options.python, steps))
    _say_what_differs(again, environments)
    if options.plan:
        logging.info("%s", "\n".join(_shown(each, environments[each.path]) for each in again))
        return
    into = options.into.absolute()
    prepare(into, kept, again)
    for recorded in tracked(again, len(again), "rerun"):
        environment = environments[recorded.path]
        logging.info("%s", _shown(recorded, environment))
        run_again(recorded, into, environment)
    if not _compare(again, into, options.tolerance):
        raise SystemExit(MISMATCH)


def _shown(recorded: Recorded, environment: Environment) -> str:
    first = min(recorded.relative, default=recorded.path)
    python = "" if environment.is_own else f"  by {environment.python}"
    return f"{recorded.step:<16} {first.parent}{python}"


def _say_what_differs(again: list[Recorded], environments: Mapping[Path, Environment]) -> None:
    """Outputs, code, packages and device that are not those of then: the figures may differ for it."""
    said = {
        found.what: None
        for recorded in again
        for found in verify(recorded.path, there=environments[recorded.path]).mismatches
        if not found.what.startswith("input")
    }
    for what in said:
        logging.warning("not as it was: %s", what)


def _compare(again: list[Recorded], into: Path, tolerance: float) -> bool:
    """Whether the metrics agree; also says how many files are the same bytes."""
    outputs = [(name, kept) for recorded in again for name, kept in recorded.relative.items()]
    same = [
        name
        for name, kept in outputs
        if (into / name).exists() and fingerprint(into / name) == kept
    ]
    logging.info("%d of %d outputs are the same bytes", len(same), len(outputs))
    for name, _ in outputs:
        if name not in same:
            logging.info("  differs: %s", name)
    tables = [
        (recorded, name) for recorded in again for name in recorded.relative if name.name == METRICS
    ]
    compared = [_compared(recorded, name, into, tolerance) for recorded, name in tables]
    print_comparisons(compared)
    return all(found.within for found in compared)


def _compared(recorded: Recorded, name: Path, into: Path, tolerance: float) -> Comparison:
    before = read_table(recorded.project / name, COLUMNS)
    return compare_tables(str(name), read_table(into / name, COLUMNS), before, tolerance)


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
