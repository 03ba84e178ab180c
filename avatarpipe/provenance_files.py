"""provenance.json beside what a step made: enough to check it later, and to make it again.

Manifests hold no time of day, machine or device, so that the same work leaves the same bytes; all of that is in here.
"""

import hashlib
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from avatarpipe import __version__
from avatarpipe.environments import (
    Environment,
    environment_note,
    loaded_packages,
    needed_packages,
    noted_environments,
    own,
)
from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256, read_json, write_json
from avatarpipe.provenance import code_version, plain
from avatarpipe.record import Record

NAME = "provenance.json"
FORMAT = "avatarpipe provenance 1"
_KINDS = {
    "step": str, "module": str, "arguments": list, "config": dict, "code": str, "inputs": dict, "outputs": dict,
    "packages": dict, "run": dict,
}  # fmt: skip
_MODULE = re.compile(r"avatarpipe\.steps\.[a-z_]+")

Hash = Callable[[Path], str]
"""Hex SHA-256 of a file."""


def provenance_path(out: Path) -> Path:
    """Where the provenance of an output lies: a manifest or table speaks for its folder, an npz for itself."""
    return out.with_name(f"{out.stem}.{NAME}") if out.suffix == ".npz" else out.with_name(NAME)


def write_provenance(
    module: str, options, arguments: Sequence[str], record: Record, started: float
) -> None:
    """Write the provenance file of a step that ended; nothing where it left no output.

    options: the step's dataclass; its field `out` names the output. started: `time.time()` when the step began.
    """
    values = asdict(options)
    written = list(_outermost(record.written))
    if not written or not isinstance(values.get("out"), Path):
        return
    path = provenance_path(values["out"])
    document = {
        "format": FORMAT,
        "step": module.rpartition(".")[2].replace("_", "-"),
        "module": module,
        "arguments": list(arguments),
        "config": plain(values),
        "seed": values.get("seed"),
        "avatarpipe": __version__,
        "code": code_version(module),
        "inputs": _inputs(values, written, record, path.parent),
        "outputs": {_seen_from(path.parent, output): fingerprint(output) for output in written},
        "packages": loaded_packages(),
        "needs": needed_packages(module),
        "run": _run(path.parent, record.device, started),
    }
    write_json(path, document)


def _outermost(paths: Sequence[Path]) -> Iterator[Path]:
    """Those that exist, once each, without what lies in a folder that is among them or in a draft."""
    kept = {path: None for path in paths if path.exists() and not path.name.startswith(".")}
    folders = {path for path in kept if path.is_dir()}
    for path in kept:
        if not folders & set(path.parents):
            yield path


def _inputs(values: dict, written: list[Path], record: Record, folder: Path) -> dict[str, dict]:
    """What the step noted, and every other file that an option names."""
    noted = {entry["path"] for entry in record.inputs.values()} | {str(path) for path in written}
    found = dict(record.inputs)
    for role, path in _named_files(values):
        if str(path) not in noted:
            found[role] = {"path": str(path), "sha256": file_sha256(path)}
    return {
        role: entry | {"path": _seen_from(folder, Path(entry["path"]))}
        for role, entry in found.items()
    }


def _named_files(values: dict) -> Iterator[tuple[str, Path]]:
    """(role, file) of each option that is a path, or several."""
    for name, value in values.items():
        if name == "out":
            continue
        if isinstance(value, Path) and value.is_file():
            yield name, value
        elif isinstance(value, (list, tuple)):
            files = (item for item in value if isinstance(item, Path) and item.is_file())
            yield from ((f"{name}_{number}", item) for number, item in enumerate(files))


def _seen_from(folder: Path, path: Path) -> str:
    """A relative path as seen from `folder`, so that results may move as a whole; an absolute one as it is."""
    return (
        str(path)
        if path.is_absolute() and not folder.is_absolute()
        else os.path.relpath(path, folder)
    )


def fingerprint(path: Path, hashed: Hash = file_sha256) -> dict:
    """Bytes and SHA-256 of a file; of a folder the number of its files, their bytes, and a SHA-256 over their names and hashes.

    Names that begin with a dot, and provenance files, are left out.
    """
    if not path.is_dir():
        return {"sha256": hashed(path), "bytes": path.stat().st_size}
    files = sorted(file for file in path.rglob("*") if file.is_file() and not _is_note(file, path))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        hashes = pool.map(hashed, files)
        digest = hashlib.sha256()
        for file, sha256 in zip(files, hashes, strict=True):
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256}\n".encode())
    sizes = sum(file.stat().st_size for file in files)
    return {"sha256": digest.hexdigest(), "bytes": sizes, "files": len(files)}


def _is_note(file: Path, root: Path) -> bool:
    return file.name.endswith(NAME) or any(
        part.startswith(".") for part in file.relative_to(root).parts
    )


def _run(folder: Path, device: str, started: float) -> dict:
    """What may differ between runs of the same work."""
    return {
        "folder": os.path.relpath(Path.cwd(), folder),
        "environment": environment_note(Path.cwd(), Path(os.path.abspath(folder))),
        "device": device,
        "device_name": device_name(device),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 3),
    }


def device_name(device: str) -> str:
    """The model of the processor or GPU that torch calls `device`; empty where it cannot be told."""
    if not device.startswith("cuda"):
        return _processor()
    import torch

    return torch.cuda.get_device_name(device) if torch.cuda.is_available() else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""
    )


def read_provenance(path: Path) -> Mapping:
    """The document at `path`; InputError where it is broken or of something else."""
    document = read_json(path)
    wrong = _wrong(document) if isinstance(document, dict) else ["format"]
    if wrong:
        raise InputError(
            f"{path}: not a provenance file of this version ({', '.join(wrong)}). Rerun the step."
        )
    if not _MODULE.fullmatch(document["module"]):
        raise InputError(
            f"{path}: {document['module']!r} is no step of avatarpipe. Do not trust this file."
        )
    return document


def _wrong(document: Mapping) -> list[str]:
    """The keys of a document that do not hold what they must."""
    wrong = [key for key, kind in _KINDS.items() if not isinstance(document.get(key), kind)]
    if wrong or document.get("format") != FORMAT:
        return wrong or ["format"]
    note = document["run"].get("environment", {})
    if not isinstance(note, dict) or not all(isinstance(text, str) for text in note.values()):
        return ["environment"]
    return [] if isinstance(document.get("needs", []), list) else ["needs"]


def nearest_environments(document: Mapping, folder: Path) -> list[Environment]:
    """Those that are there, nearest first: the one that made what the document in `folder` speaks of, others of its file, this one."""
    folder = Path(os.path.abspath(folder))
    project = Path(os.path.abspath(folder / document["run"]["folder"]))
    noted = noted_environments(document["run"].get("environment", {}), project, folder)
    return list(dict.fromkeys([*noted, own()]))


def find_provenance(root: Path) -> list[Path]:
    """Every provenance file in a folder and below, sorted; links to folders are not followed."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder. Give the folder of results, such as results/.")
    return sorted(root.rglob(f"*{NAME}"))
