"""Documents checked against closed JSON schemas, with errors that a person can act on."""

import difflib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from avatarpipe.errors import InputError

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML has it


def read_yaml(path: str | Path) -> dict:
    """The YAML mapping at `path`; InputError where it is missing, broken, or not a mapping."""
    try:
        document = yaml.load(Path(path).read_text(), SafeLoader)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. A YAML file was expected here.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({error}).") from error
    if not isinstance(document or {}, dict):
        raise InputError(f"{path}: expected `key: value` lines, found {type(document).__name__}.")
    return document or {}


def first_error(document: Any, schema: dict) -> ValidationError | None:
    """What is most wrong with `document`, or None where it fits `schema`."""
    return best_match(_validator()(schema).iter_errors(document))


@cache
def _validator() -> type:
    """JSON Schema 2020-12, but that `$` ends a pattern where the text ends: Python's also lets a last line break pass."""
    return extend(Draft202012Validator, {"pattern": _pattern})


def _pattern(validator, pattern: str, instance: Any, schema: dict) -> Iterator[ValidationError]:
    strict = pattern.removesuffix("$") + r"\Z" if pattern.endswith("$") else pattern
    if isinstance(instance, str) and not re.search(strict, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def explain(error: ValidationError) -> str:
    """One sentence a person understands: the value found and what the schema expects there."""
    if error.validator == "additionalProperties":
        return _unknown_keys(error)
    expected = error.schema.get("description", "").strip().rstrip(".")
    found = error.message if len(error.message) < 160 else error.message[:157] + "..."
    hint = " YAML reads a number with an exponent as text unless it has a point: 1.0e-4." * _exponent(error)
    return (f"{found}. Expected: {expected}." if expected else f"{found}.") + hint


def _exponent(error: ValidationError) -> bool:
    return isinstance(error.instance, str) and bool(re.fullmatch(r"[+-]?\d+[eE][+-]?\d+", error.instance))


def _unknown_keys(error: ValidationError) -> str:
    known = sorted(error.schema.get("properties", {}))
    unknown = sorted(set(error.instance) - set(known))
    sentences = []
    for key in unknown:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}."
        sentences.append(f"unknown key {key!r}; {hint}")
    return " ".join(sentences)


def with_defaults(document: Any, schema: dict) -> Any:
    """`document` with every absent key that the schema gives a `default`, nested mappings included."""
    if not isinstance(document, dict):
        return document
    filled = dict(document)
    for key, part in schema.get("properties", {}).items():
        if key not in filled and "default" in part:
            filled[key] = part["default"]
        if part.get("type") == "object":
            filled[key] = with_defaults(filled.get(key, {}), part)
    return filled
