"""The slurm profile on a real Slurm of one node: a job killed for its memory, GPU jobs side by side, one with two GPUs.

Needs Debian's or Ubuntu's packages (workflow/slurm-up.sh names them) and root, so that CI without them leaves it out:

    python -m pytest -m slow tests/workflow/test_workflow_slurm.py
"""

import importlib.util
import os
import re
import shutil
import subprocess
from datetime import datetime
from itertools import pairwise

import pytest
from workflow_project import ROOT, new_project

SUBJECTS = ("a", "b")
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


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing()),
]


@pytest.fixture(scope="module")
def slurm():
    """A Slurm with two make-believe GPUs and more memory and cores than there are."""
    environment = os.environ | {"GPUS": "2", "CPUS": "16", "MEM": "40000"}
    subprocess.run(["bash", ROOT / "workflow/slurm-up.sh"], env=environment, check=True)
    yield
    subprocess.run(["bash", ROOT / "workflow/slurm-down.sh"], check=True)


def field(text: str, name: str) -> str:
    found = re.search(rf"\b{name}=(\S+)", text)
    return found[1] if found else ""


def jobs_of(comment: str) -> list[dict]:
    """What Slurm remembers of the jobs with this comment, in the order of submission."""
    ids = subprocess.run(
        ["squeue", "-h", "--states=all", "-o", "%i"], check=True, capture_output=True, text=True
    )
    found = []
    for number in sorted(map(int, ids.stdout.split())):
        text = subprocess.run(
            ["scontrol", "show", "job", "-d", str(number)],
            check=True,
            capture_output=True,
            text=True,
        )
        if field(text.stdout, "Comment").startswith(comment):
            names = {
                "state": "JobState",
                "memory": "MinMemoryNode",
                "partition": "Partition",
                "limit": "TimeLimit",
            }
            job = {key: field(text.stdout, name) for key, name in names.items()}
            job["number"] = str(number)
            job["time"] = [
                datetime.fromisoformat(field(text.stdout, name))
                for name in ("StartTime", "EndTime")
            ]
            found.append(job)
    return found


def devices(project) -> dict[str, set[str]]:
    """What CUDA_VISIBLE_DEVICES was in the jobs, by the number of the job."""
    lines = (project.folder / "devices.txt").read_text().splitlines()
    return {
        number: set(seen.split(",")) - {""}
        for number, _, seen in (line.partition(" ") for line in lines)
    }


def apart(jobs: list[dict]) -> bool:
    """Whether no two of the jobs ran at the same time."""
    times = sorted(job["time"] for job in jobs)
    return all(end <= start for (_, end), (start, _) in pairwise(times))


@pytest.fixture(scope="module")
def run(slurm, tmp_path_factory):
    """Two subjects on the way to their coarse meshes; the body asks for too little, the meshes for two GPUs each."""
    project = new_project(
        tmp_path_factory.mktemp("clustered"),
        *(f"{name} synthetic {number} female" for number, name in enumerate(SUBJECTS)),
    )
    profile = "workflow/profiles/slurm/config.v9+.yaml"
    project.edit(profile, "body: {mem_mb: 4000 * attempt", "body: {mem_mb: 500 * attempt")
    project.edit(profile, "extract_mesh: {", "extract_mesh: {gpu: 2, ")
    project.edit(
        "workflow/job.sh",
        "trap",
        'echo "$SLURM_JOB_ID ${CUDA_VISIBLE_DEVICES:-}" >> devices.txt\ntrap',
    )
    meshes = [f"results/{name}/layered/single/mesh/mesh.json" for name in SUBJECTS]
    output = project.run(
        *meshes, "--workflow-profile", "workflow/profiles/slurm", *SOON, timeout=1500
    )
    assert all((project.folder / mesh).is_file() for mesh in meshes)
    return project, output


def test_a_job_killed_for_its_memory_is_tried_again_with_more(run):
    project, output = run
    attempts = jobs_of("rule_body")
    assert [job["memory"] for job in attempts] == ["500M", "1000M", "1500M"][: len(attempts)]
    assert [job["state"] for job in attempts] == ["FAILED"] * (len(attempts) - 1) + ["COMPLETED"]
    assert len(attempts) > 1 and "Trying to restart job" in output
    logs = [file.read_text() for file in (project.folder / "logs/slurm/rule_body").rglob("*.log")]
    assert any("exceeded memory limit" in text for text in logs)


def test_two_gpu_jobs_run_side_by_side_on_a_device_each(run):
    jobs, seen = jobs_of("rule_train_single"), devices(run[0])
    assert [job["state"] for job in jobs] == ["COMPLETED"] * 2 and not apart(jobs)
    assert {frozenset(seen[job["number"]]) for job in jobs} == {frozenset("0"), frozenset("1")}
    assert {(job["partition"], job["memory"], job["limit"]) for job in jobs} == {
        ("gpu", "8000M", "04:00:00")
    }


def test_jobs_that_need_both_devices_take_turns(run):
    jobs, seen = jobs_of("rule_extract_mesh"), devices(run[0])
    assert [seen[job["number"]] for job in jobs] == [{"0", "1"}] * 2 and apart(jobs)


def test_small_jobs_travel_together(run):
    (normalize,) = jobs_of("rule_normalize")
    assert normalize["partition"] == "main" and normalize["memory"] == "8000M"
    assert len(jobs_of("rule_check")) == 1
