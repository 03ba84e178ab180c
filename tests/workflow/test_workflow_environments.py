"""The environments of envs/: files that a real conda reads, holding what their steps import, each apart from the others."""

import ast
import importlib.metadata as metadata
import json
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

from avatarpipe.evaluation.rows import tidy
from avatarpipe.files import file_sha256
from avatarpipe.sources import sources
from avatarpipe.tables import write_table

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

LOOK = """
import json, sys
from importlib.util import find_spec
from pathlib import Path
sys.path.insert(0, "{root}")
from avatarpipe.environments import environment_note
found = [name for name in ("cowsay", "pyfiglet", "torch") if find_spec(name)]
print(json.dumps(dict(packages=found, **environment_note(Path("/nowhere"), Path("/nowhere")))))
"""
BY_CONDA = (sys.executable, "-m", "snakemake", "--cores", "2", "--sdm", "conda")


def with_conda(monkeypatch) -> None:
    """Put the uv-backed conda in front; the caller's PYTHONPATH must not reach the jobs' imports."""
    path = f"{ROOT}/workflow/conda-uv/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_a_package_of_one_environment_is_not_importable_in_the_other(tmp_path, monkeypatch):
    """Built by uv from two conda files; neither sees the other's package, nor torch here; rebuilt when a file changes.

    What a step would note of its environment is where that lies and which file it was built of.
    """
    (tmp_path / "look.py").write_text(LOOK.format(root=ROOT))
    for name, package in (("cow", "cowsay==6.1"), ("fish", "pyfiglet==1.0.2")):
        (tmp_path / f"{name}.yaml").write_text(
            f"dependencies: [python={VERSION}, pip, {{pip: [{package}]}}]\n"
        )
    (tmp_path / "Snakefile").write_text(TWO)
    with_conda(monkeypatch)
    command = [*BY_CONDA, "--conda-prefix", "envs"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    for name, package in (("cow", "cowsay"), ("fish", "pyfiglet")):
        found = json.loads((tmp_path / f"{name}.txt").read_text())
        assert found["packages"] == [package]
        spec = Path(os.path.dirname(found["interpreter"])).parent.with_suffix(".yaml")
        assert spec.name == found["file"] and (tmp_path / "envs").samefile(spec.parent)
        assert found["sha256"] == file_sha256(tmp_path / f"{name}.yaml") == file_sha256(spec)
    cow = tmp_path / "cow.yaml"
    cow.write_text(cow.read_text().replace("6.1", "6.0"))
    again = subprocess.run([*command, "--dry-run"], cwd=tmp_path, capture_output=True, text=True)
    said = again.stdout + again.stderr
    assert (
        "Software environment definition has changed" in said
        and "fish.txt" not in said.partition("Job stats")[0]
    )


CHAIN = """
rule all:
    input: "results/two/metrics.parquet"

rule one:
    input: "raw.parquet"
    output: "results/one/metrics.parquet"
    conda: "one.yaml"
    shell: "PYTHONPATH={root} python -m avatarpipe.steps.collect --metrics {{input}} --out {{output}}"

rule two:
    input: "results/one/metrics.parquet"
    output: "results/two/metrics.parquet"
    conda: "two.yaml"
    shell: "PYTHONPATH={root} python -m avatarpipe.steps.collect --metrics {{input}} --out {{output}}"
"""
NEEDED = ("matplotlib", "numpy", "pandas", "pyarrow", "rich")
TYROS = {"one": "1.0.16", "two": "1.0.15"}


@pytest.fixture
def chain(tmp_path, monkeypatch) -> Path:
    """A project whose two steps ran in environments with a tyro each, neither of them the one of here."""
    pins = [f"{name}=={metadata.version(name)}" for name in NEEDED]
    for name, tyro in TYROS.items():
        spec = {"dependencies": [f"python={VERSION}", "pip", {"pip": [*pins, f"tyro=={tyro}"]}]}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "Snakefile").write_text(CHAIN.format(root=ROOT))
    rows = [{"camera": name, "metric": "psnr", "value": 30.0, "unit": "dB"} for name in "ab"]
    shared = {"subject": "ann", "method": "layered", "stage": "outer", "split": "test"}
    write_table(tidy(rows, **shared), tmp_path / "raw.parquet")
    with_conda(monkeypatch)
    by_conda(tmp_path)
    return tmp_path


def by_conda(folder: Path, *args: str) -> None:
    done = subprocess.run([*BY_CONDA, *args], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_chain_of_two_environments_runs_again_in_both(chain):
    """Also after one of them was deleted and built again as the message says."""
    target = "results/two/provenance.json"
    status, said = avatarpipe(chain, "verify", "results")
    assert status == 0 and said.startswith("2 of 2 steps hold")
    status, said = avatarpipe(chain, "rerun", target, "--into", "again")
    assert status == 0 and "18 of 18 outputs are the same bytes" in said
    for name, tyro in TYROS.items():
        packages = json.loads((chain / f"again/results/{name}/provenance.json").read_text())["packages"]
        assert packages["tyro"] == tyro
    (prefix,) = (
        spec.with_suffix("")
        for spec in (chain / ".snakemake/conda").glob("*.yaml")
        if f"tyro=={TYROS['one']}" in spec.read_text()
    )
    for path in chain.glob(f".snakemake/conda/{prefix.name}*"):
        subprocess.run(["rm", "-r", path], check=True)
    status, said = avatarpipe(chain, "rerun", target, "--into", "more")
    lacking = f"this Python lacks tyro {TYROS['one']} (here {metadata.version('tyro')})"
    assert status == 2 and lacking in said and not (chain / "more").exists()
    command = re.search(r"`snakemake --sdm conda ([^`]*)`", said)[1]
    by_conda(chain, *command.split())
    status, said = avatarpipe(chain, "rerun", target, "--into", "more")
    assert status == 0 and f"by {prefix}/bin/python" in said


def avatarpipe(folder: Path, *args: str) -> tuple[int, str]:
    """(exit status, what it prints) of `avatarpipe ARGS` in a folder."""
    command = [sys.executable, "-m", "avatarpipe", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr
