"""Each job gets a GPU of its own: workflow/gpu.sh on make-believe devices."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "workflow/gpu.sh"
TWO_DEVICES = "compgen() { printf '/dev/nvidia0\\n/dev/nvidia1\\n'; }; "


@pytest.fixture
def job(tmp_path):
    """Start a job that takes a GPU, says which, and holds it until its standard input closes."""
    started = []

    def start(setup: str = TWO_DEVICES, **environment: str) -> subprocess.Popen:
        command = f"set -euo pipefail; source {SCRIPT}; {setup} take_gpu; echo ${{CUDA_VISIBLE_DEVICES:-none}}; cat"
        base = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            ["bash", "-c", command], env=base | environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


def device(process: subprocess.Popen) -> str:
    return process.stdout.readline().strip()


def test_two_jobs_get_one_device_each_and_a_third_waits_for_the_first_to_end(job):
    first, second = job(), job()
    assert {device(first), freed := device(second)} == {"0", "1"}
    third = job()
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(timeout=0.5)
    second.kill()
    assert device(third) == freed


def test_only_devices_that_the_user_allows_are_taken(job):
    assert device(job(CUDA_VISIBLE_DEVICES="1")) == "1"


def test_nothing_is_taken_without_a_gpu_or_where_slurm_has_chosen(job):
    assert device(job(setup="compgen() { return 1; };")) == "none"
    assert device(job(SLURM_JOB_ID="7", CUDA_VISIBLE_DEVICES="5")) == "5"
