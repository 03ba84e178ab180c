"""The slurm profile on a real Slurm, of one node with two GPUs and of two nodes with one each, one of which is lost.

Needs Debian's or Ubuntu's packages (workflow/slurm-up.sh names them) and root, so that CI without them leaves it out:

    python -m pytest -m slow tests/workflow/test_workflow_slurm.py
"""

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from slurm_cluster import (
    SOON,
    Job,
    apart,
    cluster,
    devices,
    lose_node,
    note_devices,
    of_rule,
    remembered,
    what_is_missing,
)
from workflow_project import Project, new_project

SUBJECTS = ("a", "b")
PROFILE = "workflow/profiles/slurm"
# Long enough for both to be met under way, and for one to be lost there.
TRAININGS = "\nlayered:\n  single: {iterations: 200, checkpoint_every: 10}\n"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing()),
]


@dataclass(frozen=True)
class Run:
    """A project that Snakemake has made something in through Slurm; its jobs; what Snakemake said."""

    project: Project
    jobs: list[Job]
    output: str

    def of(self, rule: str) -> list[Job]:
        return of_rule(self.jobs, rule)

    def avatar(self, subject: str) -> Path:
        return self.project.folder / f"results/{subject}/layered/single/avatar"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two subjects on the way to their coarse meshes; the body asks for too little, the meshes for two GPUs each."""
    project = new_project(
        tmp_path_factory.mktemp("clustered"),
        *(f"{name} synthetic {number} female" for number, name in enumerate(SUBJECTS)),
    )
    project.edit("config/config.yaml", "\nseed: 0\n", f"\nseed: 0\n{TRAININGS}")
    profile = f"{PROFILE}/config.v9+.yaml"
    project.edit(profile, "body: {mem_mb: 4000 * attempt", "body: {mem_mb: 500 * attempt")
    project.edit(profile, "extract_mesh: {", "extract_mesh: {gpu: 2, ")
    note_devices(project)
    meshes = [f"results/{name}/layered/single/mesh/mesh.json" for name in SUBJECTS]
    with cluster(GPUS=2):
        output = project.run(*meshes, "--workflow-profile", PROFILE, *SOON, timeout=1500)
        jobs = remembered()
    assert all((project.folder / mesh).is_file() for mesh in meshes)
    return Run(project, jobs, output)


def test_a_job_killed_for_its_memory_is_tried_again_with_more(run):
    attempts = run.of("body")
    assert [job.memory for job in attempts] == ["500M", "1000M", "1500M"][: len(attempts)]
    assert [job.state for job in attempts] == ["FAILED"] * (len(attempts) - 1) + ["COMPLETED"]
    assert len(attempts) > 1 and "Trying to restart job" in run.output
    logs = (run.project.folder / "logs/slurm/rule_body").rglob("*.log")
    assert any("exceeded memory limit" in file.read_text() for file in logs)


def test_two_gpu_jobs_run_side_by_side_on_a_device_each(run):
    jobs, seen = run.of("train_single"), devices(run.project)
    assert [job.state for job in jobs] == ["COMPLETED"] * 2 and not apart(jobs)
    devices_of_each = [seen[job.number] for job in jobs]
    assert sorted(devices_of_each, key=sorted) == [{("node1", "0")}, {("node1", "1")}]
    assert {(job.partition, job.memory, job.limit) for job in jobs} == {
        ("gpu", "8000M", "04:00:00")
    }


def test_jobs_that_need_both_devices_take_turns(run):
    jobs, seen = run.of("extract_mesh"), devices(run.project)
    assert [seen[job.number] for job in jobs] == [{("node1", "0"), ("node1", "1")}] * 2
    assert apart(jobs)


def test_small_jobs_travel_together(run):
    (normalize,) = run.of("normalize")
    assert normalize.partition == "main" and normalize.memory == "8000M"
    assert len(run.of("check")) == 1


def wait_for(what, process: subprocess.Popen, timeout: float = 300) -> None:
    """Until `what` answers with something true; fails where Snakemake has ended or time is up."""
    end = time.monotonic() + timeout
    while not what():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.5)


def trained(project: Project, subject: str) -> int:
    """Iterations in the newest checkpoint of the subject's training; 0 where there is none."""
    folder = project.folder / f"results/{subject}/layered/single/checkpoints"
    return max((int(file.parent.name) for file in folder.glob("*/checkpoint.json")), default=0)


@pytest.fixture(scope="module")
def lost(run, tmp_path_factory):
    """Both trainings anew, on two nodes with a GPU each, of which the second is lost when both are under way."""
    project = run.project.copy(tmp_path_factory.mktemp("nodes") / "p")
    (project.folder / "devices.txt").unlink()
    for subject in SUBJECTS:
        shutil.rmtree(project.folder / f"results/{subject}/layered")
    avatars = [f"results/{name}/layered/single/avatar/avatar.json" for name in SUBJECTS]
    command = project.command(*avatars, "--workflow-profile", PROFILE, *SOON)
    said = project.folder / "said.txt"
    with cluster(NODES=2, GPUS=1, TIMEOUT=10):
        with said.open("w") as file:
            process = subprocess.Popen(
                command, cwd=project.folder, env=project.environment(), stdout=file, stderr=file
            )
        try:
            wait_for(lambda: all(trained(project, name) >= 20 for name in SUBJECTS), process)
            before = remembered(ended=False)
            lose_node("node2")
            assert process.wait(timeout=600) == 0, said.read_text()[-6000:]
        finally:
            process.kill()
        jobs = remembered()
    return Run(project, jobs, said.read_text()), before


def test_jobs_run_on_two_nodes_at_a_time_with_a_device_each(lost):
    after, before = lost
    assert [job.state for job in before] == ["RUNNING"] * 2
    assert {job.node for job in before} == {"node1", "node2"}
    seen = devices(after.project)
    assert all((job.node, "0") in seen[job.number] for job in before)


def test_a_training_whose_node_is_lost_goes_on_from_its_checkpoint_on_the_other(run, lost):
    after, before = lost
    (left,) = [job for job in before if job.node == "node2"]
    (again,) = [job for job in after.jobs if job.number == left.number]
    assert (again.state, again.node, again.restarts) == ("COMPLETED", "node1", "1")
    assert len(after.of("train_single")) == 2  # Snakemake did not start it again too
    subject = again.comment.removeprefix("rule_train_single_wildcards_")
    log = (after.project.folder / f"logs/train_single/{subject}.log").read_text()
    assert f"{subject} single: resumed after iteration " in log
    for name in SUBJECTS:  # a disturbed training ends in the same bytes
        (file,) = run.avatar(name).glob("*.safetensors")
        assert (after.avatar(name) / file.name).read_bytes() == file.read_bytes()
