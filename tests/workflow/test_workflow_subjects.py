"""The subject table: what is accepted, and that every error names its row and column."""

from pathlib import Path

import pytest

from avatarpipe.errors import InputError
from avatarpipe.schemas import read_yaml
from avatarpipe.subjects import read_subjects

ROOT = Path(__file__).parents[2]
SCHEMA = read_yaml(ROOT / "workflow/schemas/subjects.schema.yaml")


def table(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "subjects.tsv"
    path.write_text("\n".join(row.replace(" ", "\t") for row in rows) + "\n")
    return path


def test_the_default_table_holds():
    subjects = read_subjects(ROOT / "config/subjects.tsv", SCHEMA)
    assert {row["dataset"] for row in subjects.values()} == {"synthetic", "synthetic-video"}  # nothing to download
    assert {row["methods"] for row in subjects.values()} == {"layered", "animatable"}
    for subject, row in subjects.items():
        assert list(row)[:3] == ["subject", "dataset", "source"] and row["subject"] == subject


def test_absent_columns_and_empty_cells_get_their_defaults(tmp_path):
    subjects = read_subjects(
        table(tmp_path, "subject dataset source gender frames", "a synthetic 7 male 0", "b synthetic 8 male"),
        SCHEMA,
    )
    assert subjects["b"]["frames"] == "0"
    assert subjects["b"]["methods"] == "layered"
    assert subjects["b"]["prompt"] == ""


@pytest.mark.parametrize(
    "row",
    [
        "a 4d-dress 00175_Inner_1/Inner/Take4 male 0-499:5,600",
        "a thuman2.0 0525 male",
        "a thuman2.1 2445 neutral",
        "a avatarrex avatarrex_zzr neutral 0-1999",
        "a thuman4.0 subject00 neutral all",
        "a actorshq Actor01/Sequence1 neutral 48-2176",
        "a people-snapshot male-3-casual male all",
        "a nerfstudio me.2026 neutral 0,4,8",
        "a synthetic-video 7 female all",
    ],
)
def test_rows_of_every_kind_hold(tmp_path, row):
    subjects = read_subjects(table(tmp_path, "subject dataset source gender frames", row), SCHEMA)
    assert subjects["a"]["source"] == row.split()[2]


def test_a_video_may_become_an_animatable_avatar(tmp_path):
    row = "vic synthetic-video 7 male all animatable"
    subjects = read_subjects(table(tmp_path, "subject dataset source gender frames methods", row), SCHEMA)
    assert subjects["vic"]["methods"] == "animatable"


def test_cells_stay_text_and_comments_are_skipped(tmp_path):
    subjects = read_subjects(
        table(tmp_path, "#a_comment", "subject dataset source gender", "", "007 synthetic 007 male"), SCHEMA
    )
    assert subjects["007"]["source"] == "007"


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("../evil synthetic 7 male", "subject", "letters, digits"),
        (".. synthetic 7 male", "subject", "letters, digits"),
        ("a/b synthetic 7 male", "subject", "letters, digits"),
        ("$(reboot) synthetic 7 male", "subject", "letters, digits"),
        ("-rf synthetic 7 male", "subject", "letters, digits"),
        ("a\nb synthetic 7", "subject", "row"),
        ("tables synthetic 7 male", "subject", "none of the names"),
        ("body synthetic 7 male", "subject", "none of the names"),
        ("x" * 65 + " synthetic 7 male", "subject", "1 to 64"),
        ("a thuman9 7 male", "dataset", "4d-dress"),
        ("a synthetic seven male", "source", "seed"),
        ("a synthetic -7 male", "source", "seed"),
        ("a synthetic 7 other", "gender", "male or female"),
        ("a synthetic 7 neutral", "gender", "whose body and clothes"),
        ("a synthetic 7", "gender", "empty. Expected: which body model fits"),
        ("a 4d-dress 00122/Inner/Take8 male x", "frames", "whole number"),
        ("a 4d-dress 00122/Inner male 11", "source", "SUBJECT/OUTFIT/SEQUENCE"),
        ("a synthetic 7 male 3", "frames", "only frame"),
        ("a synthetic 7 male 0 magic", "methods", "layered"),
        ("a synthetic 7 male 0 layerd", "methods", "did you mean 'layered'?"),
        ("a synthetic 7 male 0 animatable", "dataset", "one that has video"),
        ("a sigman item7 neutral all animatable", "dataset", "one that has video"),
        ("a four-view 0001 male all animatable", "dataset", "one that has video"),
        ("a avatarrex zzr neutral 7 animatable", "frames", "several frames"),
        ("a 4d-dress 00122/Inner/Take8 male 0-", "frames", "whole number"),
        ("a 4d-dress 00122/Inner/Take8 male 0,;reboot", "frames", "whole number"),
        ("a thuman2.0 ../0 male", "source", "four digits"),
        ("a thuman2.0 0525 female", "gender", "male, the body"),
        ("a thuman2.1 0525 neutral 1", "frames", "only frame"),
        ("a avatarrex ../avatarrex_zzr neutral", "source", "below the"),
        ("a avatarrex /etc neutral", "source", "below the"),
        ("a nerfstudio my/../../etc neutral", "source", "below the"),
        ("a colmap $(reboot) neutral", "source", "below the"),
        ("a actorshq a//b neutral", "source", "below the"),
        ("a synthetic-video seven male", "source", "seed"),
        ("a 4d-dress ../../etc male 11", "source", "below the dataset"),
        ("a 4d-dress /etc male 11", "source", "below the dataset"),
        ("a 4d-dress 00122/Inner/Take8 neutral 11", "gender", "male or female"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, row, column, says):
    path = table(tmp_path, "subject dataset source gender frames methods", "ok synthetic 1 male", row)
    with pytest.raises(InputError) as caught:
        read_subjects(path, SCHEMA)
    message = str(caught.value)
    assert f"{path}, line 3" in message
    if "\n" not in row:
        assert (column if column == "row" else f"column '{column}'") in message
        assert says in message


@pytest.mark.parametrize("row", ["a synthetic 7 male", "a,synthetic,7,male"])
def test_a_row_without_tabs_is_told_to_have_them(tmp_path, row):
    path = tmp_path / "subjects.tsv"
    path.write_text(f"subject\tdataset\tsource\tgender\n{row}\n")
    with pytest.raises(InputError, match=r"line 2: '.*' is a single cell\. Separate the cells by tabs"):
        read_subjects(path, SCHEMA)


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(InputError, match=r"line 2 \(subject 'a'\).*'source'"):
        read_subjects(table(tmp_path, "subject dataset gender source", "a synthetic male"), SCHEMA)


@pytest.mark.parametrize("second", ["ada", "ADA"])
def test_a_duplicate_subject_names_both_lines(tmp_path, second):
    path = table(
        tmp_path,
        "subject dataset source gender",
        "ada synthetic 1 male",
        "bob synthetic 2 male",
        f"{second} synthetic 3 male",
    )
    with pytest.raises(InputError, match=r"line 4, column 'subject'.*already on line 2"):
        read_subjects(path, SCHEMA)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("subject dataset source gender colour", "unknown column 'colour'"),
        ("subject dataset gender", "missing column 'source'"),
        ("subject dataset source gender source", "repeated column 'source'"),
    ],
)
def test_a_bad_header_is_named(tmp_path, header, says):
    with pytest.raises(InputError, match=says):
        read_subjects(table(tmp_path, header, "a synthetic 1 2"), SCHEMA)


def test_too_many_cells_and_an_empty_table_are_errors(tmp_path):
    with pytest.raises(InputError, match="line 2: 5 cells"):
        read_subjects(table(tmp_path, "subject dataset source gender", "a synthetic 1 male x"), SCHEMA)
    with pytest.raises(InputError, match="no subject"):
        read_subjects(table(tmp_path, "subject dataset source gender"), SCHEMA)
    with pytest.raises(InputError, match="no such file"):
        read_subjects(tmp_path / "absent.tsv", SCHEMA)


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path):
    path = table(tmp_path, "subject dataset source gender", "a synthetic 7 male")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_subjects(path, SCHEMA)["a"]["gender"] == "male"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_in_another_encoding_is_named(tmp_path, encoding):
    path = table(tmp_path, "subject dataset source gender", "M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller synthetic 7 male")
    path.write_bytes(path.read_text().encode(encoding))
    with pytest.raises(InputError, match=r"not UTF-8 text .* Save the table as UTF-8"):
        read_subjects(path, SCHEMA)


@pytest.mark.parametrize("row", ["x" * 10**6, "x" * 10**6 + " synthetic 7 male", "a colmap " + "x" * 10**6 + " male"])
def test_a_cell_of_a_megabyte_makes_no_error_of_a_megabyte(tmp_path, row):
    with pytest.raises(InputError) as caught:
        read_subjects(table(tmp_path, "subject dataset source gender", row), SCHEMA)
    assert len(str(caught.value)) < 1000
