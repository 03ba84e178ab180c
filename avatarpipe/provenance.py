"""What made an artefact: the configuration, the seed, the code's version and the hashes of its inputs."""

from pathlib import Path

from avatarpipe import __version__
from avatarpipe.files import file_sha256


def provenance(inputs: dict[str, Path], config: dict, seed: int | None = None) -> dict:
    """The block that goes into a manifest under "provenance".

    inputs: files by role. config: the options given, made JSON (paths become strings). No time of day: the same work
    leaves the same manifest.
    """
    hashed = {
        name: {"path": str(path), "sha256": file_sha256(path)} for name, path in inputs.items()
    }
    return {"avatarpipe": __version__, "seed": seed, "config": _plain(config), "inputs": hashed}


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
