import hashlib

import pytest

from avatarpipe.errors import InputError
from avatarpipe.files import (
    atomic_file,
    atomic_folder,
    file_sha256,
    read_json,
    require_file,
    write_json,
)


def test_atomic_file_replaces_only_on_success(tmp_path):
    target = tmp_path / "deep" / "table.csv"
    with atomic_file(target) as temporary:
        temporary.write_text("first")
        assert temporary.suffix == ".csv" and not target.exists()
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_atomic_folder_replaces_the_old_one_only_on_success(tmp_path):
    target = tmp_path / "avatar"
    for content in ("one", "two"):
        with atomic_folder(target) as temporary:
            (temporary / content).touch()
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        (temporary / "three").touch()
        raise RuntimeError
    assert [file.name for file in target.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [target]


def test_files_are_readable_by_others_as_the_umask_says(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    write_json(tmp_path / "x.json", {})
    assert (tmp_path / "x.json").stat().st_mode == plain.stat().st_mode


def test_json_round_trip_and_broken_json(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"b": [1, 2.5], "a": None})
    assert read_json(path) == {"b": [1, 2.5], "a": None}
    path.write_text('{"b": [1,')
    with pytest.raises(InputError, match=r"x\.json: not valid JSON"):
        read_json(path)


def test_require_file_names_the_file_and_the_hint(tmp_path):
    with pytest.raises(InputError, match=r"gone\.bin: no such file\. Fetch it\."):
        require_file(tmp_path / "gone.bin", "Fetch it.")
    with pytest.raises(InputError, match="no such file"):
        require_file(tmp_path, "A folder is no file.")


def test_file_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
