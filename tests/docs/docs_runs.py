"""What is really run for a command of the pages: its own words, where they cannot be, others and why; sizes that end soon."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from docs_commands import PROSE, beginning
from docs_pages import Command
from docs_reader import Reader

HOURS = "would take hours without a GPU"
SOON = "at this size it takes seconds"
# Words that are replaced, and why.
INSTEAD = {
    "preset=full": ("preset=tiny", HOURS),
    "preset=fast": ("preset=tiny", HOURS),
    "--dataset NAME": ("--dataset nerfstudio", "NAME is a dataset that the reader adds"),
    "--root resources/NAME": ("--root resources/nerfstudio", "its folder"),
    "--source take": ("--source ann", "a recording of it"),
}
# Words put behind a command that holds the key; what is given twice counts as given last.
MORE = {
    "make test": (("ARGS=tests/test_files.py",), "this is one of those tests; others run the rest"),
    "python -m pytest": (("--collect-only", "--quiet"), "the tests have runs of their own"),
    "pip install": (("--dry-run",), "the Python that tests stays as it is"),
    "workflow/profiles/slurm": (("--dry-run",), "test_workflow_slurm.py runs jobs by it, on a Slurm"),
    "workflow/profiles/kubernetes": (
        ("--seconds-between-status-checks", "1", "--latency-wait", "5"),
        "a make-believe cluster answers at once",
    ),
    "--cores all --sdm conda": (("--rerun-incomplete", "results/body/SMPLX_MALE.npz"), "all environments of all rules take gigabytes"),
    "--tolerance": (("--since", "evaluate"), "the commands before it run the chain"),
    "CUDA_VISIBLE_DEVICES=2,3 snakemake": (("--cores", "all"), "the dots"),
    "benchmarks.animatable": (
        ("--preset", "tiny", "--cameras", "1", "--score-at", "2", "4"), HOURS,
    ),
    "benchmarks.several_gpus": (
        ("--settings", '{"model": {"gaussians": 2000, "controls": 200, "anchors": 20}}', "--cameras", "1", "--frames", "1", "--iterations", "1"),
        HOURS,
    ),
    "benchmarks.prior": (("--preset", "tiny", "--guidance-from", "5", "--views", "1"), HOURS),
    "benchmarks.guidance": (
        ("--tiny", "--surfels", "200", "--views", "1", "--size", "64", "--steps", "1", "--warmup", "1", "--no-compiled"),
        HOURS,
    ),
    "benchmarks.stages": (("--preset", "tiny"), SOON),
    "benchmarks.renderer": (("--repeats", "1"), SOON),
    "benchmarks.alignment": (("--seeds", "1", "--kinds", "scan", "--cases", "nothing"), SOON),
    "benchmarks.conversion": (
        ("--frames", "2", "--long-frames", "4", "--size", "600", "800", "--workers", "1"), SOON,
    ),
    "benchmarks.scale": (("--subjects", "2", "--jobs", "2"), SOON),
    "benchmarks.weight_volume": (("--resolutions", "16"), SOON),
    "benchmarks.mesh_rendering": (("--size", "64", "--azimuths", "2"), SOON),
}  # fmt: skip
# Jobs of the workflow whose options stand for those that a command of the same step leaves out, the tiny preset's among them.
LEFT_OUT = {
    "train-animatable": "results/vic/animatable/full/avatar/provenance.json",
    "train_animatable": "results/vic/animatable/full/avatar/provenance.json",
    "drive --avatar results/vic": "results/vic/animatable/drive/dance/provenance.json",
}
# Options behind which stands a file that the command makes.
MADE = ("--out", "--output", "--curves", "--report", "--hashes")
NO_JOBS = {"-n", "--dry-run", "--conda-create-envs-only", "--unlock", "--report"}
TABLE = "results/tables/metrics.csv"  # what is last in a whole run, and soon made again


@dataclass(frozen=True)
class Run:
    """Words to run with assignments before them, and the files that must be there afterwards and are taken away before."""

    words: tuple[str, ...]
    assigned: tuple[str, ...]
    made: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join([*self.assigned, shlex.join(self.words)])


def is_run(command: Command) -> bool:
    """Whether the command is run as it is written, or nearly; others cannot be, or only name a command."""
    return beginning(command) is None and not names_only(command)


def names_only(command: Command) -> bool:
    """Whether a paragraph only names the command, without the options that it needs."""
    return command.text in PROSE or (command.words[0] == "avatarpipe" and len(command.words) == 2)


def key(command: Command) -> str:
    """What tells commands apart."""
    return " ".join([*command.assigned, command.text])


def substitutions(command: Command) -> set[str]:
    """The entries of INSTEAD and MORE that change a command."""
    return {old for old in (*INSTEAD, *MORE) if old in key(command)}


def runs(command: Command, reader: Reader) -> Iterator[Run]:
    """What is run for a command: itself, or for `make benchmark` what its recipe says."""
    if command.words == ("make", "benchmark"):
        for words in recipe("benchmark", reader):
            yield _run(replace(command, words=words), reader)
    else:
        yield _run(command, reader)


def recipe(target: str, reader: Reader) -> list[tuple[str, ...]]:
    """The commands of Python modules of ours that make would run."""
    done = reader.shell(f"make --dry-run {target}", timeout=60)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return [
        tuple(shlex.split(reader.shell(f"echo {line}", timeout=60).stdout))
        for line in lines
        if " -m benchmarks." in line
    ]


def _run(command: Command, reader: Reader) -> Run:
    text = shlex.join(command.words)
    for old, (new, _) in INSTEAD.items():
        text = text.replace(old, new)
    words = [word for word in shlex.split(text) if word != "..."]
    for part, (more, _) in MORE.items():
        words += more if part in key(command) else ()
    for part, record in LEFT_OUT.items():
        words += left_out(words, reader.folder / record) if part in text else ()
    return Run(tuple(words), command.assigned, made(tuple(words)))


def left_out(words: list[str], record: Path) -> list[str]:
    """The options of a recorded job that a command of the same step does not give."""
    given = json.loads(record.read_text())["arguments"]
    options = [pair for pair in pairwise([*given, ""]) if pair[0].startswith("--")]
    return [
        part
        for word, value in options
        if word.partition("=")[0] not in words
        for part in ((word,) if "=" in word or value.startswith("--") else (word, value))
    ]


def made(words: tuple[str, ...]) -> tuple[str, ...]:
    """The files that a command says it makes; where Snakemake runs all jobs, the table at their end."""
    named = [value for option, value in pairwise(words) if option in MADE and Path(value).suffix]
    if "snakemake" not in words or NO_JOBS & set(words):
        return tuple(named)
    targets = tuple(word for word in words if word.startswith("results/"))
    return targets if targets or "--batch" in words else (TABLE,)


def recorded_jobs(reader: Reader) -> list[list[str]]:
    """The words of every recorded job of the workflow, as a reader would type them."""
    found = []
    for path in (reader.folder / "results").rglob("*provenance.json"):
        record = json.loads(path.read_text())
        step = record["module"].rpartition(".")[2].replace("_", "-")
        found.append(["avatarpipe", step, *record["arguments"]])
    return found
