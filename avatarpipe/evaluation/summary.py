"""Many subjects' metrics as one small table that people read."""

from html import escape

import pandas as pd

GROUP = ["subject", "method", "stage", "split", "layer", "metric", "unit"]
ARROWS = {
    "psnr": "↑", "ssim": "↑", "lpips": "↓", "iou": "↑", "miou": "↑", "hidden": "↑", "penetration": "↓",
    "chamfer": "↓", "f": "↑", "normal": "↑", "image": "↑",
    "clip": "↑", "fid": "↓",
}  # fmt: skip


def summarize(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row for each of GROUP, in the order of first appearance: mean, std (0 where there is one value), count."""
    grouped = metrics.groupby(GROUP, sort=False, dropna=False)["value"]
    summary = grouped.agg(mean="mean", std="std", count="count").reset_index()
    return summary.fillna({"std": 0.0})


def number(value: float) -> str:
    """Four significant digits, zeros at the end too so that columns align; no exponent for what people meet here."""
    return _digits(value, 4) if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def deviation(value: float, plus_minus: str = " ± ") -> str:
    """A standard deviation in two digits, after its sign."""
    return f"{plus_minus}{_digits(value, 2)}"


def _digits(value: float, count: int) -> str:
    return f"{value:#.{count}g}".rstrip(".")


def spread(row) -> str:
    """The mean, with its standard deviation in two digits where there is more than one value."""
    return number(row.mean_) if row.count_ == 1 else f"{number(row.mean_)}{deviation(row.std_)}"


def _readable(summary: pd.DataFrame) -> pd.DataFrame:
    """The columns to print, all text."""
    rows = summary.rename(columns={"mean": "mean_", "std": "std_", "count": "count_"})
    readable = (
        rows[["subject", "method", "stage", "split", "layer", "metric"]].fillna("").astype(str)
    )
    readable["metric"] = [f"{name} {_arrow(name)}".strip() for name in readable["metric"]]
    readable["value"] = [spread(row) for row in rows.itertuples()]
    readable["unit"] = rows["unit"].fillna("").astype(str)
    readable["n"] = rows["count_"].astype(str)
    return readable


def _arrow(metric: str) -> str:
    return ARROWS.get(metric.split("_")[0], "")


def to_markdown(summary: pd.DataFrame) -> str:
    """The summary as a Markdown table; arrows say which way is better."""
    table = _readable(summary)
    lines = [_line(table.columns), _line("---" for _ in table.columns)]
    return "\n".join([*lines, *(_line(row) for row in table.itertuples(index=False))]) + "\n"


def _line(cells) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_HEAD = """<meta charset="utf-8">
<style>
.metrics { border-collapse: collapse; font: 14px/1.5 system-ui, sans-serif; color: #1f2933; background: #fff; }
.metrics th, .metrics td { padding: 4px 12px; text-align: left; border-bottom: 1px solid #e4e7eb; }
.metrics thead th { border-bottom: 2px solid #9aa5b1; }
.metrics td.n { text-align: right; font-variant-numeric: tabular-nums; }
.metrics tr.first td { border-top: 2px solid #cbd2d9; }
</style>"""


def to_html(summary: pd.DataFrame) -> str:
    """The summary as an HTML fragment with its own style, which is also a page by itself; a line parts one subject, stage and layer from the next."""
    table = _readable(summary)
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    body, previous = [], None
    for row in table.itertuples(index=False):
        group = tuple(row)[:5]
        mark = ' class="first"' if previous not in (None, group) else ""
        previous = group
        body.append(f"<tr{mark}>{_cells(row)}</tr>")
    rows = "\n".join(body)
    return f'{_HEAD}\n<table class="metrics"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>\n'


def _cells(row) -> str:
    numeric = {"value", "n"}
    return "".join(
        f'<td class="n">{escape(text)}</td>' if name in numeric else f"<td>{escape(text)}</td>"
        for name, text in zip(row._fields, row, strict=True)
    )
