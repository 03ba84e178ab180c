"""Training curves: one tidy row a value (step, name, value), kept through a resume."""

import logging
from pathlib import Path

import pandas as pd
import torch

from avatarpipe.errors import InputError
from avatarpipe.tables import read_table, write_table

log = logging.getLogger(__name__)


class Curves:
    """Named values over iterations. `add` takes tensors without waiting for the device; `flush` fetches them."""

    def __init__(self):
        self._rows: list[tuple[int, str, float]] = []
        self._pending: list[tuple[int, list[str], torch.Tensor]] = []

    def add(self, step: int, values: dict[str, torch.Tensor | float]) -> None:
        """Remember scalar `values` of iteration `step`."""
        device = next((v.device for v in values.values() if isinstance(v, torch.Tensor)), "cpu")
        stacked = torch.stack(
            [torch.as_tensor(v, device=device).detach().float().reshape(()) for v in values.values()]
        )
        self._pending.append((step, list(values), stacked))

    def flush(self) -> None:
        """Fetch what is still on the device."""
        for step, names, stacked in self._pending:
            rows = zip(names, stacked.tolist(), strict=True)
            self._rows += [(step, name, value) for name, value in rows]
        self._pending = []

    def table(self) -> pd.DataFrame:
        """Columns step, name, value."""
        self.flush()
        return pd.DataFrame(self._rows, columns=["step", "name", "value"])

    def save(self, path: str | Path) -> None:
        """Write the table as Parquet."""
        write_table(self.table(), path)

    @staticmethod
    def resumed(path: str | Path, step: int) -> "Curves":
        """The curves at `path` up to iteration `step`; empty where there are none, or, said so, where the file is damaged."""
        curves = Curves()
        if Path(path).is_file():
            try:
                table = read_table(path, ["step", "name", "value"])
            except InputError as error:
                log.warning("%s; the curves begin anew, the training does not", error)
                return curves
            curves._rows = list(table[table["step"] <= step].itertuples(index=False, name=None))
        return curves
