"""What goes wrong in a run: killed jobs, broken files, and environments that cannot be built."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
OUTER = "results/tina/layered/outer"


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    """Wait until condition() holds while `process` runs; fails the test where either ends first."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()[-4000:]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def kill_hard(process: subprocess.Popen) -> None:
    """kill -9 of a process and of everything it started, by pid."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        os.kill(member.pid, signal.SIGKILL)
    psutil.wait_procs(family[1:], timeout=10)
    process.wait()


def test_a_killed_training_goes_on_where_it_was(done, tmp_path):
    (tmp_path / "long.yaml").write_text("layered: {outer: {iterations: 150, checkpoint_every: 10}}\n")
    args = ("--configfile", str(tmp_path / "long.yaml"))
    target = f"{OUTER}/avatar/avatar.json"
    process = subprocess.Popen(
        done.command(target, *args), cwd=done.folder, env=done.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    checkpoints = done.folder / OUTER / "checkpoints"
    wait_for(lambda: len(list(checkpoints.glob("[0-9]*"))) > 0, process)
    kill_hard(process)
    assert not (done.folder / target).exists()

    done.run("--unlock")
    done.run(target, *args, "--rerun-incomplete")
    assert (done.folder / target).is_file()
    assert "resumed after iteration" in (done.folder / "logs/train_outer/tina.log").read_text()
    assert done.planned(target, *args) == set()


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


def conda(*args: str, folder: Path) -> subprocess.CompletedProcess:
    """The uv-backed conda, run in `folder`."""
    command = [sys.executable, ROOT / "workflow/conda-uv/bin/conda", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_conda_package_is_refused_by_name(tmp_path):
    (tmp_path / "env.yaml").write_text("dependencies: [python=3.11, pip, cuda-toolkit=12.4]\n")
    done = conda("env", "create", "--file", "env.yaml", "--prefix", "env", folder=tmp_path)
    assert done.returncode != 0 and "cuda-toolkit=12.4: not on PyPI" in done.stderr
    assert not (tmp_path / "env").exists()


def test_a_rule_runs_in_its_own_environment(tmp_path, monkeypatch):
    """Built from a conda file by uv, without what the tests' own environment holds; rebuilt when the file changes."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / "env.yaml").write_text(f"dependencies: [python={version}, pip, {{pip: [cowsay==6.1]}}]\n")
    (tmp_path / "Snakefile").write_text(
        'rule a:\n    output: "a.txt"\n    conda: "env.yaml"\n'
        "    shell: \"python -c 'import cowsay, importlib.util as u; "
        'print(u.find_spec("torch"))\' > {output}"\n'.replace('("torch")', '(\\"torch\\")')
    )
    monkeypatch.setenv("PATH", f"{ROOT}/workflow/conda-uv/bin:{Path(sys.executable).parent}:{os.environ['PATH']}")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--sdm", "conda", "--conda-prefix", "envs"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "a.txt").read_text().strip() == "None"
    (tmp_path / "env.yaml").write_text(f"dependencies: [python={version}, pip, {{pip: [cowsay==6.0]}}]\n")
    again = subprocess.run([*command, "--dry-run"], cwd=tmp_path, capture_output=True, text=True)
    assert "Software environment definition has changed" in again.stdout + again.stderr
