"""Several parts' values in one flat dictionary, told apart by how their names begin."""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def prefixed(prefix: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """`values` with `prefix` before each name."""
    return {prefix + name: value for name, value in values.items()}


def under(prefix: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """Those of `values` whose names begin with `prefix`, without it: the inverse of `prefixed`."""
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix)
    }
