"""Make results again from their provenance, in another folder, and compare the metrics with the recorded ones.

avatarpipe rerun results/demo/layered/evaluate/provenance.json --into again
avatarpipe rerun results/demo/layered/evaluate/provenance.json --into again --since extract-mesh
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from avatarpipe.errors import InputError
from avatarpipe.evaluation.comparison import METRICS, Comparison, compare_tables
from avatarpipe.evaluation.progress import tracked
from avatarpipe.evaluation.rows import COLUMNS
from avatarpipe.provenance_files import fingerprint
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
    _say_what_differs(again)
    if options.plan:
        logging.info("%s", "\n".join(_shown(recorded) for recorded in again))
        return
    into = options.into.absolute()
    prepare(into, kept, again)
    for recorded in tracked(again, len(again), "rerun"):
        logging.info("%s", _shown(recorded))
        run_again(recorded, into)
    if not _compare(again, into, options.tolerance):
        raise SystemExit(MISMATCH)


def _shown(recorded: Recorded) -> str:
    first = min(recorded.relative, default=recorded.path)
    return f"{recorded.step:<16} {first.parent}"


def _say_what_differs(again: list[Recorded]) -> None:
    """Outputs, code, packages and device that are not those of then: the figures may differ for it."""
    said = {
        found.what: None
        for recorded in again
        for found in verify(recorded.path).mismatches
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
