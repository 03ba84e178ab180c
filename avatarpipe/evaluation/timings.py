"""What every job of the workflow cost, from the benchmark files that Snakemake leaves."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from avatarpipe.errors import InputError
from avatarpipe.evaluation.style import PALETTE, styled
from avatarpipe.files import require_file

_COLUMNS = {"s": "seconds", "cpu_time": "cpu_seconds", "max_rss": "memory_mb"}
_MOST_BARS = 80


def read_benchmarks(paths: Sequence[str | Path], root: str | Path) -> pd.DataFrame:
    """One row a job: job, seconds (wall clock), cpu_seconds, memory_mb (largest resident set); by path.

    The job is its file's path below `root`, without ending. Repeats of a benchmark are averaged. Raises InputError on a
    file that is missing or no benchmark.
    """
    rows = [{"job": _job(Path(path), Path(root)), **_read(path)} for path in paths]
    return pd.DataFrame(rows, columns=["job", *_COLUMNS.values()]).sort_values(
        "job", ignore_index=True
    )


def _job(path: Path, root: Path) -> str:
    relative = path.relative_to(root) if path.is_relative_to(root) else path
    return relative.with_suffix("").as_posix().removesuffix("/benchmark").removesuffix(".benchmark")


def _read(path: str | Path) -> dict[str, float]:
    path = require_file(path, "A Snakemake benchmark file was expected here; run its rule again.")
    try:
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        return {ours: float(table[theirs].mean()) for theirs, ours in _COLUMNS.items()}
    except (ValueError, KeyError, TypeError, pd.errors.ParserError) as error:
        raise InputError(
            f"{path}: not a Snakemake benchmark ({error!r}). Run its rule again."
        ) from error


def mean_by_kind(timings: pd.DataFrame) -> pd.DataFrame:
    """One row a kind of job, the last part of its name: mean seconds, most memory, and how many there were in `job`."""
    kinds = timings["job"].str.rpartition("/")[2]
    found = timings.groupby(kinds).agg(
        seconds=("seconds", "mean"), memory_mb=("memory_mb", "max"), count=("job", "size")
    )
    names = [f"{kind} (mean of {count})" for kind, count in found["count"].items()]
    return found.assign(job=names)


def plot_timings(timings: pd.DataFrame) -> Figure:
    """Bars of wall clock time a job, longest on top, each with its time and memory written beside it.

    More than 80 jobs are too many to read: kinds of jobs take their place.
    """
    total = duration(timings["seconds"].sum())
    ordered = timings if len(timings) <= _MOST_BARS else mean_by_kind(timings)
    ordered = ordered.sort_values("seconds")
    with styled():
        figure = Figure(figsize=(10, 1.2 + 0.34 * len(ordered)), layout="constrained")
        axes = figure.subplots()
        axes.barh(ordered["job"], ordered["seconds"], color=PALETTE["inner"], height=0.7)
        for place, row in enumerate(ordered.itertuples()):
            label = f"  {duration(row.seconds)}, {row.memory_mb / 1024:.1f} GiB"
            axes.text(row.seconds, place, label, va="center", fontsize=9)
        axes.margins(x=0.22, y=0.02)
        axes.set_xlim(left=0)
        axes.set_xlabel("wall clock, seconds")
        axes.set_title(
            f"Time and peak memory of each job ({total} in all)"
        )
        axes.grid(axis="y", visible=False)
    return figure


def duration(seconds: float) -> str:
    """Seconds as 4.2 s, 3 min 20 s or 2 h 05 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes} min {rest:02d} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60:02d} min"
    )
