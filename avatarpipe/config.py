"""The configuration of a run: what the user wrote, laid over a preset, checked and completed.

A key is looked up in three places: `config/config.yaml` (and `--configfile`), then the preset it
names in `config/presets/`, then the default in `workflow/schemas/config.schema.yaml`.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.schemas import explain, first_error, read_yaml, with_defaults

# Keys whose texts become paths that the workflow looks for, wherever they stand; those of `motions` do too.
_PATHS = {
    "subjects", "bodies", "root", "scans", "fits", "checkpoint", "model", "controlnet", "vae", "image_reward", "clip",
}  # fmt: skip
_NOT_IN_PATHS = "{}\n\r\0"


def resolve_config(given: dict, presets: str | Path, schema: dict, name: str = "config") -> dict:
    """`given` over the preset it names, complete; InputError names the first key that is wrong."""
    check_config(given, schema, name)
    preset = given.get("preset", schema["properties"]["preset"]["default"])
    path = Path(presets) / f"{preset}.yaml"
    base = read_yaml(path)
    check_config(base, schema, str(path))
    resolved = with_defaults({**merge(base, given), "preset": preset}, schema)
    _check_paths(resolved, name)
    _check_driven(resolved, name)
    return resolved


def merge(base: dict, over: dict) -> dict:
    """`base` with the values of `over` in place of its own, key by key through nested mappings."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return merged


def check_config(config: dict, schema: dict, name: str) -> None:
    """Raise InputError where `config` does not fit `schema`: the file, the key, what was expected."""
    error = first_error(config, schema)
    if error is None:
        _check_finite(config, name)
        return
    key = ".".join(map(str, error.absolute_path)) or "top level"
    raise InputError(f"{name}, {key}: {explain(error)} The keys are described in config/README.md.")


def _check_finite(config: dict, name: str) -> None:
    """Raise InputError where a number is none: no limit of the schema, and none of a check, stops what is not a number."""
    for keys, value in _values(config):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{name}, {'.'.join(keys)}: {value} is not a finite number.")


def _check_paths(config: dict, name: str) -> None:
    """Raise InputError where a path holds what Snakemake would take for a wildcard, or for the end of a line."""
    for keys, text in _values(config):
        is_path = keys[-1] in _PATHS or keys[0] == "motions"
        if is_path and isinstance(text, str) and set(text) & set(_NOT_IN_PATHS):
            raise InputError(
                f"{name}, {'.'.join(keys)}: {text!r} cannot be a path here: braces would be taken for wildcards. "
                "Rename the file or folder, or make a link to it that has neither braces nor line breaks in its name."
            )


def _check_driven(config: dict, name: str) -> None:
    """Raise InputError where avatars are to follow a motion that is none of the motions."""
    for motion in config["drive"]["motions"]:
        if motion not in config["motions"]:
            known = ", ".join(config["motions"]) or "none"
            raise InputError(f"{name}, drive.motions: {motion!r} is no name of `motions`, which has {known}.")


def _values(part: dict, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """(keys, value) of every value in nested mappings; of a list each of its items."""
    for key, value in part.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from _values(item, (*above, str(key)))
            else:
                yield (*above, str(key)), item
