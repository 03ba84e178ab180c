"""What made an artefact: the configuration, the seed, the code's version and the hashes of its inputs."""

import hashlib
import inspect
from pathlib import Path

from avatarpipe import __version__
from avatarpipe.files import file_sha256
from avatarpipe.record import note_inputs
from avatarpipe.sources import sources


def provenance(inputs: dict[str, Path], config: dict, seed: int | None = None) -> dict:
    """The block that goes into a manifest under "provenance".

    inputs: files by role. config: the options given, made JSON (paths become strings). No time of day: the same work
    leaves the same manifest. The code's version is that of the calling step, so that a manifest changes whenever its
    step ran for a new reason; a run that is interrupted right after can then see that what follows is out of date.
    """
    caller = inspect.currentframe().f_back.f_globals
    code = code_version(getattr(caller["__spec__"], "name", caller["__name__"]))
    return {
        "avatarpipe": __version__,
        "code": code,
        "seed": seed,
        "config": plain(config),
        "inputs": hash_inputs(inputs),
    }


def hash_inputs(inputs: dict[str, Path]) -> dict[str, dict]:
    """Path and SHA-256 of files by role, which are noted as read by the step that is running."""
    hashed = {
        name: {"path": str(path), "sha256": file_sha256(path)} for name, path in inputs.items()
    }
    note_inputs(hashed)
    return hashed


def manifest_file(path: Path, name: str) -> Path:
    """The file `name` that stands for all in its folder, where `path` is that folder; else `path`, which is the file itself."""
    return path / name if path.is_dir() else path


def code_version(module: str) -> str:
    """SHA-256 over every source file of this package that `module` loads; over the package's own for a stranger."""
    digest = hashlib.sha256()
    ours = module.split(".")[0] == "avatarpipe"
    for file in sources(module if ours else "avatarpipe"):
        digest.update(file_sha256(file).encode())
    return digest.hexdigest()


def plain(value):
    """`value` as JSON can hold it: mappings and sequences of plain values, all else as text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
