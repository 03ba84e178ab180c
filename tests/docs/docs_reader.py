"""The project as a reader of the pages has it: the whole tree, a `.venv`, four subjects, and files that only a reader has."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from test_workflow_kubernetes import KUBECTL
from workflow_project import PARTS, ROOT, Project, new_project

from avatarpipe.body.free.builder import build_body, write_body
from avatarpipe.body.model import Body
from avatarpipe.cameras import orbit
from avatarpipe.datasets.writers import nerfstudio
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import render_mesh
from avatarpipe.motions.procedural import make

SUBJECTS = (
    "subject dataset source gender frames methods",
    "ada synthetic 1 female 0 layered",
    "bob synthetic 2 male 0 layered",
    "vic synthetic-video 7 male all animatable",
    "ann nerfstudio ann neutral all none",
)
MOTIONS = """
motions:
  dance: {file: procedural:dance, gender: male}
  walk: procedural:walk
  NAME: procedural:turn
drive:
  motions: [dance]
"""
TWO_CAMERAS = "animatable: {cameras_per_step: 2}\n"  # what two processes of one training share
PROGRAMS = {  # what `.venv/bin` holds, by the words behind Python that do the same
    "python": "",
    "avatarpipe": "-m avatarpipe",
    "snakemake": "-m snakemake",
    "torchrun": "-m torch.distributed.run",
    "pip": "-m pip",
}
# Files that the pages' commands name and only their reader has, each a kind of file that we can make.
MOTION_FILES = ("FILE", "punch_poses.npz")
BODY_FILES = ("SMPLX_MALE.npz", "resources/smplx/SMPLX_MALE.npz")
CONFIG_FILE = "my.yaml"


def with_readers_subjects(folder: Path, preset: str) -> Project:
    """The workflow in a folder that is there, its table and motions those that pages speak of; no capture of ann's yet."""
    project = new_project(folder, preset=preset)
    rows = "".join("\t".join(row.split()) + "\n" for row in SUBJECTS)
    (folder / "config/subjects.tsv").write_text(rows)
    with (folder / "config/config.yaml").open("a") as file:
        file.write(MOTIONS)
    return project


@dataclass(frozen=True)
class Reader(Project):
    """That project, complete, and commands run in it as its reader types them."""

    def environment(self) -> dict[str, str]:
        """As `. .venv/bin/activate` leaves it; what uv has downloaded once is shared."""
        found = super().environment()
        path = os.pathsep.join(
            [str(self.folder / ".venv/bin"), str(Path(sys.executable).parent), found["PATH"]]
        )
        downloads = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache/uv"))
        cluster = str(self.folder / "cluster")
        return found | {"PATH": path, "UV_CACHE_DIR": downloads, "FAKE_CLUSTER": cluster}

    def shell(self, command: str, timeout: float) -> subprocess.CompletedProcess:
        """The command, run by bash in the project, both streams in `stdout`; what it started ends with it."""
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=self.folder, env=self.environment(), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:  # the time limit, or Ctrl-C
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return subprocess.CompletedProcess(command, process.returncode, output)

    def copy(self, folder: Path) -> "Reader":
        return Reader(super().copy(folder).folder)


def new_reader(folder: Path) -> Reader:
    """The tiny preset, nothing computed; the folder is made."""
    folder.mkdir()
    with_readers_subjects(folder, "tiny")
    with (folder / "config/config.yaml").open("a") as file:
        file.write(TWO_CAMERAS)
    for source in ROOT.iterdir():
        if source.is_dir() and source.name in ("benchmarks", "docs", "tests"):
            shutil.copytree(source, folder / source.name)
        elif source.is_file() and source.name not in PARTS and source.name[0] != ".":
            shutil.copy2(source, folder)
    (folder / "resources").mkdir()
    shutil.copy2(ROOT / "resources/README.md", folder / "resources")
    _write_environment(folder / ".venv")
    (folder / "cluster").mkdir()
    _write_readers_files(folder)
    return Reader(folder)


def _write_environment(folder: Path) -> None:
    """A `.venv` that is the Python of the tests, and that make takes for installed; its kubectl has a make-believe cluster."""
    (folder / "bin").mkdir(parents=True)
    scripts = {
        name: f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n'
        for name, words in PROGRAMS.items()
    }
    for name, text in (scripts | {"kubectl": KUBECTL}).items():
        program = folder / "bin" / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    for name in ("installed", "tested"):
        (folder / name).touch()


def _write_readers_files(folder: Path) -> None:
    bodies = {gender: build_body(gender) for gender in ("male", "neutral")}
    for name in BODY_FILES:
        write_body(folder / name, bodies["male"])
    neutral = folder / "resources/neutral.npz"
    write_body(neutral, bodies["neutral"])
    body = Body(neutral)
    neutral.unlink()
    for name in MOTION_FILES:
        motion = folder / name
        make("turn", body, fps=10).save(motion.with_suffix(".npz"))
        motion.with_suffix(".npz").rename(motion)
    (folder / CONFIG_FILE).write_text("preset: tiny\n")
    nerfstudio.write(folder / "resources/nerfstudio/ann", walking(body))


def walking(body: Body, frames: int = 10, cameras: int = 4, size: int = 64) -> RawRecording:
    """The bare body, walking on the spot in colours that tell its parts apart, as `cameras` around it see it."""
    poses = make("walk", body, fps=10).poses[:frames]
    vertices = body.vertices(poses).double().numpy()
    low, high = vertices[0].min(0), vertices[0].max(0)
    colours = (vertices[0] - low) / (high - low)
    middle = (low + high) / 2
    rig = orbit([5], np.arange(cameras) * 360 / cameras, 3.0, 45.0, size, size, target=middle)
    drawn = [
        render_mesh(Mesh(v, body.faces, vertex_colors=colours), rig, supersample=2)
        for v in vertices
    ]
    return RawRecording(
        rig, np.zeros((cameras, 5)), tuple(range(len(poses))), 10.0, poses, "neutral",
        lambda f, c: np.rint(drawn[f].rgb[c] * 255).astype(np.uint8),
        lambda f, c: np.rint(drawn[f].alpha[c] * 255).astype(np.uint8),
    )  # fmt: skip
