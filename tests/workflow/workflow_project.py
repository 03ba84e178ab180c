"""A copy of the workflow in a folder of its own, with its own subjects, and Snakemake run in it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "avatarpipe")
TOLD_BY_BYTES = ("--max-checksum-file-size", "1000000000")  # as `make run` and the profiles have it
_REMOVED = re.compile(r"^(SLURM_|SNAKEMAKE_|PYTHONPATH$|PYTEST_)")


@dataclass(frozen=True)
class Project:
    """A folder with a Snakefile, and Snakemake run in it as a user would."""

    folder: Path

    def command(self, *args: str, cores: int = 2) -> list[str]:
        """The command line of Snakemake by the Python that runs the tests; `args` come last."""
        return [sys.executable, "-m", "snakemake", "--cores", str(cores), *args]

    def environment(self) -> dict[str, str]:
        """This process's, without what would change what Snakemake does."""
        kept = {name: value for name, value in os.environ.items() if not _REMOVED.match(name)}
        return kept | {"XDG_CACHE_HOME": str(self.folder / ".cache")}

    def run(self, *args: str, succeeds: bool = True, timeout: float = 600) -> str:
        """What Snakemake prints, both streams; fails the test where its exit status is not the one expected."""
        done = subprocess.run(
            self.command(*args), cwd=self.folder, env=self.environment(), timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) == succeeds, done.stdout[-6000:]
        return done.stdout

    def planned(self, *args: str) -> set[str]:
        """Names of the rules that a dry run would run, `all` left out."""
        return planned_rules(self.run("--dry-run", *args)) - {"all"}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, by `new` in a text file."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new, 1))

    def copy(self, folder: Path) -> "Project":
        """The same project, results and times included, in a folder that does not exist."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


def planned_rules(output: str) -> set[str]:
    """The rules in the table `Job stats` of a dry run; none where there is nothing to do."""
    if "Nothing to be done" in output:
        return set()
    table = output.partition("Job stats:")[2]
    return set(re.findall(r"^(\w+) +\d+ *$", table, re.M)) - {"total"}


def without_motions(project: Project) -> None:
    """Take the motions out of the configuration, and so every avatar's following them: tests bring their own."""
    file = project.folder / "config/config.yaml"
    text, removed = re.subn(r"^(motions|drive):\n( .*\n)+", "", file.read_text(), flags=re.M)
    assert removed == 2, "config.yaml names no motions, or no longer as blocks"
    file.write_text(text)


def new_project(folder: Path, *subjects: str, preset: str = "tiny") -> Project:
    """A copy of the workflow with the given rows (subject, dataset, source, gender) and preset.

    What Python and numba have compiled comes along: files keep their times, so jobs need not compile it again.
    """
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part)
        else:
            shutil.copy2(source, folder / part)
    rows = [row.split() for row in ("subject dataset source gender", *subjects)]
    (folder / "config/subjects.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")
    project = Project(folder)
    project.edit("config/config.yaml", "preset: demo", f"preset: {preset}")
    without_motions(project)
    return project
