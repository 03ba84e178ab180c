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

    def start(setup: str = TWO_DEVICES, gpus: str = "", **environment: str) -> subprocess.Popen:
        command = f"set -euo pipefail; source {SCRIPT}; {setup} take_gpu {gpus}; echo ${{CUDA_VISIBLE_DEVICES:-none}}; cat"
        base = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            ["bash", "-c", command], env=base | environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()
        process.stderr.close()


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


def test_a_job_that_needs_two_waits_for_both_and_holds_none_meanwhile(job):
    one = job()
    first = device(one)
    both = job(gpus="2")
    with pytest.raises(subprocess.TimeoutExpired):
        both.wait(timeout=0.5)
    other = job()
    assert {first, device(other)} == {"0", "1"}
    one.kill(), other.kill()
    assert device(both) == "0,1"


def test_more_devices_than_there_are_is_one_clear_error(job):
    process = job(gpus="3")
    assert process.wait(timeout=5) != 0
    assert "this job needs 3 GPUs; those it may use here are 0,1" in process.stderr.read()


def test_a_container_that_was_given_the_fourth_device_alone_numbers_it_0(job):
    assert device(job(setup="compgen() { echo /dev/nvidia3; };")) == "0"


def test_a_job_may_do_without_a_gpu(job):
    assert device(job(gpus="0")) == "none"


def test_only_devices_that_the_user_allows_are_taken(job):
    assert device(job(CUDA_VISIBLE_DEVICES="1")) == "1"


def test_nothing_is_taken_without_a_gpu_or_where_slurm_has_chosen(job):
    assert device(job(setup="compgen() { return 1; };")) == "none"
    assert device(job(SLURM_JOB_ID="7", CUDA_VISIBLE_DEVICES="5")) == "5"


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        ("1", ["-m", "some.step", "--name", "a b {c}"]),
        (
            "3",
            ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3", "-m", "some.step", "--name", "a b {c}"],
        ),
    ],
)  # fmt: skip
def test_several_devices_get_a_process_each(gpus, expected):
    stub = "python() { printf '%s\\n' \"$@\"; };"
    command = f"set -euo pipefail; source {SCRIPT}; {stub} on_gpus {gpus} python -m some.step --name 'a b {{c}}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == expected
