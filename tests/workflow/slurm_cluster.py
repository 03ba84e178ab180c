"""A Slurm of nodes with make-believe GPUs on this machine, what it remembers of its jobs, and the loss of a node."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import psutil
from workflow_project import ROOT, Project

SOON = (
    "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1",
    "--seconds-between-status-checks", "1", "--latency-wait", "5",
)  # fmt: skip


def what_is_missing() -> str:
    """Why Slurm cannot be started here; empty where it can."""
    daemons = [
        name for name in ("slurmctld", "slurmd", "munged", "sbatch") if not shutil.which(name)
    ]
    if daemons:
        return f"no {', '.join(daemons)} here (workflow/slurm-up.sh names the packages)"
    if os.getuid() != 0:
        return "only root can start a Slurm"
    plugin = importlib.util.find_spec("snakemake_executor_plugin_slurm")
    return "" if plugin else "needs snakemake-executor-plugin-slurm (requirements-test.txt)"


@contextmanager
def cluster(**wanted: int) -> Iterator[None]:
    """A Slurm as workflow/slurm-up.sh makes it of these variables; its daemons end with the block."""
    variables = {"CPUS": 16, "MEM": 40000} | wanted
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    try:
        subprocess.run(["bash", ROOT / "workflow/slurm-up.sh"], env=environment, check=True)
        yield
    finally:
        subprocess.run(["bash", ROOT / "workflow/slurm-down.sh"], check=True)


@dataclass(frozen=True)
class Job:
    """What Slurm says of a job. time: its first and last second; of one that was queued again, of the last attempt."""

    number: str
    comment: str  # rule_RULE_wildcards_WILDCARDS
    state: str
    memory: str
    partition: str
    limit: str
    node: str
    restarts: str
    time: tuple[datetime, datetime]


def answer(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def field(text: str, name: str) -> str:
    found = re.search(rf"\b{name}=(\S+)", text)
    return found[1] if found else ""


def remembered(ended: bool = True) -> list[Job]:
    """Slurm's jobs in the order of submission; those that are still to end have no time."""
    numbers = sorted(map(int, answer("squeue", "-h", "--states=all", "-o", "%i").split()))
    return [described(str(number), ended) for number in numbers]


def described(number: str, ended: bool) -> Job:
    text = answer("scontrol", "show", "job", "-d", number)
    names = [
        "Comment",
        "JobState",
        "MinMemoryNode",
        "Partition",
        "TimeLimit",
        "NodeList",
        "Restarts",
    ]
    times = [field(text, name) for name in ("StartTime", "EndTime")] if ended else []
    return Job(
        number, *(field(text, name) for name in names), tuple(map(datetime.fromisoformat, times))
    )


def of_rule(jobs: list[Job], rule: str) -> list[Job]:
    """Those of one rule; of a group that is called like one of its rules too."""
    return [job for job in jobs if job.comment.startswith(f"rule_{rule}")]


def apart(jobs: list[Job]) -> bool:
    """Whether no two of the jobs ran at the same time."""
    times = sorted(job.time for job in jobs)
    return all(end <= start for (_, end), (start, _) in pairwise(times))


def note_devices(project: Project) -> None:
    """Let every job note its number, its node and what CUDA_VISIBLE_DEVICES is where its command starts."""
    line = 'echo "$SLURM_JOB_ID $SLURMD_NODENAME ${CUDA_VISIBLE_DEVICES:-}" >> devices.txt'
    project.edit("workflow/job.sh", "trap", f"{line}\ntrap")


def devices(project: Project) -> dict[str, set[tuple[str, str]]]:
    """What was noted, as (node, device), by the number of the job."""
    found: dict[str, set[tuple[str, str]]] = {}
    for line in (project.folder / "devices.txt").read_text().splitlines():
        number, node, *seen = line.split()
        found.setdefault(number, set()).update(
            (node, device) for device in ",".join(seen).split(",") if device
        )
    return found


def lose_node(node: str) -> None:
    """End a node's slurmd and all that it runs, as a power cut would: nobody can say goodbye."""
    jobs = [job.number for job in remembered(ended=False) if job.node == node]
    daemon = int(Path(f"/run/slurmd-{node}.pid").read_text())
    doomed = [psutil.Process(daemon)]
    for process in psutil.process_iter():
        try:
            runs, environment = " ".join(process.cmdline()), process.environ()
        except psutil.Error:
            continue
        here = environment.get("SLURMD_NODENAME") == node
        keeper = any(runs.startswith(f"slurmstepd: [{number}.") for number in jobs)
        if here or keeper:
            doomed.append(process)
    for process in doomed:
        if process.is_running():
            process.kill()
