"""Parquet tables, written whole or not at all."""

from pathlib import Path

import pandas as pd

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write `table` to the Parquet file `path`, without its index."""
    with atomic_file(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """The Parquet table at `path`; InputError where it is missing, broken, or lacks one of `columns`."""
    path = require_file(path, "A Parquet table was expected here; rerun the step that writes it.")
    try:
        table = pd.read_parquet(path)
    except Exception as error:
        raise InputError(f"{path}: not a readable Parquet table ({error}). Rerun the step.") from error
    missing = set(columns or []) - set(table.columns)
    if missing:
        raise InputError(f"{path}: column {', '.join(sorted(missing))} is missing from the table.")
    return table
