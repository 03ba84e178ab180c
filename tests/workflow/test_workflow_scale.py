"""Many subjects: what planning one more costs, plans in parts, and the benchmark that measures both."""

import inspect
import subprocess
import sys

import pytest
from workflow_project import new_project

from avatarpipe.planning import of_wildcards
from benchmarks import scale

JOBS_A_SUBJECT = 14
MORE = 60


def test_one_more_subject_costs_a_few_milliseconds_to_plan(tmp_path):
    costs = {}
    for subjects in (1, 1 + MORE):
        folder = tmp_path / str(subjects)
        scale.make_project(folder)
        scale.list_subjects(folder, range(subjects))
        costs[subjects] = scale.snakemake(folder, "--dry-run", "--quiet")
    planned = costs[1 + MORE].processor - costs[1].processor
    assert planned / (MORE * JOBS_A_SUBJECT) < 0.002  # seconds a job; it was three times that
    assert (costs[1 + MORE].memory - costs[1].memory) / MORE < 0.7  # MB a subject


def test_a_batch_plans_a_part_of_the_subjects_only(tmp_path):
    project = new_project(
        tmp_path, *(f"{name} synthetic 3 female" for name in ("ann", "bea", "cleo"))
    )
    first = project.run("--dry-run", "--batch", "all=1/3")
    assert "logs/pictures/ann.log" in first
    assert "cleo.log" not in first and "logs/collect.log" not in first


def test_input_functions_carry_their_signature():
    """Snakemake passes what a function names: with the wrong signature it would get more than it takes."""
    function = of_wildcards(lambda wildcards: wildcards["subject"])
    assert list(inspect.signature(function).parameters) == ["wildcards"]
    assert "__signature__" in vars(function) and function({"subject": "ann"}) == "ann"


def test_nothing_is_looked_through_when_python_ends():
    """An object in a ring is only found by the search for garbage, which would call its `__del__`."""
    code = (
        "from avatarpipe.planning import keep_every_object\n"
        "class Ring:\n    def __init__(self): self.me = self\n    def __del__(self): print('found')\n"
        "keep_every_object() if {} else None\nRing()"
    )
    for kept in (True, False):
        run = subprocess.run(
            [sys.executable, "-c", code.format(kept)], capture_output=True, text=True, check=True
        )
        assert ("found" in run.stdout) != kept


@pytest.mark.slow
def test_the_benchmark_finds_nothing_to_do_after_recording_every_job(tmp_path):
    options = scale.Options(subjects=2, jobs=3)
    for name, measure in (("plan", scale.plan_costs), ("jobs", scale.job_costs)):
        (tmp_path / name).mkdir()
        costs = measure(tmp_path / name, options)
        assert len(costs) == 3 and all(cost.memory > 10 for cost in costs.values())
    recorded = list((tmp_path / "plan/.snakemake/metadata").iterdir())
    assert len(recorded) > 2 * JOBS_A_SUBJECT
    assert len(list((tmp_path / "jobs/logs/empty").iterdir())) >= 3
