"""The table over all subjects and methods, against means computed by hand, and what hostile names do to its texts."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from avatarpipe.evaluation.leaderboard import blocks, to_long
from avatarpipe.evaluation.leaderboard_text import to_html, to_latex, to_markdown
from avatarpipe.evaluation.rows import tidy


def rows(subject, method, stage, metric, values, unit="dB", split="test", layer="composite"):
    return [
        {"subject": subject, "method": method, "stage": stage, "split": split, "layer": layer, "camera": str(number),
         "metric": metric, "value": value, "unit": unit}
        for number, value in enumerate(values)
    ]  # fmt: skip


@pytest.fixture
def metrics():
    return tidy([
        *rows("ann", "animatable", "full", "psnr", [30.0, 34.0]),
        *rows("bob", "animatable", "full", "psnr", [20.0]),
        *rows("ann", "animatable", "skinned", "psnr", [28.0, 30.0]),
        *rows("bob", "animatable", "skinned", "psnr", [21.0]),
        *rows("cid", "layered", "outer", "psnr", [40.0]),
        *rows("ann", "animatable", "full", "lpips", [0.2], ""),
        *rows("ann", "animatable", "skinned", "lpips", [0.1], ""),
        *rows("ann", "animatable", "full", "sharpness", [3.0], "px"),
        *rows("ann", "animatable", "skinned", "sharpness", [4.0], "px"),
        *rows("ann", "animatable", "full", "psnr", [11.0], split="novel"),
    ])  # fmt: skip


def test_subjects_count_alike_however_many_views_they_have(metrics):
    block = blocks(metrics)[0]
    full, skinned, layered = block.rows
    assert full.cells["psnr"].mean == pytest.approx((32.0 + 20.0) / 2)
    assert full.cells["psnr"].std == pytest.approx(pd.Series([32.0, 20.0]).std())
    assert (full.subjects, skinned.subjects, layered.subjects) == (2, 2, 1)
    assert layered.cells["psnr"].text() == "40.00" and "±" in full.cells["psnr"].text()


def test_best_is_told_only_among_the_same_subjects_and_where_a_direction_is_known(metrics):
    full, skinned, layered = blocks(metrics)[0].rows
    assert full.cells["psnr"].best and not skinned.cells["psnr"].best
    assert skinned.cells["lpips"].best and not full.cells["lpips"].best
    assert not layered.cells["psnr"].best, "other subjects: the highest number of all says nothing"
    assert not (full.cells["sharpness"].best or skinned.cells["sharpness"].best)
    assert not blocks(metrics)[1].rows[0].cells["psnr"].best


def test_differences_of_stages_do_not_compete():
    board = blocks(tidy([
        *rows("ann", "animatable", "full", "lpips", [0.1]), *rows("ann", "animatable", "skinned", "lpips", [0.2]),
        *rows("ann", "animatable", "full - skinned", "lpips", [-0.1]),
    ]))  # fmt: skip
    assert [row.cells["lpips"].best for row in board[0].rows] == [True, False, False]


def test_what_is_shown_alike_is_best_alike():
    board = blocks(tidy([
        *rows("ann", "animatable", "full", "psnr", [16.5504]), *rows("ann", "animatable", "skinned", "psnr", [16.5503]),
        *rows("ann", "animatable", "third", "psnr", [16.54]),
    ]))  # fmt: skip
    assert [row.cells["psnr"].best for row in board[0].rows] == [True, True, False]


def test_splits_and_layers_are_not_mixed(metrics):
    assert [(b.split, b.layer, len(b.rows)) for b in blocks(metrics)] == [("test", "composite", 3), ("novel", "composite", 1)]


def test_markdown_shows_direction_spread_and_missing_cells(metrics):
    lines = to_markdown(blocks(metrics)).splitlines()
    assert "| method | stage | subjects | psnr ↑ dB | lpips ↓ | sharpness px |" in lines
    assert "| animatable | full | 2 | **26.00 ± 8.5** | 0.2000 (n=1) | 3.000 (n=1) |" in lines
    assert "| layered | outer | 1 | 40.00 | – | – |" in lines
    assert "### split novel, layer composite" in lines


def test_csv_is_tidy(metrics):
    table = to_long(blocks(metrics))
    row = table[(table["stage"] == "full") & (table["metric"] == "psnr") & (table["split"] == "test")].iloc[0]
    assert (row["mean"], row["subjects"], row["best"]) == (26.0, 2, True)


def test_latex_has_as_many_cells_as_columns_and_balanced_braces(metrics):
    text = to_latex(blocks(metrics))
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.S):
        table = [line for line in body.splitlines() if line.endswith("\\\\")]
        assert len(table) >= 2 and all(line.count(" & ") == len(columns) - 1 for line in table)
    assert text.count("{") == text.count("}") and "\\textbf{26.00 $\\pm$ 8.5}" in text
    assert text.isascii()


HOSTILE = r"a_b%c&d#e$f{g}h~i^j\input{/etc/passwd}<script>|↑é" + "\n"


def test_hostile_names_stay_text():
    board = blocks(tidy(rows("s", HOSTILE, HOSTILE, "psnr", [1.0], HOSTILE, layer=HOSTILE)))
    latex, markdown, html = to_latex(board), to_markdown(board), to_html(board)
    assert "\\input" not in latex
    (row,) = [line for line in latex.splitlines() if line.startswith("a\\_b")]
    known = r"\$(?:\\\w+|[<>|])\$|\\[\^~]\{\}|\\[#%&_${}]"
    escaped = re.sub(known, "", row.removesuffix(" \\\\").replace(" & ", ""))
    assert not set(escaped) & set("\\#%&_${}~^<>"), escaped
    assert "<script>" not in html and "<script>" not in markdown
    assert [line.count("|") - line.count("\\|") for line in markdown.splitlines() if line.startswith("|")] == [5, 5, 5]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here to compile the table")
def test_latex_compiles(metrics, tmp_path):
    hostile = tidy(rows("s", HOSTILE, HOSTILE, "psnr", [1.0], HOSTILE, layer=HOSTILE))
    (tmp_path / "summary.tex").write_text(to_latex([*blocks(metrics), *blocks(hostile)]))
    (tmp_path / "page.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\\input{summary}\\end{document}"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "page.pdf").stat().st_size > 1000
