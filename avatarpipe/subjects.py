"""The subject table: one row a subject, tab separated, checked before anything runs."""

from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.schemas import explain, first_error

HEADER_LINES = 1


def read_subjects(path: str | Path, schema: dict) -> dict[str, dict[str, str]]:
    """The rows of the table at `path` by subject, every cell text by column; InputError names row and column.

    Absent optional columns are filled with the default of their schema. Lines that start with `#` and empty lines are
    skipped. No data frame: Snakemake reads the table at every start, and pandas takes longer to load than all of this.
    """
    rows, lines = _read_rows(path, schema)
    for row, line in zip(rows, lines, strict=True):
        _check_row(row, schema, f"{path}, line {line}")
    _check_unique(rows, lines, path)
    return {row["subject"]: {column: row.get(column, "") for column in schema["properties"]} for row in rows}


def _read_rows(path: str | Path, schema: dict) -> tuple[list[dict], list[int]]:
    text = _text(require_file(path, "The subject table was expected here: see config/README.md."))
    numbered = [
        (number, line.rstrip("\r"))
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip() and not line.startswith("#")
    ]
    if len(numbered) <= HEADER_LINES:
        raise InputError(f"{path}: no subject in the table. Give it a header and one row a subject.")
    header = _check_header(numbered[0][1].split("\t"), schema, path)
    rows = [_row(line, header, schema, f"{path}, line {number}") for number, line in numbered[1:]]
    return rows, [number for number, _ in numbered[1:]]


def _text(path: Path) -> str:
    """What the file says; spreadsheets may put a byte order mark in front of it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}, byte {error.start}). Save the table as UTF-8.") from error


def _check_header(header: list[str], schema: dict, path: str | Path) -> list[str]:
    columns = [column.strip() for column in header]
    unknown = [column for column in columns if column not in schema["properties"]]
    missing = [column for column in schema["required"] if column not in columns]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    known = ", ".join(schema["properties"])
    for what, names in (("unknown", unknown), ("missing", missing), ("repeated", twice)):
        if names:
            raise InputError(
                f"{path}, header: {what} column {', '.join(map(repr, names))}. Columns are separated by tabs "
                f"(not by spaces or commas); known: {known}."
            )
    return columns


def _row(line: str, header: list[str], schema: dict, place: str) -> dict:
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) > len(header):
        raise InputError(f"{place}: {len(cells)} cells, but the header has {len(header)} columns.")
    if len(cells) == 1 < len(header):
        raise InputError(f"{place}: {line[:80]!r} is a single cell. Separate the cells by tabs, not by spaces or commas.")
    cells += [""] * (len(header) - len(cells))
    given = {column: cell for column, cell in zip(header, cells, strict=True) if cell}
    defaults = {
        column: part["default"] for column, part in schema["properties"].items() if "default" in part
    }
    return {**defaults, **given}


def _check_row(row: dict, schema: dict, place: str) -> None:
    error = first_error(row, schema)
    if error is None:
        return
    if error.validator == "required":
        column = next(column for column in error.validator_value if column not in row)
        said = f"empty. Expected: {schema['properties'][column]['description']}."
    else:
        column, said = error.absolute_path[0], explain(error)
    raise InputError(f"{place} (subject {row.get('subject', '')[:80]!r}), column {column!r}: {said}")


def _check_unique(rows: list[dict], lines: list[int], path: str | Path) -> None:
    seen: dict[str, int] = {}
    for row, line in zip(rows, lines, strict=True):
        first = seen.setdefault(row["subject"].lower(), line)
        if first != line:
            raise InputError(
                f"{path}, line {line}, column 'subject': {row['subject']!r} is already on line {first}. "
                "Names must differ, also on a file system that ignores case; rename one."
            )
