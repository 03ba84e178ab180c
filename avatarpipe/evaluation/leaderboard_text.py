"""The table over all subjects and methods as Markdown, HTML and LaTeX."""

from html import escape

from avatarpipe.evaluation.leaderboard import Block, Cell, Row

NOTE = "Mean ± standard deviation over subjects; bold: best of those measured on the same subjects, split and layer."
_WIDE = 5  # metrics that fit on a page of LaTeX

_HEAD = """<meta charset="utf-8">
<style>
.board { border-collapse: collapse; font: 14px/1.5 system-ui, sans-serif; color: #1f2933; background: #fff; margin: 0 0 24px; }
.board caption { text-align: left; padding: 8px 12px; color: #52606d; }
.board th, .board td { padding: 4px 12px; border-bottom: 1px solid #e4e7eb; text-align: left; white-space: nowrap; }
.board thead th { border-bottom: 2px solid #9aa5b1; }
.board .n { text-align: right; font-variant-numeric: tabular-nums; }
.board b { color: #0b6e4f; }
.note { font: 14px/1.5 system-ui, sans-serif; color: #52606d; }
</style>"""


def _texts(row: Row, block: Block, mark, plus_minus: str = " ± ") -> list[str]:
    """The cells of a row; `mark` makes the best one stand out, and each says so where it has fewer subjects than its row."""
    return [
        _text(row.cells.get(metric), row.subjects, mark, plus_minus) for metric in block.metrics
    ]


def _text(cell: Cell | None, subjects: int, mark, plus_minus: str) -> str:
    if cell is None:
        return "–"
    text = mark(cell.text(plus_minus)) if cell.best else cell.text(plus_minus)
    return text if len(cell.subjects) == subjects else f"{text} (n={len(cell.subjects)})"


def to_markdown(found: list[Block]) -> str:
    """A heading and a table a block."""
    parts = [NOTE, ""]
    for block in found:
        head = ["method", "stage", "subjects", *map(block.heading, block.metrics)]
        parts += [
            f"### {_cell_text(block.title)}",
            "",
            _line(head),
            _line(["---"] * 2 + ["---:"] * (len(head) - 2)),
        ]
        for row in block.rows:
            texts = _texts(row, block, lambda text: f"**{text}**")
            parts.append(_line([row.method, row.stage, str(row.subjects), *texts]))
        parts.append("")
    return "\n".join(parts)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(map(_cell_text, cells)) + " |"


def _cell_text(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def to_html(found: list[Block]) -> str:
    """An HTML fragment with its own style, which is also a page by itself."""
    tables = [_html_table(block) for block in found]
    return "\n".join([_HEAD, f'<p class="note">{escape(NOTE)}</p>', *tables]) + "\n"


def _html_table(block: Block) -> str:
    head = "".join(
        f'<th class="n">{escape(block.heading(metric))}</th>' for metric in block.metrics
    )
    body = "\n".join(_html_row(row, block) for row in block.rows)
    return (
        f'<table class="board"><caption>{escape(block.title)}</caption><thead><tr><th>method</th><th>stage</th>'
        f'<th class="n">subjects</th>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'
    )


def _html_row(row: Row, block: Block) -> str:
    cells = "".join(
        f'<td class="n">{text}</td>' for text in _texts(row, block, lambda text: f"<b>{text}</b>")
    )
    names = f"<td>{escape(row.method)}</td><td>{escape(row.stage)}</td>"
    return f'<tr>{names}<td class="n">{row.subjects}</td>{cells}</tr>'


def to_latex(found: list[Block]) -> str:
    """A table a block, to be read into a document by \\input; it needs the packages booktabs and graphicx."""
    lines = ["% \\usepackage{booktabs,graphicx}"]
    for block in found:
        wide = len(block.metrics) > _WIDE
        lines += [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{_latex(block.title)}. {_latex(NOTE)}}}",
            *(["\\resizebox{\\linewidth}{!}{%"] if wide else []),
            f"\\begin{{tabular}}{{ll{'r' * (1 + len(block.metrics))}}}",
            "\\toprule",
            _latex_line(
                [
                    "method",
                    "stage",
                    "subjects",
                    *(_latex(block.heading(name)) for name in block.metrics),
                ]
            ),
            "\\midrule",
            *(_latex_row(row, block) for row in block.rows),
            "\\bottomrule",
            "\\end{tabular}" + ("}" if wide else ""),
            "\\end{table}",
            "",
        ]
    return "\n".join(lines)


def _latex_row(row: Row, block: Block) -> str:
    texts = _texts(row, block, lambda text: f"\\textbf{{{text}}}", " $\\pm$ ")
    return _latex_line(
        [
            _latex(row.method),
            _latex(row.stage),
            str(row.subjects),
            *(t.replace("–", "--") for t in texts),
        ]
    )


def _latex_line(cells: list[str]) -> str:
    return " & ".join(cells) + " \\\\"


_LATEX = {
    "{": "\\{", "}": "\\}", "_": "\\_", "%": "\\%", "&": "\\&", "#": "\\#", "$": "$\\mathdollar$", "~": "\\~{}", "^": "\\^{}",
    "\\": "$\\backslash$", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''",
    "↑": "$\\uparrow$", "↓": "$\\downarrow$", "±": "$\\pm$",
}  # fmt: skip


def _latex(text: str) -> str:
    """Text as LaTeX prints it; characters that an 8-bit engine may not know become question marks."""
    return "".join(
        _LATEX.get(char, char if char.isascii() and char.isprintable() else "?") for char in text
    )
