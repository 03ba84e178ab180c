"""What a dataset's options choose: cameras by name or position, frames; for all recordings or for each its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from avatarpipe.errors import InputError


def of_source(options: Mapping, name: str, source: str, default):
    """The option `name`, which may be given for each source apart: {"Actor01/Sequence1": value}."""
    value = options.get(name, default)
    value = value.get(source, default) if isinstance(value, Mapping) else value
    return default if value is None else value


def settled(options: Mapping, source: str) -> dict:
    """All options as they are for one source; those that say nothing are left out."""
    chosen = {name: of_source(options, name, source, None) for name in options}
    return {name: value for name, value in chosen.items() if value is not None}


def smpl_file(options: Mapping, gender: str) -> Path | None:
    """The SMPL model of a gender that the settled option smpl names, {gender} filled in; None where it names none."""
    name = options.get("smpl")
    return Path(name.replace("{gender}", gender)) if name else None


def camera_positions(
    chosen: Sequence[str | int] | str, names: Sequence[str], path: Path
) -> list[int]:
    """Positions in `names` of the cameras `chosen` by name or by position ("all": every one), ascending, each once.

    A number that is the name of a camera means that camera. InputError names `path`, the calibration, where there is no such
    camera.
    """
    if chosen == "all":
        return list(range(len(names)))
    if isinstance(chosen, (str, int)):
        chosen = [chosen]
    return sorted({_position(camera, names, path) for camera in chosen})


def _position(camera: str | int, names: Sequence[str], path: Path) -> int:
    if str(camera) in names:
        return list(names).index(str(camera))
    if isinstance(camera, int) and 0 <= camera < len(names):
        return camera
    raise InputError(
        f"{path}: no camera {camera!r}; it has {len(names)}: {names[0]} to {names[-1]}, at positions 0 to "
        f"{len(names) - 1}. Mend the options cameras and test_cameras, or fetch a calibration that has it."
    )
