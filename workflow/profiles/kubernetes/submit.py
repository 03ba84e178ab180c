"""Make a Kubernetes Job of a Snakemake jobscript and print its name: what the kubernetes profile submits jobs with.

The pod runs the script in a container of `--image`, with the volume claim `--claim` at `--mount`: the folder that holds the
project, at the same place in every pod. Cores, memory, minutes and GPUs are those of the rule; memory grows with the attempt.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from snakemake.utils import read_job_properties


def attempt(script: str) -> int:
    """Which attempt at the job this is, from 1, as the jobscript hands it on."""
    found = re.search(r"--attempt[ =]'?(\d+)", script)
    return int(found[1]) if found else 1


def demands(properties: dict, attempt: int, gpu: str) -> dict:
    """The container's `resources`: requests are what it gets; memory and GPUs are also its limits."""
    resources = properties["resources"]
    hard = {"memory": f"{int(resources.get('mem_mb', 4000)) * attempt}M"}
    if resources.get("gpu"):
        hard[gpu] = str(resources["gpu"])
    return {"requests": {"cpu": str(properties.get("threads", 1))} | hard, "limits": hard}


def manifest(script: Path, options: argparse.Namespace) -> dict:
    """The Job (API batch/v1). It is never started again by Kubernetes: Snakemake does that, with more memory."""
    properties = read_job_properties(script)
    name = properties.get("rule") or properties.get("groupid") or "job"
    container = {
        "name": "job",
        "image": options.image,
        "command": ["bash", str(Path(__file__).resolve().with_name("pod.sh")), str(script.resolve())],
        "workingDir": str(Path.cwd()),
        "env": [{"name": "HOME", "value": "/tmp"}],
        "resources": demands(properties, attempt(script.read_text()), options.gpu),
        "volumeMounts": [{"name": "project", "mountPath": options.mount}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "project", "persistentVolumeClaim": {"claimName": options.claim}}],
    }
    minutes = int(properties["resources"].get("runtime", 60))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"avatarpipe-{re.sub('[^a-z0-9]+', '-', str(name).lower())[:40]}-",
            "labels": {"app": "avatarpipe"},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 60 * minutes,
            "ttlSecondsAfterFinished": 24 * 3600,
            "template": {"metadata": {"labels": {"app": "avatarpipe"}}, "spec": pod},
        },
    }


def main() -> None:
    """Create the Job; its name, as kubectl prints it (job.batch/...), is what Snakemake asks about later."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--image",
        required=True,
        help="container image with bash and the Python that the .venv was made with",
    )
    parser.add_argument(
        "--claim", required=True, help="name of the volume claim that holds the project"
    )
    parser.add_argument("--mount", required=True, help="where the claim lies in every pod")
    parser.add_argument("--gpu", default="nvidia.com/gpu", help="what the cluster calls a GPU")
    parser.add_argument("jobscript", type=Path)
    options = parser.parse_args()
    document = json.dumps(manifest(options.jobscript, options))
    done = subprocess.run(
        ["kubectl", "create", "-f", "-", "-o", "name"],
        input=document,
        text=True,
        stdout=subprocess.PIPE,
    )
    sys.stdout.write(done.stdout)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
