"""Two tables of the same measurements, compared value by value."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from avatarpipe.errors import InputError
from avatarpipe.evaluation.rows import COLUMNS
from avatarpipe.tables import read_table

METRICS = "metrics.parquet"
_KEYS = [name for name in COLUMNS if name != "value"]


@dataclass(frozen=True)
class Comparison:
    """What came of it: rows that both tables have, rows that one has alone, and by metric the largest difference."""

    name: str
    shared: int
    alone: int
    differences: dict[str, float]
    within: bool

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return max(self.differences.values(), default=0.0)


def compare_tables(
    name: str, ours: pd.DataFrame, theirs: pd.DataFrame, tolerance: float = 0.0
) -> Comparison:
    """Compare values of equal rows; they agree where |a - b| <= tolerance * max(1, |a|, |b|), at 0 where they are equal.

    Repeated rows are matched in their order. The tables agree where all rows are in both and all values agree.
    """
    joined = _numbered(ours).merge(
        _numbered(theirs),
        how="outer",
        on=[*_KEYS, "repeat"],
        suffixes=("", "_theirs"),
        indicator=True,
    )
    both = joined[joined["_merge"] == "both"]
    a, b = both["value"].to_numpy(float), both["value_theirs"].to_numpy(float)
    off = np.abs(a - b)
    within = off <= tolerance * np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    largest = pd.Series(off, index=both["metric"].astype(str)).groupby(level=0, sort=False).max()
    alone = len(joined) - len(both)
    return Comparison(name, len(both), alone, largest.to_dict(), bool(within.all()) and alone == 0)


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    """The table with empty cells as texts, and each row's number among those that are alike."""
    plain = table.assign(**{name: table[name].astype("string").fillna("") for name in _KEYS})
    return plain.assign(repeat=plain.groupby(_KEYS, sort=False).cumcount())


def compare_results(ours: Path, theirs: Path, tolerance: float = 0.0) -> list[Comparison]:
    """Every metrics.parquet below `ours` against the one at the same place below `theirs`.

    InputError where there is none in `ours`, or where `theirs` lacks one.
    """
    found = sorted(path.relative_to(ours) for path in ours.rglob(METRICS))
    if not found:
        raise InputError(
            f"{ours}: no {METRICS} in there to compare. Give a folder of results that were evaluated."
        )
    return [
        compare_tables(
            str(path),
            read_table(ours / path, COLUMNS),
            read_table(theirs / path, COLUMNS),
            tolerance,
        )
        for path in found
    ]
