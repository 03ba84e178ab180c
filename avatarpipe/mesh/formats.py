"""Which reader and writer serves which file ending."""

from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.mesh import glb, obj, ply
from avatarpipe.mesh.mesh import Mesh

_FORMATS = {".ply": ply, ".obj": obj, ".glb": glb}


def _format_of(path: Path):
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"{path}: unknown mesh format; use one of {', '.join(_FORMATS)}.")
    return _FORMATS[path.suffix.lower()]


def read_mesh(path: Path) -> Mesh:
    """The mesh at `path`; InputError where it is missing, of an unknown format, or cannot be read."""
    reader = _format_of(path)
    require_file(path, "A mesh was expected here; fetch it again or rerun the step that writes it.")
    try:
        return reader.read(path)
    except InputError:
        raise
    except Exception as error:  # a broken file can fail anywhere inside the parser
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: not a readable {path.suffix} mesh ({reason}). Export it again."
        ) from error


def write_mesh(mesh: Mesh, path: Path) -> None:
    """Write `mesh` to `path` in the format that its ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _format_of(path).write(mesh, path)
