"""The configuration of a run: what the user wrote, laid over a preset, checked and completed.

A key is looked up in three places: `config/config.yaml` (and `--configfile`), then the preset it
names in `config/presets/`, then the default in `workflow/schemas/config.schema.yaml`.
"""

from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.schemas import explain, first_error, read_yaml, with_defaults


def resolve_config(given: dict, presets: str | Path, schema: dict, name: str = "config") -> dict:
    """`given` over the preset it names, complete; InputError names the first key that is wrong."""
    check_config(given, schema, name)
    preset = given.get("preset", schema["properties"]["preset"]["default"])
    path = Path(presets) / f"{preset}.yaml"
    base = read_yaml(path)
    check_config(base, schema, str(path))
    return with_defaults({**merge(base, given), "preset": preset}, schema)


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
        return
    key = ".".join(map(str, error.absolute_path)) or "top level"
    raise InputError(f"{name}, {key}: {explain(error)} The keys are described in config/README.md.")
