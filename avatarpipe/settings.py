"""Frozen dataclasses of numbers from the nested mappings of a config file, every key and value checked."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

from avatarpipe.errors import InputError

Settings = TypeVar("Settings")


def build_settings(kind: type[Settings], values: Mapping, where: str) -> Settings:
    """The dataclass `kind` with `values` for its fields; InputError, at `where`, names an unknown or misfitting key."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: {values!r} is not a mapping of keys to values.")
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise InputError(
            f"{where}: unknown key {', '.join(unknown)}. Known are {', '.join(known)}."
        )
    built = {
        name: _convert(hints[name], value, f"{where}.{name}") for name, value in values.items()
    }
    return kind(**built)


def _convert(hint, value, where: str):
    if is_dataclass(hint):
        return build_settings(hint, value, where)
    if hint in (int, float):
        return _number(hint, value, where)
    if get_origin(hint) is tuple:
        return _numbers(get_args(hint), value, where)
    return _chosen(hint, value, where)


def _numbers(kinds: tuple, values, where: str) -> tuple:
    """Of tuple[int, ...] any number of values, of tuple[float, float] the two ends of a range."""
    if not isinstance(values, (list, tuple)) or (
        kinds[-1] is not ... and len(values) != len(kinds)
    ):
        count = "a list of numbers" if kinds[-1] is ... else f"a list of {len(kinds)} numbers"
        raise InputError(f"{where}: {values!r} is not {count}.")
    numbers = tuple(_number(kinds[0], item, where) for item in values)
    if kinds[-1] is not ... and numbers[0] > numbers[-1]:
        raise InputError(f"{where}: {values!r} is no range; the lower end comes first.")
    return numbers


def _chosen(hint, value, where: str):
    """A text, true or false, or one of the values of a Literal."""
    known = get_args(hint) if get_origin(hint) is Literal else None
    if known is None and type(value) is not hint:
        raise InputError(
            f"{where}: {value!r} is not {'true or false' if hint is bool else 'a text'}."
        )
    if known is not None and value not in known:
        raise InputError(f"{where}: {value!r} is not one of {', '.join(known)}.")
    return value


def _number(kind: type, value, where: str):
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and kind(value) == value
    if not fits:
        raise InputError(
            f"{where}: {value!r} is not {'a whole number' if kind is int else 'a number'}."
        )
    return kind(value)
