"""The package as text: nothing in it unpickles without restriction, runs what a file says, or unpacks an archive."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "avatarpipe").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])

FORBIDDEN = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "_pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal",
    "torch.hub", "torch.package", "pandas.read_pickle", "pandas.eval", "pandas.read_hdf",
    "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "yaml.CLoader",
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "tarfile", "zipfile.ZipFile", "shutil.unpack_archive", "tempfile.mktemp", "xml", "lxml",
    "urllib.request", "requests", "httpx", "ftplib", "telnetlib", "http.server", "socketserver",
}  # fmt: skip

# Where one of them is the very thing the module is for.
ALLOWED = {
    "avatarpipe/npz.py": {
        "zipfile.ZipFile"
    },  # reads the sizes that an archive states, and nothing else
    "avatarpipe/pickles.py": {
        "pickle.Unpickler"
    },  # the unpickler that admits arrays and plain values only
}
LOADED_BY_NAME = {  # import_module of something that is not written in the source
    "avatarpipe/__main__.py": "a step, checked against the files of steps/",
    "avatarpipe/avatar.py": "a class of this package, checked to be an Avatar",
    "avatarpipe/mesh/render.py": "a value of a dict in the module",
}
TORCHSCRIPT = {
    "avatarpipe/segmentation/sapiens.py"
}  # torch.jit.load: code of torch's own machine, no pickled Python


def full_names(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for, such as np for numpy."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """`np.load` as numpy.load; empty for what is no plain name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (base := dotted(node.value, names)):
        return f"{base}.{node.attr}"
    return ""


def keyword(call: ast.Call, name: str):
    """The constant given for a keyword, or None where it is left out; a text that nothing equals where it is no constant."""
    for item in call.keywords:
        if item.arg == name:
            return item.value.value if isinstance(item.value, ast.Constant) else "not a constant"
    return None


def findings(source: str, path: str = "x.py") -> set[str]:
    """What a module does that it must not."""
    tree = ast.parse(source)
    names = full_names(tree)
    allowed = ALLOWED.get(path, set())
    found = set()
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    used = imported | set(names.values())
    used |= {
        dotted(node, names)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Attribute, ast.Name))
    }
    for name in used - allowed:
        prefixes = {name} | {name[:i] for i, char in enumerate(name) if char == "."}
        found |= prefixes & FORBIDDEN
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        found |= set(call_findings(call, dotted(call.func, names), path))
    return found


def call_findings(call: ast.Call, name: str, path: str):
    """What is wrong with the arguments of one call."""
    if name in ("torch.load",) and keyword(call, "weights_only") is not True:
        yield "torch.load without weights_only=True"
    if name == "yaml.load" and not dotted(
        call.args[1] if len(call.args) > 1 else ast.Constant(0), {}
    ).endswith("SafeLoader"):
        yield "yaml.load without a safe loader"
    if name == "torch.jit.load" and path not in TORCHSCRIPT:
        yield "torch.jit.load"
    if name.startswith("numpy.") and keyword(call, "allow_pickle") not in (None, False):
        yield f"{name} with allow_pickle"
    if keyword(call, "shell") not in (None, False) or (
        name.startswith("subprocess.") and call.args and text_like(call.args[0])
    ):
        yield f"{name} through a shell"
    if keyword(call, "trust_remote_code") not in (None, False):
        yield "trust_remote_code"
    if name.endswith(".from_pretrained") and keyword(call, "local_files_only") is not True:
        yield "from_pretrained that may download"
    if (
        name.endswith("import_module")
        and path not in LOADED_BY_NAME
        and not isinstance(call.args[0], ast.Constant)
    ):
        yield "import_module of a name from elsewhere"
    if name.rpartition(".")[2] == "extractall":
        yield f"{name}: archives are not unpacked"
    if (
        name.rpartition(".")[2] == "ViserServer"
        and not call.args
        and keyword(call, "host") in (None, "0.0.0.0", "::")
    ):
        yield "a server open to the network"


def text_like(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_no_module_loads_or_runs_what_a_file_says():
    assert len(FILES) > 200
    found = {
        path: findings((ROOT / path).read_text(), path)
        for path in (file.relative_to(ROOT).as_posix() for file in FILES)
    }
    assert {path: what for path, what in found.items() if what} == {}


def test_servers_listen_on_this_machine_unless_asked_otherwise():
    from avatarpipe.steps.view import View
    from avatarpipe.viewer.server import is_loopback

    (host,) = [item.default for item in fields(View) if item.name == "host"]
    assert is_loopback(host) and not is_loopback("0.0.0.0") and not is_loopback("example.org")


@pytest.mark.parametrize(
    "line",
    [
        "import pickle; pickle.load(f)",
        "from pickle import loads as read; read(b)",
        "import numpy as np; np.load(p, allow_pickle=True)",
        "import numpy as np; np.load(p, allow_pickle=flag)",
        "import torch; torch.load(p)",
        "import torch; torch.load(p, weights_only=False)",
        "from torch import load; load(p)",
        "import torch; torch.jit.load(p)",
        "import torch; torch.hub.load(a, b)",
        "import joblib",
        "import yaml; yaml.load(t)",
        "import yaml; yaml.load(t, yaml.Loader)",
        "import yaml; yaml.load(t, yaml.CUnsafeLoader)",
        "from yaml import unsafe_load",
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "import os; os.system(c)",
        "import subprocess; subprocess.run(c, shell=True)",
        "import subprocess; subprocess.run(f'rm {x}')",
        "import zipfile; zipfile.ZipFile(p).extractall()",
        "import tarfile",
        "import shutil; shutil.unpack_archive(p)",
        "import importlib; importlib.import_module(name)",
        "import pandas as pd; pd.read_pickle(p)",
        "import urllib.request",
        "from xml.etree import ElementTree",
        "M.from_pretrained(name)",
        "import viser; viser.ViserServer(port=1)",
        "import viser; viser.ViserServer(host='0.0.0.0')",
    ],
)
def test_the_scan_sees(line):
    assert findings(line)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle; pickle.dump(x, f)",
        "import torch; torch.load(p, weights_only=True)",
        "import numpy as np; np.load(p)",
        "import yaml; yaml.safe_load(t)",
        "import subprocess; subprocess.run(['a', b])",
        "model.eval()",
        "import re; re.compile(p)",
        "import viser; viser.ViserServer(host='127.0.0.1')",
    ],
)
def test_the_scan_lets_pass(line):
    assert findings(line) == set()


def test_the_exceptions_are_needed():
    for path in ALLOWED:
        assert FORBIDDEN & ALLOWED[path]
    for path in (*ALLOWED, *LOADED_BY_NAME, *TORCHSCRIPT):
        assert (ROOT / path).is_file()
