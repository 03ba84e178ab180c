"""A job that is told to end: the program may save what it has, its log hears of it, and the job says what ended it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAVES = """
import signal, sys, time
def save(number, frame):
    print("saving", flush=True)
    time.sleep(0.2)
    print("saved", flush=True)
    sys.exit(int(sys.argv[1]))
signal.signal(signal.SIGTERM, save)
signal.signal(signal.SIGINT, save)
print("began", flush=True)
time.sleep(30)
"""
JOB = "set -euo pipefail; source '{root}/workflow/job.sh'; {python} '{program}' {status} 2>&1 | tee '{log}'; echo not reached"


def wait_for_began(log: Path) -> None:
    end = time.monotonic() + 20
    while not (log.is_file() and "began" in log.read_text()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def job(folder: Path, status: int) -> str:
    (folder / "program.py").write_text(SAVES)
    return JOB.format(
        root=ROOT,
        python=sys.executable,
        program=folder / "program.py",
        status=status,
        log=folder / "log",
    )


@pytest.mark.parametrize(
    ("number", "status", "says"),
    [
        (signal.SIGTERM, 143, "by signal 15 (TERM), by the scheduler"),
        (signal.SIGTERM, 1, "by signal 15 (TERM), by the scheduler"),  # as torchrun ends
        (signal.SIGINT, 130, "by signal 2 (INT), by Ctrl-C"),
        (signal.SIGTERM, 2, None),
    ],
)
def test_all_of_a_job_are_told_and_the_program_alone_decides_when_it_ends(
    tmp_path, number, status, says
):
    process = subprocess.Popen(
        ["bash", "-c", job(tmp_path, status)], start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_began(tmp_path / "log")
    os.killpg(process.pid, number)
    said, complaint = process.communicate(timeout=20)
    assert process.returncode == status
    assert said == (tmp_path / "log").read_text() == "began\nsaving\nsaved\n"
    assert (f"error: the job was ended {says}" in complaint) if says else complaint == ""


def test_a_pod_that_is_to_end_lets_the_program_save(tmp_path):
    """The first process of a pod, whom alone Kubernetes tells, in a process tree of its own as in a container."""
    (tmp_path / "jobscript.sh").write_text(
        f"bash -c {subprocess.list2cmdline([job(tmp_path, 143)])}\n"
    )
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a process tree")
    pod = [
        "bash",
        str(ROOT / "workflow/profiles/kubernetes/pod.sh"),
        str(tmp_path / "jobscript.sh"),
    ]
    process = subprocess.Popen(
        [*inside, *pod], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for_began(tmp_path / "log")
    (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(first), signal.SIGTERM)
    said = process.communicate(timeout=20)[0]
    assert process.returncode == 143 and "began\nsaving\nsaved\n" in said


def test_outside_of_a_pod_its_first_process_tells_nobody_else(tmp_path):
    """In a process tree of its own, where it is not the first: what must not be ended would else be this machine."""
    (tmp_path / "jobscript.sh").write_text(
        f"exec bash -c {subprocess.list2cmdline([job(tmp_path, 143)])}\n"
    )
    pod = f"bash '{ROOT}/workflow/profiles/kubernetes/pod.sh' '{tmp_path}/jobscript.sh'"
    script = (
        f"sleep 60 & other=$!; {pod} & pod=$!; until grep -q began '{tmp_path}/log' 2>/dev/null; do sleep 0.1; done; "
        "kill -TERM $pod; wait $pod; echo status $?; kill -0 $other && echo other lives; kill $other"
    )
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a process tree")
    done = subprocess.run(
        [*inside, "bash", "-c", script], capture_output=True, text=True, timeout=30
    )
    assert "status 143" in done.stdout and "other lives" in done.stdout, done


def test_a_reader_that_goes_away_ends_no_job(tmp_path):
    """As `make run | head` does: the log goes on."""
    program = "for number in 1 2 3 4; do sleep 0.1; echo $number; done"
    script = f"set -euo pipefail; source '{ROOT}/workflow/job.sh'; ({program}) 2>&1 | tee '{tmp_path / 'log'}'"
    process = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(timeout=20) == 0
    assert (tmp_path / "log").read_text() == "1\n2\n3\n4\n"
