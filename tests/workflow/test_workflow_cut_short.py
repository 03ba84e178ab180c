"""Every step of a whole run, cut short by a disk that fills up or by kill -9: what looks whole is, and run again the step makes the
same bytes.

Slow, and only where a tmpfs may be mounted, as root:

    python -m pytest -m slow tests/workflow/test_workflow_cut_short.py
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from workflow_project import TOLD_BY_BYTES, Project, new_project

from avatarpipe.faults import MACHINE_FAILED
from avatarpipe.provenance_files import find_provenance, fingerprint, read_provenance
from avatarpipe.reruns import Recorded

pytestmark = pytest.mark.slow

STEPS = (
    "body", "motions", "tables",
    "tina/synthesize", "tina/convert", "tina/normalize", "tina/render", "tina/align", "tina/segment",
    "tina/layered/single/avatar", "tina/layered/single/mesh", "tina/layered/inner/avatar", "tina/layered/outer/avatar",
    "tina/layered/outer/mesh", "tina/layered/evaluate", "tina/layered/pictures", "tina/layered/export", "tina/layered/drive/dance",
    "vera/synthesize_video", "vera/convert", "vera/normalize", "vera/align", "vera/animatable/weights",
    "vera/animatable/full/avatar", "vera/animatable/skinned/avatar", "vera/animatable/evaluate", "vera/animatable/pictures",
    "vera/animatable/drive/dance",
)  # fmt: skip
SUBJECTS = """subject\tdataset\tsource\tgender\tframes\tmethods
tina\tsynthetic\t3\tfemale\t0\tlayered
vera\tsynthetic-video\t5\tfemale\tall\tanimatable
"""
DANCE = """
motions: {dance: {file: "procedural:dance", gender: female}}
drive: {motions: [dance], methods: [animatable, layered]}
"""
ROOM = "size=4g"
A_PAGE = 4096  # bytes of a tmpfs


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Project:
    """A subject of each method, whole."""
    project = new_project(tmp_path_factory.mktemp("both"), "tina synthetic 3 female")
    (project.folder / "config/subjects.tsv").write_text(SUBJECTS)
    with (project.folder / "config/config.yaml").open("a") as config:
        config.write(DANCE)
    project.run(*TOLD_BY_BYTES, timeout=1800)
    return project


@pytest.fixture(scope="module")
def recorded(both) -> dict[str, Recorded]:
    """Every step of that run by the folder of its provenance file, as seen from results/."""
    root = both.folder / "results"
    return {
        str(path.parent.relative_to(root)): Recorded(path, read_provenance(path))
        for path in find_provenance(root)
    }


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of its own, whose size can be changed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ROOM, "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def resize(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", disk], check=True)


class Cut:
    """A copy of the project that lacks what one step makes, and that step in it."""

    def __init__(self, both: Project, recorded: dict[str, Recorded], name: str, disk: Path):
        self.steps, self.step = recorded, recorded[name]
        self.folder = disk / "project"
        shutil.copytree(both.folder, self.folder, symlinks=True)
        for path in self.step.relative:
            made = self.folder / path
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        own = self.folder / self.step.path.relative_to(both.folder)
        own.unlink(missing_ok=True)
        self.before = self.files()

    def files(self) -> set[Path]:
        return {path for path in (self.folder / "results").rglob("*") if path.is_file()}

    def start(self) -> subprocess.Popen:
        """The step with its arguments of then, on as many threads."""
        document = self.step.document
        threads = str(document["run"]["threads"])
        ours = Project(self.folder).environment()
        ours |= {
            "PYTHONPATH": str(self.folder),
            "OMP_NUM_THREADS": threads,
            "NUMBA_NUM_THREADS": threads,
        }
        return subprocess.Popen(
            [sys.executable, "-m", document["module"], *document["arguments"]], cwd=self.folder, env=ours,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    @property
    def out(self) -> Path:
        """What is written last, and says to the workflow that the rest is there: of a motion the manifest beside its npz."""
        named = Path(self.step.document["config"]["out"])
        if self.step.step == "convert-motion":
            named = named.with_suffix(".json")
        return self.folder / named

    def is_whole(self, step: Recorded) -> bool:
        """Whether all that a step makes is there as it was made first."""
        found = {self.folder / path: kept["sha256"] for path, kept in step.relative.items()}
        return all(
            path.exists() and fingerprint(path)["sha256"] == kept for path, kept in found.items()
        )

    def check(self) -> None:
        """What others made is as it was, and the step, if it seems to be done, is."""
        others = [step for step in self.steps.values() if step is not self.step]
        assert all(map(self.is_whole, others))
        assert not self.out.exists() or self.is_whole(self.step)

    def check_again(self) -> None:
        """Run to its end the step makes what it made first."""
        again = self.start()
        said = again.communicate(timeout=900)[1]
        assert again.returncode == 0 and self.is_whole(self.step), said


def test_the_list_of_steps_is_that_of_a_whole_run(recorded):
    assert sorted(recorded) == sorted(STEPS)


@pytest.mark.parametrize("share", [0.03, 0.6])
@pytest.mark.parametrize("name", STEPS)
def test_a_disk_that_fills_up_at_any_step(both, recorded, disk, name, share):
    """With room for this share of what the step writes."""
    cut = Cut(both, recorded, name, disk)
    written = sum(kept["bytes"] for kept in cut.step.outputs.values())
    room = shutil.disk_usage(disk).used + int(share * written) + A_PAGE
    resize(disk, f"size={room}")
    step = cut.start()
    said = step.communicate(timeout=900)[1]
    assert step.returncode == MACHINE_FAILED and "Traceback" not in said, said
    assert "error: the disk is full" in said
    resize(disk, ROOM)
    cut.check()
    cut.check_again()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", STEPS)
def test_a_kill_at_any_step(both, recorded, disk, name, seed):
    """Some time after it has begun to write."""
    cut = Cut(both, recorded, name, disk)
    step = cut.start()
    while step.poll() is None and not cut.files() - cut.before:
        time.sleep(0.01)
    time.sleep(random.Random(f"{name} {seed}").choice((0.0, 0.01, 0.03, 0.1, 0.3, 1.0)))
    if step.poll() is None:
        os.killpg(step.pid, signal.SIGKILL)
    step.communicate(timeout=60)
    cut.check()
    cut.check_again()
