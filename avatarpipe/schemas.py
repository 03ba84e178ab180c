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
_TYPES = {
    "integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false",
    "object": "a group of keys", "array": "a list", "null": "null",
}  # fmt: skip


def read_yaml(path: str | Path) -> dict:
    """The YAML mapping at `path`; InputError where it is missing, broken, or not a mapping."""
    try:
        document = yaml.load(Path(path).read_text(), SafeLoader)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. A YAML file was expected here.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}{_place_and_problem(error)}") from error
    except ValueError as error:  # no UTF-8, or a number of thousands of digits
        raise InputError(f"{path}: not valid YAML ({error}).") from error
    if not isinstance(document or {}, dict):
        raise InputError(f"{path}: expected `key: value` lines, found {type(document).__name__}.")
    return document or {}


def _place_and_problem(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{place}: not valid YAML: {problem or error}. Write `key: value`, indented by blanks and not by tabs."


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
    found = _found(error, bool(expected))
    hint = " YAML reads a number with an exponent as text unless it has a point: 1.0e-4." * _exponent(error)
    return (f"{found} Expected: {expected}." if expected else found) + hint


def _found(error: ValidationError, described: bool) -> str:
    """What is wrong with the value, as a sentence; patterns and the like stay away where the schema says it in words."""
    value = repr(error.instance)
    if error.validator == "enum":
        near = _nearest(error.instance, error.validator_value)
        return f"{value} is not one of {', '.join(map(str, error.validator_value))}{near or '.'}"
    if error.validator == "type":
        types = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        return f"{_cut(value)} is not {' or '.join(_TYPES[kind] for kind in types)}."
    if error.validator in ("pattern", "const", "not") and described:
        return f"{_cut(value)} does not fit."
    return f"{_cut(error.message)}."


def _cut(text: str) -> str:
    return text if len(text) < 160 else text[:157] + "..."


def _nearest(value: Any, known: list) -> str:
    """A question that names what is spelt most like `value`; empty where nothing is."""
    near = difflib.get_close_matches(str(value), list(map(str, known)), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _exponent(error: ValidationError) -> bool:
    return isinstance(error.instance, str) and bool(re.fullmatch(r"[+-]?\d+[eE][+-]?\d+", error.instance))


def _unknown_keys(error: ValidationError) -> str:
    known = sorted(error.schema.get("properties", {}))
    unknown = sorted(set(error.instance) - set(known))
    sentences = []
    for key in unknown:
        sentences.append(f"unknown key {key!r}" + (_nearest(key, known) or f"; known here: {', '.join(known)}."))
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
