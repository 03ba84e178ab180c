"""All subjects and methods in one table: rows are methods and stages, columns metrics, each a mean over subjects."""

from dataclasses import dataclass

import pandas as pd

from avatarpipe.evaluation.rows import DIFFERENCE
from avatarpipe.evaluation.summary import ARROWS, deviation, number

_PLACE = ["split", "layer"]
_ROW = ["method", "stage"]


@dataclass(frozen=True)
class Cell:
    """One metric of one method: mean and standard deviation of its subjects' means."""

    mean: float
    std: float
    subjects: frozenset[str]
    best: bool = False
    """Best of the methods that were measured on the same subjects; never where there is nothing to compare with."""

    def text(self, plus_minus: str = " ± ") -> str:
        """The mean, with its spread in two digits where there are several subjects."""
        spread = deviation(self.std, plus_minus) if len(self.subjects) > 1 else ""
        return f"{number(self.mean)}{spread}"


@dataclass(frozen=True)
class Row:
    """A method and stage; its cells by metric, without those that were not measured."""

    method: str
    stage: str
    subjects: int
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Block:
    """What was measured in one way: on one split's views, of one layer. Only within a block are values comparable."""

    split: str
    layer: str
    metrics: list[str]
    units: dict[str, str]
    rows: list[Row]

    @property
    def title(self) -> str:
        """Split and layer in words."""
        named = (("split", self.split), ("layer", self.layer))
        return ", ".join(f"{what} {name}" for what, name in named if name) or "all"

    def heading(self, metric: str) -> str:
        """Name, direction and unit of a column."""
        return " ".join(
            filter(None, (metric, ARROWS.get(metric.split("_")[0], ""), self.units[metric]))
        )


def blocks(metrics: pd.DataFrame) -> list[Block]:
    """The tidy table as blocks, in the order of first appearance. Views are averaged per subject, then subjects."""
    table = metrics.assign(
        **{name: metrics[name].astype("string").fillna("") for name in (*_PLACE, *_ROW, "unit")}
    )
    keys = [*_PLACE, *_ROW, "metric", "unit", "subject"]
    means = table.groupby(keys, sort=False)["value"].mean().reset_index()
    return [_block(*place, part) for place, part in means.groupby(_PLACE, sort=False)]


def _block(split: str, layer: str, part: pd.DataFrame) -> Block:
    metrics = list(part["metric"].unique())
    rows = []
    for (method, stage), of_row in part.groupby(_ROW, sort=False):
        cells = {name: _cell(of_metric) for name, of_metric in of_row.groupby("metric", sort=False)}
        rows.append(Row(method, stage, of_row["subject"].nunique(), cells))
    units = dict(zip(part["metric"], part["unit"], strict=True))
    return Block(split, layer, metrics, units, _ranked(rows, metrics))


def _cell(values: pd.DataFrame) -> Cell:
    std = values["value"].std() if len(values) > 1 else 0.0
    return Cell(float(values["value"].mean()), float(std), frozenset(values["subject"]))


def _ranked(rows: list[Row], metrics: list[str]) -> list[Row]:
    """The rows with the best cells marked, among those of the same subjects."""
    best = {
        (number, metric)
        for metric in metrics
        for number in _best(
            metric,
            {
                i: row.cells[metric]
                for i, row in enumerate(rows)
                if metric in row.cells and DIFFERENCE not in row.stage
            },
        )
    }
    return [
        Row(row.method, row.stage, row.subjects, {
            metric: Cell(cell.mean, cell.std, cell.subjects, (i, metric) in best) for metric, cell in row.cells.items()
        })
        for i, row in enumerate(rows)
    ]  # fmt: skip


def _best(metric: str, cells: dict[int, Cell]) -> list[int]:
    """The rows whose value is the best of two or more of the same subjects, all that are shown alike; none where no
    direction is known."""
    sign = {"↑": 1, "↓": -1}.get(ARROWS.get(metric.split("_")[0]))
    found = []
    for subjects in {cell.subjects for cell in cells.values()} if sign else ():
        rivals = {row: sign * cell.mean for row, cell in cells.items() if cell.subjects == subjects}
        if len(rivals) > 1:
            best = number(max(rivals.values()))
            found += [row for row, value in rivals.items() if number(value) == best]
    return found


def to_long(found: list[Block]) -> pd.DataFrame:
    """A row a method, stage and metric: mean, std, the number of subjects, and whether it is best."""
    return pd.DataFrame([
        {"method": row.method, "stage": row.stage, "split": block.split, "layer": block.layer, "metric": metric,
         "unit": block.units[metric], "mean": cell.mean, "std": cell.std, "subjects": len(cell.subjects),
         "best": cell.best}
        for block in found for row in block.rows for metric, cell in row.cells.items()
    ])  # fmt: skip
