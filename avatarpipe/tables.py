"""Parquet tables, written whole or not at all."""

from pathlib import Path

import pandas as pd

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file
from avatarpipe.npz import LIMIT


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write `table` to the Parquet file `path`, without its index."""
    with atomic_file(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """The Parquet table at `path`; InputError where it is missing, broken, or lacks one of `columns`."""
    path = require_file(path, "A Parquet table was expected here; rerun the step that writes it.")
    try:
        _check_size(path)
        table = pd.read_parquet(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a readable Parquet table ({error}). Rerun the step.") from error
    missing = set(columns or []) - set(table.columns)
    if missing:
        raise InputError(f"{path}: column {', '.join(sorted(missing))} is missing from the table.")
    return table


def _check_size(path: Path) -> None:
    """InputError where a table would fill the memory: a value that is there a billion times takes a few bytes on disk."""
    from pyarrow import parquet  # here, since pandas loads it only where it reads

    metadata = parquet.read_metadata(path)
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    values = sum(group.column(i).num_values for group in groups for i in range(group.num_columns))
    if 8 * max(values, metadata.num_rows) > LIMIT:
        raise InputError(
            f"{path}: {values:,} values, more than {LIMIT / 2**30:g} GiB of memory would hold. It is not what was expected here; "
            "fetch it again, or rerun the step that writes it."
        )
