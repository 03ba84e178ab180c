"""What becomes of each command of the pages: which cannot be tried and why, which only name something, which are read and run."""

from docs_pages import PAGES, Command, commands

# What cannot be tried where tests run, and why. A command belongs to the longest beginning that it has.
NOT_TRIED = {
    "kubectl": "needs a Kubernetes cluster; the manifests and the profile have tests of their own",
    "apt-get": "needs root, inside a pod",
    "sinfo": "needs Slurm",
    "sacctmgr": "needs Slurm and its accounting",
    "ssh": "needs another machine",
    "cd": "nothing to try",
    "hf download": "downloads weights under licences of their own",
    "npx @playcanvas/splat-transform": "a program of others; tests/export runs it where it is installed",
    "npm install": "installs programs of others, which tests/export runs where they are",
    "pip install pycolmap": "a package of others, which tests/export uses where it is",
    "ns-train splatfacto": "nerfstudio, which is not part of this project",
    "colmap image_undistorter": "COLMAP, which is not part of this project",
    "python train.py": "the release of 3DGS, which is not part of this project",
    "python examples/simple_trainer.py": "gsplat's examples, which are not part of this project",
}
# Commands that only name what a paragraph speaks of.
PROSE = {
    "avatarpipe train-layered --stage single", "avatarpipe train-layered --stage inner", "avatarpipe train-layered --stage outer",
    "python -m benchmarks.prior --preset full", "python -m benchmarks.guidance",
}  # fmt: skip
SNAKEMAKE = ("snakemake", ".venv/bin/python -m snakemake")
STEPS = ("avatarpipe", "torchrun")
GROUPS = (
    *SNAKEMAKE,
    *STEPS,
    "make",
    "python -m benchmarks.",
    "python -m pytest",
    ".venv/bin/pip install",
)
ALL = [command for page in PAGES for command in commands(page)]


def beginning(command: Command) -> str | None:
    """The entry of NOT_TRIED that a command begins with."""
    found = [key for key in NOT_TRIED if f"{command.text} ".startswith(f"{key} ")]
    return max(found, key=len, default=None)


def tried(*programs: str) -> list[Command]:
    """The different commands that begin with these words, less those that cannot be tried."""
    chosen = {
        command.text: command
        for command in ALL
        if beginning(command) is None
        and command.text.startswith(
            tuple(name if name.endswith(".") else f"{name} " for name in programs)
        )
    }
    return list(chosen.values())


def in_prose(command: Command) -> bool:
    """Whether a command is shortened: it ends in dots, or only names what a paragraph speaks of."""
    return command.words[-1] == "..." or command.text in PROSE
