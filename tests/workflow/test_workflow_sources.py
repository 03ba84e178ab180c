"""Which source files a step depends on, and the version of code that a manifest records."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256
from avatarpipe.provenance import code_version, provenance
from avatarpipe.sources import code_stamp, sources

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("step", ["render", "train_layered"])
def test_sources_hold_every_module_that_the_step_really_loads(step):
    code = (
        f"import sys, avatarpipe.steps.{step}; "
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'avatarpipe' and m.__file__))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    files = {str(Path(file).relative_to(ROOT)) for file in loaded.split()}
    assert files <= set(sources(f"avatarpipe.steps.{step}"))


def test_sources_leave_out_what_is_not_imported():
    convert = sources("avatarpipe.steps.convert")
    assert "avatarpipe/datasets/fourddress.py" in convert
    assert not any("methods" in file or "gaussians" in file for file in convert)


def test_a_stamp_lists_what_is_loaded_and_is_written_only_where_that_changed(tmp_path):
    stamp = Path(code_stamp("avatarpipe.steps.convert", tmp_path))
    lines = dict(reversed(line.split("  ")) for line in stamp.read_text().splitlines())
    assert list(lines) == sources("avatarpipe.steps.convert")
    assert lines["avatarpipe/files.py"] == file_sha256(ROOT / "avatarpipe/files.py")
    written = stamp.stat().st_mtime_ns
    assert code_stamp("avatarpipe.steps.convert", tmp_path) == str(stamp)
    assert stamp.stat().st_mtime_ns == written
    stamp.write_text(stamp.read_text().replace("a", "b"))
    code_stamp("avatarpipe.steps.convert", tmp_path)
    assert dict(reversed(line.split("  ")) for line in stamp.read_text().splitlines()) == lines


def parsed_files(folder: Path) -> list[str]:
    """The files that a new process parses to write a stamp."""
    code = (
        "import ast, sys; from avatarpipe.sources import code_stamp; parse = ast.parse\n"
        "ast.parse = lambda text, file: print(file) or parse(text, file)\n"
        "code_stamp('avatarpipe.steps.convert', sys.argv[1])"
    )
    run = subprocess.run([sys.executable, "-c", code, folder], check=True, capture_output=True, text=True)
    return [str(Path(file).relative_to(ROOT)) for file in run.stdout.split()]


def test_only_files_that_changed_are_parsed_again(tmp_path):
    stamp, record = tmp_path / "avatarpipe.steps.convert.sha256", tmp_path / "imports.json"
    assert sorted(parsed_files(tmp_path)) == sources("avatarpipe.steps.convert")
    first = stamp.read_text()
    assert parsed_files(tmp_path) == [] and stamp.read_text() == first
    found = json.loads(record.read_text())
    found["avatarpipe.files"] = ["hash of an older text", ["avatarpipe.nowhere"]]
    record.write_text(json.dumps(found))
    assert parsed_files(tmp_path) == ["avatarpipe/files.py"] and stamp.read_text() == first
    record.write_text("{ broken")
    assert len(parsed_files(tmp_path)) > 10 and stamp.read_text() == first


def test_an_unknown_module_is_named():
    with pytest.raises(InputError, match=r"avatarpipe\.steps\.nosuch: no such module"):
        sources("avatarpipe.steps.nosuch")


def test_code_versions_differ_by_step_and_do_not_depend_on_the_folder(monkeypatch, tmp_path):
    render, convert = code_version("avatarpipe.steps.render"), code_version("avatarpipe.steps.convert")
    assert render != convert
    monkeypatch.chdir(tmp_path)
    assert code_version("avatarpipe.steps.render") == render


def test_a_manifest_records_code_and_inputs_and_no_time(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    first = provenance({"a": tmp_path / "a.txt"}, {"out": tmp_path / "b"}, seed=3)
    assert first == provenance({"a": tmp_path / "a.txt"}, {"out": tmp_path / "b"}, seed=3)
    assert first["code"] == code_version("avatarpipe")
    assert first["seed"] == 3 and first["config"] == {"out": str(tmp_path / "b")}
    (tmp_path / "a.txt").write_text("b")
    assert provenance({"a": tmp_path / "a.txt"}, {}, seed=3)["inputs"] != first["inputs"]
