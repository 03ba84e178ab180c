"""The Python environments that steps run in: what a step notes of its own, and where one like it is found again.

Packages are told by the metadata in an environment's folders: no Python is started to look at it, but one that the user names.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256
from avatarpipe.sources import PACKAGE, foreign_imports

CONDA = ".snakemake/conda"  # where Snakemake builds environments, PREFIX with PREFIX.yaml beside it
_ELSEWHERE = "SNAKEMAKE_CONDA_PREFIX"  # or in the folder that this names
_MARKS = (
    "pyvenv.cfg",
    "conda-meta",
)  # of an environment, as opposed to any folder with a bin/python


@dataclass(frozen=True)
class Environment:
    """A Python and the folders that it imports from."""

    python: Path
    path: tuple[str, ...]

    @property
    def prefix(self) -> Path:
        """The folder that holds bin/python."""
        return self.python.parent.parent

    @property
    def is_of_this_place(self) -> bool:
        """Whether Snakemake built it for the working directory or this checkout, or it is this process' own.

        Any other may have come along with somebody's results.
        """
        folders = [Path.cwd() / CONDA, PACKAGE.parent / CONDA]
        if _ELSEWHERE in os.environ:
            folders.append(Path(os.environ[_ELSEWHERE]))
        built_in = os.path.realpath(self.prefix.parent)
        return self.is_own or built_in in map(os.path.realpath, folders)

    @property
    def is_own(self) -> bool:
        """Whether it is the one that this process runs in."""
        return self.path == tuple(sys.path)

    def version(self, package: str) -> str | None:
        """The version of a distribution, or None where it is absent."""
        return _version(self.path, package)

    def differences(self, packages: Mapping[str, str]) -> dict[str, str | None]:
        """The version here, or None, of each package that is not here in the given version."""
        here = {name: self.version(name) for name in packages}
        return {name: found for name, found in here.items() if found != packages[name]}


@cache
def _version(path: tuple[str, ...], package: str) -> str | None:
    found = distributions(name=package, path=list(path))
    return next((distribution.version for distribution in found), None)


def own() -> Environment:
    """The environment of this process."""
    return Environment(Path(sys.executable), tuple(sys.path))


def environment_of(python: Path) -> Environment | None:
    """The virtual or conda environment of an interpreter, which is not started; None where there is none."""
    prefix = python.parent.parent
    if _is_here(python):
        return own()
    if not os.access(python, os.X_OK) or not any((prefix / mark).exists() for mark in _MARKS):
        return None
    folders = sorted(prefix.glob("lib/python3*/site-packages"))
    return Environment(
        python, tuple(str(path) for folder in folders for path in _with_added(folder))
    )


def _is_here(python: Path) -> bool:
    """Whether an interpreter is that of this process's environment."""
    return os.path.realpath(python.parent.parent) == os.path.realpath(sys.prefix)


def _with_added(folder: Path) -> Iterator[Path]:
    """A site-packages folder, and the folders that its .pth files name."""
    yield folder
    for file in sorted(folder.glob("*.pth")):
        lines = file.read_text(errors="replace").splitlines()
        added = (folder / line.strip() for line in lines if line.strip())
        yield from (
            path for path in added if os.path.isdir(path)
        )  # Path.is_dir raises on long lines


def named_environment(python: Path) -> Environment:
    """The environment of a Python, or of a folder with bin/python, that the user names; it is asked what it imports from.

    InputError where it does not run, or is older than 3.11.
    """
    python = Path(os.path.abspath(python / "bin/python" if python.is_dir() else python))
    asked = "import json, sys; print(json.dumps([sys.version_info >= (3, 11), sys.path[1:]]))"
    try:
        done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
        new_enough, path = json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        raise InputError(
            f"{python}: not a Python that runs. Name an interpreter, such as .venv/bin/python."
        ) from None
    if not new_enough:
        raise InputError(f"{python}: older than Python 3.11. Name a newer one.")
    return own() if _is_here(python) else Environment(python, tuple(path))


def environment_note(project: Path, seen_from: Path) -> dict[str, str]:
    """What a step notes of its environment: its interpreter, and the file it was built from where Snakemake left it beside.

    Both folders absolute. An interpreter in the project is noted as seen from `seen_from`, so that both may move together.
    """
    python, spec = Path(sys.executable), Path(f"{sys.prefix}.yaml")
    inside = python.is_relative_to(project)
    note = {"interpreter": os.path.relpath(python, seen_from) if inside else str(python)}
    if spec.is_file():
        sha256 = file_sha256(spec)
        note |= {"file": _name_of(sha256) or spec.name, "sha256": sha256}
    return note


def _name_of(sha256: str) -> str | None:
    """Which file of envs/ has these contents, such as envs/sapiens.yaml."""
    files = sorted((PACKAGE.parent / "envs").glob("*.yaml"))
    return next((f"envs/{file.name}" for file in files if file_sha256(file) == sha256), None)


def noted_environments(note: Mapping, project: Path, seen_from: Path) -> Iterator[Environment]:
    """The environments that are there of those that `environment_note` may mean: the very one, then what was built since of its file."""
    if "interpreter" not in note:
        return
    python = Path(os.path.abspath(seen_from / note["interpreter"]))
    rebuilt = _built_of(note.get("sha256"), (python.parent.parent.parent, project / CONDA))
    for candidate in dict.fromkeys((python, *rebuilt)):
        if found := environment_of(candidate):
            yield found


@cache
def _built_of(sha256: str | None, folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """Interpreters of what Snakemake built in these folders of an environment file with this hash."""
    specs = (spec for folder in folders if sha256 for spec in sorted(folder.glob("*.yaml")))
    return tuple(
        spec.with_suffix("") / "bin/python" for spec in specs if file_sha256(spec) == sha256
    )


def loaded_packages() -> dict[str, str]:
    """Version by distribution of every package that this process has imported, but for the standard library and avatarpipe."""
    return _versions({name.partition(".")[0] for name in sys.modules} - {PACKAGE.name})


def needed_packages(module: str) -> list[str]:
    """Those of the loaded packages that the source files of `module`, one of this package, import themselves.

    They are what its step cannot do without; the others came with them.
    """
    if module.partition(".")[0] != PACKAGE.name:
        return []
    loaded = {name.partition(".")[0] for name in sys.modules}
    return list(_versions(foreign_imports(module) & loaded))


def _versions(modules: set[str]) -> dict[str, str]:
    """Version by distribution of what provides these top-level modules."""
    names = {provider for name in modules for provider in _providers().get(name, ())}
    found = {name: _version(tuple(sys.path), name) for name in sorted(names, key=str.lower)}
    return {name: version for name, version in found.items() if version}


_providers = cache(packages_distributions)
