"""The kubernetes profile: its dry run, and a job through a make-believe cluster whose kubectl runs pods as processes."""

import importlib.util
import json
import os
import stat
import subprocess
from dataclasses import dataclass

import pytest
import yaml
from workflow_project import ROOT, Project

PROFILE = ("--workflow-profile", "workflow/profiles/kubernetes")
FOLDER = ROOT / "workflow/profiles/kubernetes"

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("snakemake_executor_plugin_cluster_generic"),
    reason="needs snakemake-executor-plugin-cluster-generic (requirements-test.txt)",
)

KUBECTL = """#!/usr/bin/env python3
import json, os, subprocess, sys
from pathlib import Path
jobs = Path(os.environ["FAKE_CLUSTER"])
if sys.argv[1] == "create":
    document = json.load(sys.stdin)
    number = len(list(jobs.glob("*.json")))
    (jobs / f"{number}.json").write_text(json.dumps(document))
    container = document["spec"]["template"]["spec"]["containers"][0]
    command = "bash -c 'exit 137'" if number == 0 else " ".join(container["command"])
    script = f"{command}; echo $? > {jobs}/{number}.status"
    log = (jobs / f"{number}.log").open("w")
    subprocess.Popen(["bash", "-c", script], cwd=container["workingDir"], stdout=log, stderr=log)
    print(f"job.batch/{document['metadata']['generateName']}{number}")
elif sys.argv[1] == "get":
    status = jobs / f"{sys.argv[2].rpartition('-')[2]}.status"
    if sys.argv[2].startswith("job.batch/gone"):
        sys.exit('Error from server (NotFound): jobs.batch "gone" not found')
    if sys.argv[2].startswith("job.batch/unreachable"):
        sys.exit("Unable to connect to the server: net/http: TLS handshake timeout")
    code = status.read_text().strip() if status.exists() else ""
    print({"": "/", "0": "1/"}.get(code, "/1"), end="")
"""


@dataclass(frozen=True)
class Clustered(Project):
    """A project whose kubectl is ours."""

    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return super().environment() | {"PATH": path, "FAKE_CLUSTER": str(self.folder / "cluster")}


SMALL = """
rule train_single:
    output: "avatar.txt"
    threads: 64
    resources: gpu=2, mem_mb=8000, runtime=240
    shell: "hostname > {output}"
"""


@pytest.fixture
def clustered(project) -> Clustered:
    """The profile with one quick rule in the place of the workflow."""
    for name in ("bin", "cluster"):
        (project.folder / name).mkdir()
    kubectl = project.folder / "bin/kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    (project.folder / "Snakefile").write_text(SMALL)
    return Clustered(project.folder)


def test_a_dry_run_needs_no_cluster(project):
    assert project.planned(*PROFILE) >= {"body", "train_single", "collect"}


def test_a_pod_that_ran_out_of_memory_is_tried_again_with_more(clustered):
    output = clustered.run(
        *PROFILE, "--cores", "64", "--seconds-between-status-checks", "1", "--latency-wait", "5"
    )
    assert "Trying to restart job" in output and (clustered.folder / "avatar.txt").is_file()
    first, second = (
        json.loads((clustered.folder / f"cluster/{n}.json").read_text()) for n in range(2)
    )
    assert first["metadata"]["generateName"] == "avatarpipe-train-single-"
    assert first["spec"]["backoffLimit"] == 0 and first["spec"]["activeDeadlineSeconds"] == 240 * 60
    for job, memory in ((first, "8000M"), (second, "16000M")):
        pod = job["spec"]["template"]["spec"]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "avatarpipe"
        assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/project"
        assert pod["containers"][0]["resources"] == {
            "requests": {"cpu": "16", "memory": memory, "nvidia.com/gpu": "2"},
            "limits": {"memory": memory, "nvidia.com/gpu": "2"},
        }


@pytest.mark.parametrize(("name", "status"), [("gone-0", "failed"), ("unreachable-0", "running")])
def test_a_job_that_is_gone_failed_and_a_silent_cluster_is_waited_for(clustered, name, status):
    command = [clustered.folder / "workflow/profiles/kubernetes/status.sh", f"job.batch/{name}"]
    done = subprocess.run(
        command, env=clustered.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == status


def test_the_head_pod_mounts_what_jobs_mount_and_may_make_them():
    parts = {part["kind"]: part for part in yaml.safe_load_all((FOLDER / "head.yaml").read_text())}
    profile = (FOLDER / "config.v9+.yaml").read_text()
    container = parts["Pod"]["spec"]["containers"][0]
    assert f"--image {container['image']}\n" in profile
    assert f"--mount {container['volumeMounts'][0]['mountPath']}\n" in profile
    assert f"--claim {parts['PersistentVolumeClaim']['metadata']['name']}\n" in profile
    assert set(parts["Role"]["rules"][0]["verbs"]) == {"create", "get", "delete"}
