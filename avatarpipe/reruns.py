"""A chain of steps, read back from provenance files, to be run again in another folder."""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from avatarpipe.environments import Environment
from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256
from avatarpipe.provenance_files import find_provenance, read_provenance

LOGS = "logs"
OUTPUTS = ("--out", "--curves", "--data")  # options by which steps are told where to write


@dataclass(frozen=True)
class Recorded:
    """One step as its provenance file has it; paths are normal and absolute."""

    path: Path
    document: Mapping

    @property
    def step(self) -> str:
        """Its name as it is typed."""
        return self.document["step"]

    @property
    def project(self) -> Path:
        """The folder that the step was started in."""
        return _normal(self.path.parent / self.document["run"]["folder"])

    @property
    def inputs(self) -> dict[Path, str]:
        """SHA-256 by file."""
        entries = self.document["inputs"].values()
        return {_normal(self.path.parent / entry["path"]): entry["sha256"] for entry in entries}

    @property
    def outputs(self) -> dict[Path, Mapping]:
        """Fingerprint by file or folder."""
        return {
            _normal(self.path.parent / name): kept
            for name, kept in self.document["outputs"].items()
        }

    @property
    def relative(self) -> dict[Path, Mapping]:
        """The same as seen from the project."""
        return {
            Path(os.path.relpath(path, self.project)): kept for path, kept in self.outputs.items()
        }


def _normal(path: Path) -> Path:
    """Absolute, without `..` and without following links."""
    return Path(os.path.abspath(path))


def chain(targets: Iterable[Path]) -> list[Recorded]:
    """The steps that the targets' provenance files stand on, in an order in which they can run, the targets last.

    What made an input is searched in the results of the project, which is the first folder of the target's own path.
    """
    targets = [Recorded(_normal(path), read_provenance(path)) for path in targets]
    makers = _makers(targets)
    ordered: dict[Path, Recorded] = {}

    def visit(recorded: Recorded, above: frozenset[Path]) -> None:
        if recorded.path in above:
            raise InputError(
                f"{recorded.path}: this step's inputs are made from its own output. Rerun it in the workflow."
            )
        for path in recorded.inputs:
            for maker in _made_by(path, makers):
                if maker.path not in ordered and maker.path != recorded.path:
                    visit(maker, above | {recorded.path})
        ordered.setdefault(recorded.path, recorded)

    for target in targets:
        visit(target, frozenset())
    return list(ordered.values())


def _makers(targets: list[Recorded]) -> dict[Path, Recorded]:
    """Who made each output below the folders of results that the targets lie in."""
    makers = {}
    for root in {results_root(target) for target in targets}:
        for path in find_provenance(root):
            recorded = Recorded(_normal(path), read_provenance(path))
            makers |= dict.fromkeys(recorded.outputs, recorded)
    return makers


def results_root(recorded: Recorded) -> Path:
    """The first folder below the project on the way to a provenance file, such as results/; InputError where it is elsewhere."""
    if not recorded.path.is_relative_to(recorded.project):
        raise InputError(
            f"{recorded.path}: was not made below the folder its step was started in ({recorded.project}), so it "
            "cannot be made again in another. Run its step by hand; `arguments` in the file has its options."
        )
    return recorded.project / recorded.path.relative_to(recorded.project).parts[0]


def _made_by(path: Path, makers: Mapping[Path, Recorded]) -> list[Recorded]:
    """The step that wrote a file, itself or the folder it lies in."""
    return [makers[place] for place in (path, *path.parents) if place in makers][:1]


def split_at(steps: list[Recorded], since: str | None) -> tuple[list[Recorded], list[Recorded]]:
    """(kept, run again): without `since` all run again, else that step and what uses what it makes."""
    if since is None:
        return [], steps
    if since not in {recorded.step for recorded in steps}:
        raise InputError(
            f"--since {since}: not among the steps {', '.join(r.step for r in steps)}."
        )
    again: list[Recorded] = []
    for recorded in steps:
        remade = {path for other in again for path in other.outputs}
        touched = any(remade & {path, *path.parents} for path in recorded.inputs)
        if touched or recorded.step == since:
            again.append(recorded)
    return [recorded for recorded in steps if recorded not in again], again


def check_inputs(steps: list[Recorded]) -> None:
    """InputError names what was given to the chain, and not made by it, that is gone or has changed."""
    made = {path for recorded in steps for path in recorded.outputs}
    for recorded in steps:
        for path, sha256 in recorded.inputs.items():
            if made & {path, *path.parents}:
                continue
            if not path.is_file():
                raise InputError(
                    f"{path}: {recorded.step} was given this file, and it is gone. Put it back."
                )
            if file_sha256(path) != sha256:
                raise InputError(
                    f"{path}: has changed since {recorded.step} read it. Put back the file of then."
                )


def check_outputs(steps: list[Recorded]) -> None:
    """InputError names a step that would write outside of the folder that it is run in."""
    for recorded in steps:
        written = list(_written(recorded.document["arguments"]))
        if OUTPUTS[0] not in (flag for flag, _ in written):
            raise InputError(f"{recorded.path}: a step without {OUTPUTS[0]} makes nothing. Do not trust this file.")
        for flag, value in written:
            if Path(value).is_absolute() or ".." in Path(value).parts:
                raise InputError(
                    f"{recorded.path}: {flag} {value} lies outside of what is made again. Run the step by hand, with "
                    "another path."
                )


def _written(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """(flag, path) of every argument that names an output."""
    for number, argument in enumerate(map(str, arguments)):
        flag, given, value = argument.partition("=")
        if flag in OUTPUTS:
            yield flag, value if given else str((arguments[number + 1 :] or [""])[0])


def prepare(into: Path, kept: list[Recorded], again: list[Recorded]) -> None:
    """Make `into` a project in which the steps find, under the same names, what they do not make: as links."""
    if into.exists() and any(into.iterdir()):
        raise InputError(f"{into}: is not empty. Give a folder of its own for what is made again.")
    into.mkdir(parents=True, exist_ok=True)
    project = again[0].project
    ours = {*(results_root(recorded) for recorded in again), project / LOGS, into}
    for entry in sorted(project.iterdir()):
        if not entry.name.startswith(".") and entry not in ours and not into.is_relative_to(entry):
            _link(into / entry.name, entry)
    made = {path for recorded in again for path in recorded.outputs}
    given = {
        path for recorded in again for path in recorded.inputs if not made & {path, *path.parents}
    }
    for path in sorted(given | {path for recorded in kept for path in recorded.outputs}):
        if path.is_relative_to(project):
            _link(into / path.relative_to(project), path)


def _link(link: Path, target: Path) -> None:
    """A link, unless the name is there already or lies in a folder that is a link."""
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _check_links(recorded: Recorded, into: Path) -> None:
    """InputError where an output would be written through one of the links in `into`, to where it points."""
    for flag, value in _written(recorded.document["arguments"]):
        if not (into / value).parent.resolve().is_relative_to(into.resolve()):
            raise InputError(
                f"{recorded.path}: {flag} {value} lies behind a link to what was not made again. Run the step by hand, with "
                "another path."
            )


def run_again(recorded: Recorded, into: Path, environment: Environment) -> None:
    """Run one step in `into` with its arguments of then, on as many threads; its messages go to its log there.

    InputError where it fails.
    """
    _check_links(recorded, into)
    log = into / LOGS / f"rerun-{recorded.step}-{recorded.path.parent.name}.log"
    log.parent.mkdir(exist_ok=True)
    document = recorded.document
    command = [environment.python, "-m", document["module"], *document["arguments"]]
    with log.open("w") as stream:
        done = subprocess.run(
            command,
            cwd=into,
            env=_variables(recorded, environment),
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        last = "".join(log.read_text().splitlines(keepends=True)[-3:])
        raise InputError(
            f"{recorded.step} ended with status {done.returncode}: {last.strip()} The whole log: {log}."
        )


def _variables(recorded: Recorded, environment: Environment) -> dict[str, str]:
    """This process's, with the package's own folder to import from and the threads of then; another environment's Python in front."""
    threads = recorded.document["run"].get("threads")
    granted = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads} if threads else {}
    ours = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | granted
    if environment.is_own:
        return ours
    prefix = str(environment.prefix)
    activated = {"CONDA_PREFIX": prefix, "VIRTUAL_ENV": prefix, "PYTHONNOUSERSITE": "1"}
    path = os.pathsep.join([str(environment.python.parent), *os.get_exec_path()])
    return {**ours, **activated, "PATH": path}
