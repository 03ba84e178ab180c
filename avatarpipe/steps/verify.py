"""Say which results no longer match what made them, or compare their metrics with another run's.

avatarpipe verify results
avatarpipe verify again/results --against results --tolerance 1e-3
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from avatarpipe.errors import InputError
from avatarpipe.evaluation.comparison import Comparison, compare_results
from avatarpipe.files import file_sha256
from avatarpipe.provenance_files import find_provenance
from avatarpipe.steps.command import run_step
from avatarpipe.terminal import tracked
from avatarpipe.verification import HashCache, Verdict, unrecorded, verify

MISMATCH = 1
_FILE_WIDTH = 200
_STYLES = {"broken": "bold red", "stale": "yellow", "elsewhere": "dim"}


@dataclass(frozen=True)
class Options:
    """Exit status 0 where all holds, 1 where something is broken or stale or a metric differs, 2 where there is nothing to check."""

    results: tyro.conf.Positional[Path]
    """Folder of results, or a part of it."""
    against: Path | None = None
    """Compare the metrics tables with those at the same places in this folder, and check nothing else."""
    tolerance: float = 0.0
    """With --against: differences up to this share of a value (absolute below 1) pass; 0 asks for equal numbers."""
    strict: bool = False
    """Other packages and other devices count too."""
    hashes: Path | None = None
    """A file that keeps hashes between runs: files of the same size and time of change are not read again."""
    json: bool = False
    """Print a JSON document instead of tables."""


def run(options: Options) -> None:
    """Check or compare, print, and exit with 1 where something differs."""
    fine = _compare(options) if options.against else _check(options)
    if not fine:
        raise SystemExit(MISMATCH)


def _check(options: Options) -> bool:
    paths = find_provenance(options.results)
    if not paths:
        raise InputError(
            f"{options.results}: no provenance.json in there. Steps of the pipeline write them."
        )
    hashed = HashCache(options.hashes) if options.hashes else file_sha256
    verdicts = [verify(path, hashed) for path in tracked(paths, len(paths), "verify")]
    if options.hashes:
        hashed.save()
    strangers = unrecorded(options.results, verdicts)
    if options.json:
        _print_json(
            {"verdicts": [_document(v) for v in verdicts], "unrecorded": list(map(str, strangers))}
        )
    else:
        _print_verdicts(verdicts, strangers, options.results)
    return all(v.holds and not (options.strict and v.mismatches) for v in verdicts)


def _document(verdict: Verdict) -> dict:
    return {
        "provenance": str(verdict.path),
        "step": verdict.step,
        "holds": verdict.holds,
        "mismatches": [asdict(mismatch) for mismatch in verdict.mismatches],
    }


def _print_json(document: dict) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _console() -> Console:
    """As wide as the terminal; in a file or a pipe wide enough for a path a line."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_FILE_WIDTH)


def _print_verdicts(verdicts: list[Verdict], strangers: list[Path], root: Path) -> None:
    console = _console()
    table = Table("artefact", "step", "", "what no longer matches", box=None, padding=(0, 2, 0, 0))
    for verdict in verdicts:
        for mismatch in verdict.mismatches:
            if mismatch.severity != "elsewhere":
                where = str(verdict.path.parent.relative_to(root))
                cells = (where, verdict.step, mismatch.severity, mismatch.what)
                table.add_row(*map(Text, cells), style=_STYLES[mismatch.severity])
    if table.row_count:
        console.print(table)
    elsewhere = Counter(m.what for v in verdicts for m in v.mismatches if m.severity == "elsewhere")
    for what, count in elsewhere.items():
        console.print(
            f"{count} of {len(verdicts)} steps: {what}", style=_STYLES["elsewhere"], markup=False
        )
    if strangers:
        console.print(
            f"{len(strangers)} files have no provenance, such as {strangers[0]}", markup=False
        )
    good = sum(verdict.holds for verdict in verdicts)
    console.print(
        f"{good} of {len(verdicts)} steps hold",
        style="green" if good == len(verdicts) else "bold red",
    )


def _compare(options: Options) -> bool:
    compared = compare_results(options.results, options.against, options.tolerance)
    if options.json:
        _print_json({"tables": [asdict(found) for found in compared]})
    else:
        print_comparisons(compared)
    return all(found.within for found in compared)


def print_comparisons(compared: list[Comparison]) -> None:
    """A line a table, and the metrics that differ most."""
    console, table = _console(), Table(box=None, padding=(0, 2, 0, 0))
    for name in ("metrics table", "values", "alone", "largest difference", "verdict"):
        table.add_column(
            name, justify="right" if name in ("values", "alone", "largest difference") else "left"
        )
    for found in compared:
        verdict = (
            "differs" if not found.within else "equal" if found.largest == 0 else "within tolerance"
        )
        table.add_row(
            found.name, str(found.shared), str(found.alone), f"{found.largest:.3g}", verdict
        )
    console.print(table)
    for found in compared:
        differing = {metric: value for metric, value in found.differences.items() if value}
        for metric, value in sorted(differing.items(), key=lambda item: -item[1])[:8]:
            console.print(f"{found.name}: {metric} by {value:.3g}", markup=False)


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
