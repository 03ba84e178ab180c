"""Tests that share a costly fixture are in one group, all others are spread by file, and every worker asks the same."""

from pathlib import Path

import processes
import pytest

TESTS = Path(__file__).parent


def test_folders_with_fixtures_of_their_own_stay_together_and_others_are_spread():
    assert processes.group("tests/layered/test_layered_kill.py::test_x[a::b]") == "layered"
    assert processes.group("tests/mesh/test_mesh_tsdf.py::test_x") == "mesh/test_mesh_tsdf"


def test_what_starts_from_a_whole_run_of_the_workflow_stays_together():
    files = {
        file.stem: processes.group(f"tests/workflow/{file.name}::test_x")
        for file in TESTS.glob("workflow/test_*.py")
    }
    assert files["test_workflow_run"] == files["test_workflow_reruns"] == "workflow"
    assert files["test_workflow_subjects"] == "workflow/test_workflow_subjects"


def test_the_longest_begin():
    names = [
        "tests/mesh/test_mesh_tsdf.py::a",
        "tests/layered/test_layered_kill.py::a",
        "tests/workflow/test_workflow_run.py::a",
    ]
    assert sorted(names, key=processes.place) == names[::-1]


def test_xdist_asks_for_these_groups():
    pytest.importorskip("xdist")
    queue = processes.scheduler(_options(), None)
    assert queue._split_scope("tests/layered/test_layered_kill.py::test_x") == "layered"


def _options():
    class Config:
        def getvalue(self, name):
            return ["1*popen"] if name == "tx" else None

    return Config()
