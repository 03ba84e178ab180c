"""The rules as text: the shape that DESIGN.md asks for, and environments that agree with requirements.txt."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "rules").glob("*.smk"))
RULE = re.compile(r"^( *)rule (\w+):\n((?:\1 +.*\n|\n)+)", re.M)
RULES = [
    (file.stem, name, body) for file in FILES for _, name, body in RULE.findall(file.read_text() + "\n")
]


def pins(lines) -> dict[str, str]:
    """Version by lower-case package name of `name==version` lines."""
    found = (re.fullmatch(r"([\w.-]+)(?:\[\w+\])?==(\S+)", line.strip()) for line in lines)
    return {match[1].lower(): match[2] for match in found if match}


def test_the_snakefile_is_short_and_includes_every_rule_file():
    text = (ROOT / "Snakefile").read_text()
    assert text.count("\n") <= 40
    (included,) = re.findall(r'IN_THE_ORDER_THEY_RUN = """([\w\s]+)"""', text)
    assert sorted(included.split()) == [file.stem for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_rule_file_opens_with_needs_and_makes_and_holds_only_rules(file):
    text = file.read_text()
    assert text.startswith('"""') and "\nNeeds: " in text and "\nMakes: " in text
    assert text.count("\n") <= 150
    assert not re.search(r"^\s*(def |run:|script:|import |from )|\blambda\b", text, re.M)


@pytest.mark.parametrize(("file", "name", "body"), RULES, ids=[name for _, name, _ in RULES])
def test_a_rule_is_complete(file, name, body):
    for directive in ("input", "output", "log", "benchmark", "conda", "resources", "shell"):
        assert re.search(rf"^ +{directive}:", body, re.M), f"{name} lacks {directive}"
    assert re.match(r' +"[A-Z][^"]+\."\n', body), f"{name} lacks its sentence"
    modules = re.findall(r"python -m (\S+)", body)
    assert modules == re.findall(r'code=sources\("([\w.]+)"\)', body)
    assert len(modules) == 1
    for needed in ("mem_mb=", "runtime="):
        assert needed in body


@pytest.mark.parametrize(("file", "name", "body"), RULES, ids=[name for _, name, _ in RULES])
def test_paths_and_texts_are_quoted_in_the_command(file, name, body):
    command = body.partition("shell:")[2]
    for field in re.findall(r"\{((?:input|output|log|wildcards)[^}]*)\}", command):
        assert field.endswith(":q"), f"{name}: {{{field}}} is not quoted"


def test_every_step_of_the_workflow_exists():
    for _, name, body in RULES:
        (module,) = re.findall(r"python -m (\S+)", body)
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), f"{name} runs {module}"


@pytest.mark.parametrize("env", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda env: env.stem)
def test_environments_pin_what_requirements_pin(env):
    *_, pip = yaml.safe_load(env.read_text())["dependencies"]
    demanded = pins(pip["pip"])
    assert len(demanded) == len(pip["pip"])
    known = pins((ROOT / "requirements.txt").read_text().splitlines())
    assert {name: version for name, version in demanded.items() if name in known} == {
        name: known[name] for name in demanded if name in known
    }


def test_requirements_hold_what_the_package_declares():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[<>=]", item)[0].lower() for item in project["dependencies"]}
    pinned = pins((ROOT / "requirements.txt").read_text().splitlines())
    assert declared <= set(pinned)
