"""Gather all subjects' metrics and all jobs' timings into the tables of the report.

    avatarpipe collect --metrics results/*/layered/evaluate/metrics.parquet \\
        --benchmarks results/benchmarks/*/*.tsv --out results/tables/metrics.parquet
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from avatarpipe.errors import InputError
from avatarpipe.evaluation import leaderboard_text
from avatarpipe.evaluation.leaderboard import blocks, to_long
from avatarpipe.evaluation.rows import COLUMNS
from avatarpipe.evaluation.style import save_figure
from avatarpipe.evaluation.summary import summarize, to_html, to_markdown
from avatarpipe.evaluation.timings import plot_timings, read_benchmarks
from avatarpipe.files import atomic_file, require_file
from avatarpipe.provenance import hash_inputs
from avatarpipe.steps.command import run_step
from avatarpipe.tables import read_table, write_table


@dataclass(frozen=True)
class Options:
    """Beside the table: metrics.csv; summary.csv, .md, .tex and .html over all subjects and methods; subjects.csv, .md and
    .html of each subject; with benchmarks timings.csv and timings.png."""

    out: Path
    """Table to write last, metrics.parquet."""
    metrics: tuple[Path, ...] = ()
    """metrics.parquet of each subject and method."""
    metrics_list: Path | None = None
    """A text file with more of them, one a line: a command line does not hold a thousand."""
    benchmarks: tuple[Path, ...] = ()
    """Benchmark files of Snakemake."""
    benchmarks_list: Path | None = None
    """A text file with more of them, one a line; those that are not there are left out."""
    benchmark_root: Path = Path("results/benchmarks")
    """Folder below which a benchmark file's path names its job."""


def run(options: Options) -> None:
    """Write the tables, metrics.parquet last."""
    paths = [*options.metrics, *_listed(options.metrics_list)]
    if not paths:
        raise InputError(
            "--metrics: give at least one metrics.parquet; `avatarpipe evaluate` writes them."
        )
    folder = options.out.parent
    metrics = pd.concat([read_table(path, COLUMNS) for path in paths], ignore_index=True)
    hash_inputs({str(path): path for path in paths})
    summary, board = summarize(metrics), blocks(metrics)
    measured = [path for path in _listed(options.benchmarks_list) if path.is_file()]
    if benchmarks := [*options.benchmarks, *measured]:
        timings = read_benchmarks(benchmarks, options.benchmark_root)
        _write_text(folder / "timings.csv", timings.to_csv(index=False))
        save_figure(plot_timings(timings), folder / "timings.png")
    _write_text(folder / "subjects.csv", summary.to_csv(index=False))
    _write_text(folder / "subjects.md", to_markdown(summary))
    _write_text(folder / "subjects.html", to_html(summary))
    _write_text(folder / "summary.csv", to_long(board).to_csv(index=False))
    _write_text(folder / "summary.md", leaderboard_text.to_markdown(board))
    _write_text(folder / "summary.tex", leaderboard_text.to_latex(board))
    _write_text(folder / "summary.html", leaderboard_text.to_html(board))
    _write_text(folder / "metrics.csv", metrics.to_csv(index=False))
    write_table(metrics, options.out)
    logging.info(
        "%s: %d values of %d subjects", options.out, len(metrics), metrics["subject"].nunique()
    )


def _listed(path: Path | None) -> list[Path]:
    """The paths in a text file, one a line; none without a file."""
    if path is None:
        return []
    text = require_file(path, "A list of paths, one a line, was expected here.").read_text()
    return [Path(line) for line in text.splitlines()]


def _write_text(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text)


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
