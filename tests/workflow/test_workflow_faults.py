"""What goes wrong in a run: killed jobs, lost GPUs, full disks, broken and changing files, two runs at once."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from workflow_project import TOLD_BY_BYTES

ROOT = Path(__file__).parents[2]
OUTER = "results/tina/layered/outer"


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    """Wait until condition() holds while `process` runs; fails the test where either ends first."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()[-4000:]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


LOSES_ITS_GPU = """
import os
if "LOSE_THE_GPU" in os.environ:
    import torch
    class Adam(torch.optim.Adam):
        steps = 0
        def step(self, *args, **kwargs):
            Adam.steps += 1
            if Adam.steps > 25:
                raise torch.AcceleratorError("CUDA error: unspecified launch failure\\nCompile with")
            return super().step(*args, **kwargs)
    torch.optim.Adam = Adam
"""


def test_a_training_survives_a_lost_gpu_a_killed_snakemake_and_what_that_leaves_running(
    done, tmp_path
):
    """Three faults of one training; each time the next run says what to do, or goes on from the last checkpoint."""
    (tmp_path / "long.yaml").write_text(
        "layered: {outer: {iterations: 80, checkpoint_every: 10}}\n"
    )
    args = ("--configfile", str(tmp_path / "long.yaml"), "--rerun-incomplete")
    target = f"{OUTER}/avatar/avatar.json"
    log = done.folder / "logs/train_outer/tina.log"
    checkpoints = done.folder / OUTER / "checkpoints"

    (done.folder / "sitecustomize.py").write_text(LOSES_ITS_GPU)  # on the path of every job
    output = start(done, target, *args, LOSE_THE_GPU="1").communicate(timeout=600)[0]
    assert "error: the GPU failed or is gone (CUDA error: unspecified launch failure)" in output
    assert "Traceback" not in output and not (done.folder / target).exists()
    saved = newest(checkpoints)
    assert saved

    snakemake = start(done, target, *args)
    wait_for(lambda: newest(checkpoints) > saved, snakemake)
    family = psutil.Process(snakemake.pid).children(recursive=True)
    (training,) = [
        child
        for child in family
        if child.name().startswith("python") and "train_layered" in " ".join(child.cmdline()[:4])
    ]
    training.suspend()  # as slow as can be
    os.kill(snakemake.pid, signal.SIGKILL)
    snakemake.wait()  # its pipe stays open: the training holds it
    assert "resumed after iteration" in log.read_text()

    output = done.run(target, *args, succeeds=False)
    assert "Directory cannot be locked" in output and "--unlock" in output
    done.run("--unlock")
    output = done.run(target, *args, succeeds=False)
    assert f"another process is training here (process {training.pid} on " in output
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)

    done.run(target, *args)
    assert "resumed after iteration" in log.read_text() and not checkpoints.exists()
    assert done.planned(target, *args) == set()


def start(project, *args: str, **environment: str) -> subprocess.Popen:
    """Snakemake, started in the project."""
    return subprocess.Popen(
        project.command(*args), cwd=project.folder, env=project.environment() | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def newest(checkpoints: Path) -> str:
    """The name of the newest checkpoint; empty where there is none."""
    return max((path.name for path in checkpoints.glob("[0-9]*")), default="")


def test_a_truncated_input_is_one_clear_error_and_nothing_half_written(done):
    mesh = next((done.folder / "results/tina/synthesize").rglob("mesh-f*.pkl"))
    mesh.write_bytes(mesh.read_bytes()[:1000])
    output = done.run("results/tina/convert/capture.json", "--forcerun", "convert", succeeds=False)
    (error,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert mesh.name in error and "Traceback" not in output
    assert "logs/convert/tina.log" in output
    assert not (done.folder / "results/tina/convert/capture.json").exists()


def test_a_broken_manifest_is_named(done):
    manifest = done.folder / "results/tina/normalize/capture.json"
    manifest.write_text(manifest.read_text()[:100])
    output = done.run("results/tina/render/capture.json", succeeds=False)
    assert "normalize/capture.json: not valid JSON" in output and "Traceback" not in output


def test_two_runs_in_one_folder_are_refused_and_the_first_ends_well(project):
    (project.folder / "Snakefile").write_text(
        "rule slow:\n    output: 'a.txt'\n    shell: 'touch begun; while [ ! -e go ]; do sleep 0.1; done; echo whole > {output}'\n"
    )
    first = start(project)
    wait_for((project.folder / "begun").exists, first)
    output = project.run(succeeds=False)
    assert "Directory cannot be locked" in output and "no other Snakemake process" in output
    (project.folder / "go").touch()
    assert first.wait(timeout=60) == 0 and (project.folder / "a.txt").read_text() == "whole\n"
    first.stdout.close()
    assert "Nothing to be done" in project.run()


def test_a_full_disk_loses_nothing_and_is_named(done):
    folder = done.folder / "results/tina/normalize"
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    target = "results/tina/normalize/capture.json"
    try:
        (folder / "kept").touch()  # or Snakemake would try to remove the mount as an empty folder
        output = done.run(target, succeeds=False)
        assert "error: the disk is full" in output and "Traceback" not in output
        left = {path.name for path in folder.rglob("*") if path.is_file()}
        assert left - {".snakemake_timestamp"} == {"kept"}
        subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
        done.run(target)
        assert json.loads((folder / "capture.json").read_text())["provenance"]
    finally:
        subprocess.run(["umount", folder], check=True)


def test_clocks_that_are_off_and_copies_rerun_nothing(done):
    """A body of megabytes dated tomorrow, a manifest dated tomorrow, and an output older than all it was made from."""
    tomorrow = time.time() + 24 * 3600
    for path in ("results/body/SMPLX_FEMALE.npz", "results/tina/convert/capture.json"):
        os.utime(done.folder / path, (tomorrow, tomorrow))
    os.utime(done.folder / "results/tina/render/capture.json", (0, 0))
    assert done.planned(*TOLD_BY_BYTES) == set()


CHANGES_ITS_INPUT = """
import os, pathlib, sys
if "CHANGE_THE_INPUT" in os.environ and "avatarpipe.steps.normalize" in sys.orig_argv:
    from avatarpipe.capture import writing
    publishing = writing.publishing
    def late(*args, **options):
        file = pathlib.Path("results/tina/convert/capture.json")
        file.write_text(file.read_text() + " ")
        return publishing(*args, **options)
    writing.publishing = late
"""


def test_an_input_that_changes_while_a_job_runs_fails_it_and_the_next_run_makes_it_anew(done):
    (done.folder / "sitecustomize.py").write_text(CHANGES_ITS_INPUT)
    target = "results/tina/normalize/capture.json"
    process = start(done, target, "--forcerun", "normalize", CHANGE_THE_INPUT="1")
    output = process.communicate(timeout=300)[0]
    assert process.returncode != 0 and "Traceback" not in output
    assert "results/tina/convert/capture.json: changed while this step was reading it" in output
    assert not (done.folder / target).exists()
    assert "normalize" in done.planned(target)


@pytest.mark.parametrize(
    ("signal_name", "says"),
    [
        ("KILL", "by signal 9 (KILL), most often because memory ran out"),
        ("TERM", "by signal 15 (TERM), by the scheduler"),
    ],
)
def test_a_job_that_was_killed_says_so(signal_name, says):
    script = f"set -euo pipefail; source {ROOT}/workflow/job.sh; bash -c 'kill -{signal_name} $$' 2>&1 | cat; echo not reached"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode > 128 and done.stdout == ""
    assert f"error: the job was ended {says}" in done.stderr


@pytest.mark.parametrize("status", [0, 1, 2, 75])
def test_a_job_that_ended_by_itself_speaks_for_itself(status):
    done = subprocess.run(
        ["bash", "-c", f"source {ROOT}/workflow/job.sh; exit {status}"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (status, "")
