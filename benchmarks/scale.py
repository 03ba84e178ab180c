"""How long Snakemake takes to plan the work of many subjects, and to find that nothing is left to do.

$ python -m benchmarks.scale --subjects 1000

Copies the workflow to a temporary folder with a table of that many synthetic subjects, and times a dry run. Then every file
that the workflow would make is put there, empty, and a run that has nothing to do is timed. Nothing is computed. Prints wall
seconds, processor seconds and peak memory of the whole command.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "avatarpipe")


@dataclass
class Options:
    """What to measure."""

    subjects: int = 1000
    """Rows of the subject table."""
    nothing_to_do: bool = True
    """Whether the run after everything is done is timed too."""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    wall: float  # seconds
    processor: float  # seconds, of the command and what it started
    memory: float  # MB, the most that was resident at one time
    output: str


def main(options: Options) -> None:
    """Measure and print."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder, options.subjects)
        costs = {"dry run": timed(folder, "--dry-run", "--quiet")}
        if options.nothing_to_do:
            put_outputs(folder)
            costs["nothing to do"] = timed(folder)
            if "Nothing to be done" not in costs["nothing to do"].output:
                raise SystemExit(costs["nothing to do"].output[-4000:])
    table = Table(
        "command", "s", "processor s", "peak memory, MB", title=f"{options.subjects} subjects"
    )
    for what, cost in costs.items():
        table.add_row(what, f"{cost.wall:.1f}", f"{cost.processor:.1f}", f"{cost.memory:.0f}")
    Console().print(table)


def make_project(folder: Path, subjects: int) -> None:
    """The workflow in `folder`, with a table of so many synthetic subjects, half of each gender."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, folder / part)
    rows = [
        f"s{index:05d}\tsynthetic\t{index}\t{'female' if index % 2 else 'male'}"
        for index in range(subjects)
    ]
    table = "\n".join(["subject\tdataset\tsource\tgender", *rows, ""])
    (folder / "config/subjects.tsv").write_text(table)


def timed(folder: Path, *args: str) -> Cost:
    """One Snakemake command in `folder`; ends the benchmark where it fails."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *args]
    log = folder / "log.txt"
    started = time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    wall, output = time.monotonic() - started, log.read_text()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(output[-4000:])
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def put_outputs(folder: Path) -> None:
    """Every file that the workflow would make, empty, and all of one age."""
    listed = timed(folder, "--summary").output.splitlines()
    start = next(index for index, line in enumerate(listed) if line.startswith("output_file\t"))
    names = {line.partition("\t")[0] for line in listed[start + 1 :] if line.count("\t") > 3}
    now = time.time()
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (now, now))


if __name__ == "__main__":
    main(tyro.cli(Options))
