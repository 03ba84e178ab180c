"""The environments of envs/: files that a real conda reads, holding what their steps import, each apart from the others."""

import ast
import importlib.metadata as metadata
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from workflow_project import ROOT

from avatarpipe.sources import sources

ENVS = sorted((ROOT / "envs").glob("*.yaml"))
RULE = re.compile(r"^( *)rule (\w+):\n((?:\1 +.*\n|\n)+)", re.M)
RULES = [
    (name, re.search(r'"\.\./envs/(\w+)\.yaml"', body)[1], re.search(r"python -m (\S+)", body)[1])
    for file in sorted((ROOT / "rules").glob("*.smk"))
    for _, name, body in RULE.findall(file.read_text() + "\n")
]
# conda's `environment.yml` (docs: "Managing environments") and its package match specifications in short form.
KEYS = {"name", "channels", "dependencies", "variables", "prefix"}
MATCH_SPEC = re.compile(
    r"^([\w-]+::)?[a-z0-9_.-]+(\s*(=|==|>=|<=|>|<|!=|~=)\s*[\w.*+!,<>=|]+(=[\w.*]+)?)?$"
)
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


class NoTwins(yaml.SafeLoader):
    """YAML whose mappings name each key once, as conda's parser has it."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice, line {node.start_mark.line + 1}"
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("file", ENVS, ids=lambda file: file.stem)
def test_a_real_conda_would_take_the_file(file):
    spec = yaml.load(file.read_text(), NoTwins)
    assert (
        set(spec) == {"channels", "dependencies"} <= KEYS
    )  # a name or prefix is Snakemake's to give
    assert spec["channels"] == ["conda-forge", "nodefaults"]
    *packages, pip = spec["dependencies"]
    assert all(isinstance(entry, str) and MATCH_SPEC.match(entry) for entry in packages)
    names = [re.match(r"[a-z0-9_.-]+", entry)[0] for entry in packages]
    assert names == ["python", "pip"], "pip must be named for its packages; others are not on PyPI"
    assert list(pip) == ["pip"] and len(spec["dependencies"]) == 3
    for line in pip["pip"]:
        requirement = Requirement(
            line
        )  # PEP 508: no -r, no -e, no paths: conda writes them to a file elsewhere
        assert [part.operator for part in requirement.specifier] == ["=="], line
    pinned = [canonicalize_name(Requirement(line).name) for line in pip["pip"]]
    assert pinned == sorted(pinned) or len(set(pinned)) == len(pinned)


@cache
def brought_along(distribution: str) -> frozenset[str]:
    """The distribution and all it requires, as installed here."""
    found, waiting = set(), [canonicalize_name(distribution)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            required = map(Requirement, metadata.requires(name) or [])
        except metadata.PackageNotFoundError:
            continue
        waiting += [
            canonicalize_name(r.name)
            for r in required
            if not r.marker or r.marker.evaluate({"extra": ""})
        ]
    return frozenset(found)


def holds(env: str) -> set[str]:
    """Every distribution that is in the environment."""
    *_, pip = yaml.safe_load((ROOT / f"envs/{env}.yaml").read_text())["dependencies"]
    return {name for line in pip["pip"] for name in brought_along(Requirement(line).name)}


distributions = cache(metadata.packages_distributions)


def imported_at_the_door(module: str) -> set[str]:
    """The packages that `import module` imports from elsewhere: those named outside functions, in all it loads of ours."""
    ours = set(map(str, sources(module)))
    seen, found, waiting = set(), set(), [module]
    while waiting:
        name = waiting.pop()
        file = module_file(name)
        if name in seen or file is None:
            continue
        seen.add(name)
        assert any(str(file).endswith(own) for own in ours), f"{module} loads {name}, which is not among its sources"
        waiting.append(name.rpartition(".")[0])
        for imported in top_level_imports(file):
            if imported.split(".")[0] == "avatarpipe":
                waiting += [imported, imported.rpartition(".")[0]]
            else:
                found.add(imported.split(".")[0])
    return found - set(sys.stdlib_module_names)


def module_file(name: str) -> Path | None:
    path = ROOT / Path(*name.split("."))
    options = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in options if name and file.is_file()), None)


@cache
def top_level_imports(file: Path) -> tuple[str, ...]:
    """Dotted names that the module imports when it is imported; of `from a import b` it is a.b."""
    return tuple(_imports(ast.parse(file.read_text())))


def _imports(tree: ast.Module):
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Try | ast.ClassDef | ast.With) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test)
        ):
            waiting += list(ast.iter_child_nodes(node))


@pytest.mark.parametrize(("rule", "env", "module"), RULES, ids=[rule for rule, *_ in RULES])
def test_an_environment_holds_what_its_step_imports(rule, env, module):
    providers = distributions()
    missing = {
        name
        for name in imported_at_the_door(module)
        if not holds(env) & {canonicalize_name(found) for found in providers.get(name, [name])}
    }
    assert not missing, f"envs/{env}.yaml lacks {missing}, which rule {rule} imports"


def test_steps_with_an_environment_of_their_own_leave_the_rest_of_the_pipeline_out():
    for env in ("sapiens", "imagereward"):
        assert not holds(env) & {
            "gsplat",
            "smplx",
            "trimesh",
            "numba",
            "diffusers",
            "scipy",
            "anny",
        }
    assert "tokenizers" in holds("imagereward") and "tokenizers" not in holds("sapiens")
    assert "opencv-python-headless" in holds("sapiens") and "opencv-python-headless" not in holds(
        "imagereward"
    )


def conda(*args: str | Path, folder: Path) -> subprocess.CompletedProcess:
    """The uv-backed conda, run in `folder`."""
    command = [sys.executable, ROOT / "workflow/conda-uv/bin/conda", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_conda_package_is_refused_by_name(tmp_path):
    (tmp_path / "env.yaml").write_text("dependencies: [python=3.11, pip, cuda-toolkit=12.4]\n")
    done = conda("env", "create", "--file", "env.yaml", "--prefix", "env", folder=tmp_path)
    assert done.returncode != 0 and "cuda-toolkit=12.4: not on PyPI" in done.stderr
    assert not (tmp_path / "env").exists()


TWO = """
rule all:
    input: "cow.txt", "fish.txt"

rule cow:
    output: "cow.txt"
    conda: "cow.yaml"
    shell: "python look.py > {output}"

rule fish:
    output: "fish.txt"
    conda: "fish.yaml"
    shell: "python look.py > {output}"
"""


def test_a_package_of_one_environment_is_not_importable_in_the_other(tmp_path, monkeypatch):
    """Built by uv from two conda files; neither sees the other's package, nor torch here; rebuilt when a file changes."""
    (tmp_path / "look.py").write_text(
        "from importlib.util import find_spec\nprint([n for n in ('cowsay', 'pyfiglet', 'torch') if find_spec(n)])\n"
    )
    for name, package in (("cow", "cowsay==6.1"), ("fish", "pyfiglet==1.0.2")):
        (tmp_path / f"{name}.yaml").write_text(
            f"dependencies: [python={VERSION}, pip, {{pip: [{package}]}}]\n"
        )
    (tmp_path / "Snakefile").write_text(TWO)
    monkeypatch.setenv(
        "PATH", f"{ROOT}/workflow/conda-uv/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the caller's must not reach the jobs' imports
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--sdm",
        "conda",
        "--conda-prefix",
        "envs",
    ]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "cow.txt").read_text() == "['cowsay']\n"
    assert (tmp_path / "fish.txt").read_text() == "['pyfiglet']\n"
    cow = tmp_path / "cow.yaml"
    cow.write_text(cow.read_text().replace("6.1", "6.0"))
    again = subprocess.run([*command, "--dry-run"], cwd=tmp_path, capture_output=True, text=True)
    said = again.stdout + again.stderr
    assert (
        "Software environment definition has changed" in said
        and "fish.txt" not in said.partition("Job stats")[0]
    )
