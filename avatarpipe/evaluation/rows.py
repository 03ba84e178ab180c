"""Metrics as a tidy table: one row a value."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

COLUMNS = [
    "subject",
    "method",
    "stage",
    "split",
    "layer",
    "frame",
    "camera",
    "metric",
    "value",
    "unit",
]

DIFFERENCE = " - "
"""Between the names of two stages it names a third, whose values are by how much the first differs from the second."""

Scores = dict[str, tuple[float, str]]
"""Metric name to (value, unit)."""


def score_rows(scores: Scores, **where) -> list[dict]:
    """One row a score; `where` gives the other columns that apply (layer, split, frame, camera...)."""
    return [
        {**where, "metric": metric, "value": float(value), "unit": unit}
        for metric, (value, unit) in scores.items()
    ]


def tidy(rows: Iterable[dict], **shared) -> pd.DataFrame:
    """The rows as a table with every one of COLUMNS; what does not apply to a row is null.

    Raises ValueError on a column that is none of COLUMNS or a value that is not finite.
    """
    table = pd.DataFrame([{**shared, **row} for row in rows])
    if extra := set(table.columns) - set(COLUMNS):
        raise ValueError(f"metric rows have unknown columns {sorted(extra)}")
    table = table.reindex(columns=COLUMNS)
    table = table.astype({name: "float64" if name == "value" else "string" for name in COLUMNS})
    if not np.isfinite(table["value"]).all():
        bad = table.loc[~np.isfinite(table["value"]), "metric"].unique()
        raise ValueError(f"metrics {sorted(bad)} are not finite")
    return table
