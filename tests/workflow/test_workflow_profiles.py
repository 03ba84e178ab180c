"""The profiles agree with the rules: every rule is asked for by its own numbers, and grows with each attempt."""

import importlib.util
import re

import pytest
import yaml
from workflow_project import ROOT

FILES = sorted((ROOT / "rules").glob("*.smk"))
RULE = re.compile(r"^( *)rule (\w+):\n((?:\1 +.*\n|\n)+)", re.M)
RULES = {name: body for file in FILES for _, name, body in RULE.findall(file.read_text() + "\n")}
PROFILES = ROOT / "workflow/profiles"
ASKED = r"\b{}=(\w+),?\n"

SMALL = """
rule normalize:
    output: "out/{n}.txt"
    resources: mem_mb=4000, runtime=15
    shell: "echo {resources.mem_mb} > {output}"

rule all:
    default_target: True
    input: expand("out/{n}.txt", n=range(16))

rule train_single:
    output: "avatar.txt"
    threads: 64
    resources: gpu=1, mem_mb=8000, runtime=240
    shell: "echo {threads} > {output}"
"""


def profile(name: str) -> dict:
    return yaml.safe_load((PROFILES / name / "config.v9+.yaml").read_text())


@pytest.mark.parametrize("name", RULES)
def test_slurm_is_asked_for_what_the_rule_needs(name):
    listed = profile("slurm")["set-resources"]
    assert name in listed, f"add a line for {name} to workflow/profiles/slurm/config.v9+.yaml"
    memory, minutes = (re.search(ASKED.format(key), RULES[name]) for key in ("mem_mb", "runtime"))
    assert listed[name]["mem_mb"] == f"{memory[1]} * attempt"
    assert str(listed[name].get("runtime", minutes[1])) == minutes[1]
    assert listed[name].get("slurm_partition") == ("gpu" if "gpu=" in RULES[name] else None)


def test_profiles_name_no_rule_that_is_gone():
    assert set(profile("slurm")["set-resources"]) == set(RULES)
    for name in ("slurm", "kubernetes"):
        groups = dict(entry.split("=") for entry in profile(name)["groups"])
        assert set(groups) <= set(RULES)
        assert {entry.split("=")[0] for entry in profile(name)["group-components"]} == set(
            groups.values()
        )
        assert not [rule for rule in groups if "gpu=" in RULES[rule]], (
            "a group would hold its GPU for jobs without one"
        )


@pytest.mark.parametrize("name", RULES)
def test_a_job_takes_the_gpus_it_asks_for_and_no_others(name):
    takes = re.findall(r"^ +take_gpu (.*)$", RULES[name], re.M)
    assert takes == (["{resources.gpu}"] if "gpu=" in RULES[name] else [])


@pytest.mark.parametrize(
    ("name", "plugin"), [("local", ""), ("slurm", "slurm"), ("kubernetes", "cluster_generic")]
)
def test_profiles_are_accepted_and_keep_their_word(project, name, plugin):
    if plugin and not importlib.util.find_spec(f"snakemake_executor_plugin_{plugin}"):
        pytest.skip(
            f"needs snakemake-executor-plugin-{plugin.replace('_', '-')} (requirements-test.txt)"
        )
    (project.folder / "Small").write_text(SMALL)
    args = (
        "--snakefile",
        "Small",
        "--workflow-profile",
        f"workflow/profiles/{name}",
        "--dry-run",
        "--cores",
        "64",
    )
    output = project.run("all", "avatar.txt", *args)
    assert "mem_mb=4000" in output and "gpu=1" in output
    if plugin:
        assert output.count("Group job normalize") == 2  # 8 of the 16 jobs in each
        assert "threads: 16" in output
    if name == "slurm":
        assert "slurm_partition=gpu" in output and "slurm_partition=main" in output
