"""The front page against the code: the table of steps, and the drawing of the rules."""

import re
import sys

import pytest
from docs_pages import ROOT

from avatarpipe.__main__ import step_names

sys.path.insert(0, str(ROOT / "workflow"))
import rule_graph

README = (ROOT / "README.md").read_text()
RULE = re.compile(r"^( *)rule (\w+):\n((?:\1 +.*\n|\n)+)", re.M)
ROW = re.compile(r"^\| ([\w-]+) \| (.+?) \| `avatarpipe\.steps\.(\w+)` \| (.*?) ?\| (.+) \|$", re.M)


def rules_of_code() -> set[tuple[str, str, str, str]]:
    """(file, rule, module, environment) of every rule."""
    found = set()
    for file in (ROOT / "rules").glob("*.smk"):
        for _, name, body in RULE.findall(file.read_text() + "\n"):
            (module,) = re.findall(r"python -m avatarpipe\.steps\.(\w+)", body)
            (env,) = re.findall(r"envs/(\w+)\.yaml", body)
            found.add((file.stem, name, module, env))
    return found


def rows(text: str) -> list[tuple[str, str, str, str]]:
    """(step, cell of rules, module, cell of environments) of each row of the table."""
    return [match[:4] for match in ROW.findall(text)]


def rules_of_page(text: str) -> tuple[set[tuple[str, str, str]], set[tuple[str, str]]]:
    """(file, rule, module) and (module, environment) that the table names."""
    rules, envs = set(), set()
    for _, cell, module, env in rows(text):
        for file, names in re.findall(r"\(rules/(\w+)\.smk\): (.+)$", cell):
            rules |= {(file, name, module) for name in re.findall(r"`(\w+)`", names)}
        envs |= {(module, name) for name in re.findall(r"\(envs/(\w+)\.yaml\)", env)}
    return rules, envs


def test_the_table_names_every_rule_with_its_file_module_and_environment_and_nothing_else():
    rules, envs = rules_of_page(README)
    code = rules_of_code()
    assert rules == {(file, name, module) for file, name, module, _ in code}
    assert envs == {(module, env) for _, _, module, env in code}


def test_the_table_names_every_step_once():
    named = [step for step, *_ in rows(README)]
    assert sorted(named) == step_names()
    assert all(step.replace("-", "_") == module for step, _, module, _ in rows(README))
    by_hand = {module for _, cell, module, _ in rows(README) if cell == "none: by hand"}
    assert by_hand == {step.replace("-", "_") for step in step_names()} - {
        module for *_, module, _ in rules_of_code()
    }


def test_a_row_of_a_rule_that_is_gone_would_be_found():
    changed = README.replace("`train_outer`", "`train_outside`")
    assert rules_of_page(changed)[0] != rules_of_page(README)[0]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> str:
    """What `make graph` draws for the subject table and configuration as they are."""
    from workflow_project import PARTS, Project

    folder = tmp_path_factory.mktemp("drawn")
    for part in PARTS:
        (folder / part).symlink_to(ROOT / part)
    project = Project(folder)
    output = project.run("--quiet", "--rulegraph", "dot")
    return rule_graph.mermaid(rule_graph.rule_graph(output))


def test_the_drawing_is_what_snakemake_plans_now(drawn):
    assert rule_graph.with_drawing(README, drawn) == README, "run `make graph`"
    assert drawn.count("-->") > 25


def test_a_drawing_keeps_the_order_and_drops_detours():
    dot = '0[label = "all"]\n1[label = "c"]\n2[label = "b"]\n3[label = "a"]\n3 -> 2\n2 -> 1\n3 -> 1\n1 -> 0\n'
    assert rule_graph.rule_graph(dot) == {"c": {"a", "b"}, "b": {"a"}, "a": set()}
    assert (
        rule_graph.mermaid(rule_graph.rule_graph(dot)).splitlines()[2:-1]
        == ["  b --> c", "  a --> b"][::-1]
    )


def test_rules_that_need_each_other_in_turn_stay_connected():
    needs = {"single": set(), "mesh": {"single", "outer"}, "outer": {"mesh", "single"}}
    assert rule_graph.without_detours(needs) == needs


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="needs the lines"):
        rule_graph.with_drawing("nothing", "")
