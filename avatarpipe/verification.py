"""Whether results still are what their provenance files say: each output, each input, the code, the packages, the device."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from avatarpipe.environments import Environment
from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256, write_json
from avatarpipe.provenance import code_version
from avatarpipe.provenance_files import (
    NAME,
    Hash,
    device_name,
    fingerprint,
    nearest_environments,
    read_provenance,
)

BROKEN, STALE, ELSEWHERE = "broken", "stale", "elsewhere"
_SNAKEMAKE = "benchmarks"  # its own files in results/


@dataclass(frozen=True)
class Mismatch:
    """One thing that no longer matches.

    severity: "broken", an output is not what the step wrote; "stale", a rerun would start from something else;
    "elsewhere", the same work on another machine or with other packages, whose figures may differ in the last digits.
    """

    severity: str
    what: str


@dataclass(frozen=True)
class Verdict:
    """What was found of one provenance file."""

    path: Path
    step: str
    mismatches: list[Mismatch]
    outputs: list[Path] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is broken or stale."""
        return all(found.severity == ELSEWHERE for found in self.mismatches)


def verify(
    path: Path, hashed: Hash = file_sha256, there: Environment | None = None
) -> Verdict:
    """Check one provenance file against the files, the code and the device that are here, and the packages that are `there`.

    there: the environment to look for packages in; by default the nearest one to that which the step ran in.
    """
    try:
        document = read_provenance(path)
    except InputError as error:
        return Verdict(path, "?", [Mismatch(BROKEN, str(error))])
    outputs = [path.parent / name for name in document["outputs"]]
    found = [
        *_outputs(document, path.parent, hashed),
        *_inputs(document, path.parent, hashed),
        *_code(document),
        *_packages(document, [there] if there else nearest_environments(document, path.parent)),
        *_device(document),
    ]
    return Verdict(path, document["step"], found, outputs)


def _outputs(document: Mapping, folder: Path, hashed: Hash) -> Iterator[Mismatch]:
    for name, recorded in document["outputs"].items():
        if not (folder / name).exists():
            yield Mismatch(BROKEN, f"output {name} is missing")
        elif (now := fingerprint(folder / name, hashed)) != recorded:
            yield Mismatch(BROKEN, f"output {name} has changed{_sizes(recorded, now)}")


def _sizes(recorded: Mapping, now: Mapping) -> str:
    """What tells two fingerprints apart beside the hash."""
    told = [
        f"{recorded[key]} {key}, now {now.get(key, 'none')}"
        for key in ("files", "bytes")
        if key in recorded and recorded[key] != now.get(key)
    ]
    return f" ({'; '.join(told)})" if told else ""


def _inputs(document: Mapping, folder: Path, hashed: Hash) -> Iterator[Mismatch]:
    for role, entry in document["inputs"].items():
        path = Path(os.path.normpath(folder / entry["path"]))
        if not path.is_file():
            yield Mismatch(STALE, f"input {role} is missing: {path}")
        elif hashed(path) != entry["sha256"]:
            yield Mismatch(STALE, f"input {role} has changed since: {path}")


def _code(document: Mapping) -> Iterator[Mismatch]:
    if document["code"] != _code_here(document["module"]):
        yield Mismatch(STALE, f"the code of {document['module']} has changed since")


@cache
def _code_here(module: str) -> str | None:
    """The version of a module's code here; None where there is no such module of this package."""
    try:
        return code_version(module) if module.startswith("avatarpipe.") else None
    except InputError:
        return None


def _packages(document: Mapping, candidates: list[Environment]) -> Iterator[Mismatch]:
    """What differs in the first of the environments, if it does in all."""
    differing = [there.differences(document["packages"]) for there in candidates]
    if not all(differing):
        return
    where = "here" if candidates[0].is_own else f"now in {candidates[0].prefix}"
    for name, found in differing[0].items():
        recorded = document["packages"][name]
        yield Mismatch(ELSEWHERE, f"{name} {recorded}, {where} {found or 'absent'}")


def _device(document: Mapping) -> Iterator[Mismatch]:
    recorded = document["run"].get("device_name", "")
    here = _device_here(document["run"].get("device", "cpu"))
    if recorded != here:
        yield Mismatch(
            ELSEWHERE, f"made on {recorded or 'an unknown device'}, here {here or 'no such device'}"
        )


_device_here = cache(device_name)


def unrecorded(root: Path, verdicts: list[Verdict]) -> list[Path]:
    """Files below `root` that no provenance file speaks of; notes, and what Snakemake writes itself, left out."""
    spoken = {Path(os.path.normpath(path)) for verdict in verdicts for path in verdict.outputs}
    return [file for file in _files(root) if not spoken & {file, *file.parents}]


def _files(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        if Path(folder) == root and _SNAKEMAKE in names:
            names.remove(_SNAKEMAKE)
        for name in sorted(files):
            if not name.startswith(".") and not name.endswith(NAME):
                yield Path(os.path.normpath(folder), name)


class HashCache:
    """SHA-256 of files, remembered in a file of its own for those whose size and time of change are the same as then."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._known = json.loads(path.read_text())
        except (OSError, ValueError):
            self._known = {}

    def __call__(self, path: Path) -> str:
        """The hash of `path`, read only where it must be."""
        status, name = path.stat(), str(path.resolve())
        key = [status.st_size, status.st_mtime_ns]
        if self._known.get(name, [None])[:-1] != key:
            self._known[name] = [*key, file_sha256(path)]
        return self._known[name][-1]

    def save(self) -> None:
        """Write what is known, for the next time."""
        write_json(self.path, self._known)
