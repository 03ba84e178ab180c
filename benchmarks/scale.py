"""How long Snakemake takes to plan the work of many subjects, to find that nothing is left to do, and what it adds to a job.

$ python -m benchmarks.scale --subjects 1000

Copies the workflow to a temporary folder with a table of that many synthetic subjects, and times a dry run. Then every file
that the workflow would make is put there, empty, `--touch` makes Snakemake record all jobs as run, some subjects at a time, and a
run that has nothing to do is timed, with all those records to compare. Nothing is computed. Then jobs that do nothing run through the workflow's
shell prefix, by Snakemake and without it. Prints wall seconds, processor seconds and peak memory of the whole commands.
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
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "avatarpipe")


EMPTY_RULE = """

rule empty:
    output:
        "results/empty/{number}.txt",
    log:
        "logs/empty/{number}.log",
    benchmark:
        "results/benchmarks/empty/{number}.tsv"
    resources:
        mem_mb=100,
        runtime=1,
    shell:
        "touch {output:q} 2>&1 | tee {log:q}"
"""
RECORDED = "recorded"  # a file that says that all jobs of a project are
AT_A_TIME = 50  # subjects of a plan whose jobs are recorded
STEP = "import avatarpipe.steps.train_layered"  # the heaviest of what steps load


@dataclass
class Options:
    """What to measure."""

    subjects: int = 1000
    """Rows of the subject table; 0 leaves planning out."""
    nothing_to_do: bool = True
    """Whether the run after everything is done is timed too, for which all jobs are recorded first (1.5 s a subject: Snakemake sleeps 0.1 s a job)."""
    folder: Path | None = None
    """Where the project with all jobs on record is kept; where it already is, that run alone is timed."""
    jobs: int = 100
    """Jobs that do nothing, to see what each costs; 0 leaves them out."""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    wall: float  # seconds
    processor: float  # seconds, of the command and what it started
    memory: float  # MB, the most that was resident at one time
    output: str


def main(options: Options) -> None:
    """Measure and print."""
    for count, measure, unit in (
        (options.subjects, plan_costs, "subjects"),
        (options.jobs, job_costs, "jobs that do nothing"),
    ):
        if count:
            with TemporaryDirectory() as name:
                show(measure(Path(name), options), f"{count} {unit}")


def show(costs: dict[str, Cost], title: str) -> None:
    """A table with a row a command."""
    table = Table("command", "s", "processor s", "peak memory, MB", title=title)
    for what, cost in costs.items():
        table.add_row(what, f"{cost.wall:.3g}", f"{cost.processor:.3g}", f"{cost.memory:.0f}")
    Console().print(table)


def plan_costs(folder: Path, options: Options) -> dict[str, Cost]:
    """What planning takes before anything is made, and after everything is."""
    folder, costs = options.folder or folder, {}
    if not (folder / RECORDED).exists():
        make_project(folder)
        list_subjects(folder, range(options.subjects))
        costs["dry run"] = snakemake(folder, "--dry-run", "--quiet")
    if options.nothing_to_do:
        if not (folder / RECORDED).exists():
            put_outputs(folder)
            record_jobs(folder, options.subjects)
            (folder / RECORDED).touch()
        costs["nothing to do"] = snakemake(folder)
        if "Nothing to be done" not in costs["nothing to do"].output:
            raise SystemExit(costs["nothing to do"].output[-4000:])
    return costs


def job_costs(folder: Path, options: Options) -> dict[str, Cost]:
    """What a job costs beside its work: one after the other by Snakemake, and the same commands in a shell loop."""
    make_project(folder)
    list_subjects(folder, range(1))
    with (folder / "Snakefile").open("a") as snakefile:
        snakefile.write(EMPTY_RULE)
    targets = [f"results/empty/{number}.txt" for number in range(options.jobs)]
    planned = snakemake(folder, "--dry-run", "--quiet", "--", *targets)
    run = snakemake(folder, "--quiet", "--", *targets)
    helpers = " ".join(
        f"source {file};" for file in sorted(folder.glob("workflow/*.sh")) if _is_sourced(file)
    )
    command = f"set -euo pipefail; {helpers} touch results/empty/x.txt 2>&1 | tee logs/empty/x.log"
    shell = timed(
        folder, ["bash", "-c", f"for i in $(seq {options.jobs}); do bash -c '{command}'; done"]
    )
    start = timed(folder, [sys.executable, "-c", STEP])
    return {
        "a job by Snakemake": per_job(run, options.jobs, less=planned),
        "the same command in bash": per_job(shell, options.jobs),
        "Python loads a training step": start,
    }


def _is_sourced(file: Path) -> bool:
    """Whether every job's shell reads the file first."""
    return f"WORKFLOW / '{file.name}'" in (ROOT / "workflow/common.smk").read_text()


def per_job(cost: Cost, jobs: int, less: Cost | None = None) -> Cost:
    """The share of one job, after what was spent before the first."""
    wall, processor = (less.wall, less.processor) if less else (0.0, 0.0)
    return Cost((cost.wall - wall) / jobs, (cost.processor - processor) / jobs, cost.memory, "")


def make_project(folder: Path) -> None:
    """The workflow in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, folder / part)


def list_subjects(folder: Path, numbers: range) -> None:
    """A table of the synthetic subjects of these numbers, half of each gender."""
    rows = [
        f"s{index:05d}\tsynthetic\t{index}\t{'female' if index % 2 else 'male'}"
        for index in numbers
    ]
    table = "\n".join(["subject\tdataset\tsource\tgender", *rows, ""])
    (folder / "config/subjects.tsv").write_text(table)


def snakemake(folder: Path, *args: str) -> Cost:
    """One Snakemake command in `folder`."""
    return timed(folder, [sys.executable, "-m", "snakemake", "--cores", "1", *args])


def timed(folder: Path, command: list[str]) -> Cost:
    """One command in `folder`; ends the benchmark where it fails."""
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
    listed = snakemake(folder, "--summary").output.splitlines()
    start = next(index for index, line in enumerate(listed) if line.startswith("output_file\t"))
    names = {line.partition("\t")[0] for line in listed[start + 1 :] if line.count("\t") > 3}
    now = time.time()
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (now, now))


def record_jobs(folder: Path, subjects: int) -> None:
    """Make Snakemake record all jobs as run, none of which is; in parts, as one plan of all would take far longer."""
    parts = [
        range(start, min(start + AT_A_TIME, subjects)) for start in range(0, subjects, AT_A_TIME)
    ]
    touch = ("--touch", "--quiet", "all", "--scheduler", "greedy")
    for numbers in track(parts, "recording jobs"):
        list_subjects(folder, numbers)
        snakemake(folder, "--forceall", *touch)
    list_subjects(folder, range(subjects))
    snakemake(folder, *touch)


if __name__ == "__main__":
    main(tyro.cli(Options))
