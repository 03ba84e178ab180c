"""Which source files a step runs, so that a rule can name them as input.

Snakemake reruns a job when its command or its input changes, and never looks into the
package that the command imports. A rule that has `code_stamp("avatarpipe.steps.normalize", folder)` as input
reruns when that module, or one it imports from this package, changes its text. One file stands for all of them:
a thousand subjects have ten thousand jobs, and each would have fifty files to look at. What each file imports is kept
beside the stamps, so that a plan parses only what changed since the last one.
"""

import ast
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256, write_if_changed

PACKAGE = Path(__file__).parent
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")  # where Python's grammar has statements
_IMPORTS = "imports.json"  # beside the stamps
_found: dict[str, list] = {}  # by module: the SHA-256 of its file, and the names that its import statements hold


@cache
def _file(module: str) -> Path | None:
    path = PACKAGE.parent.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _imports(module: str) -> set[str]:
    """The modules of this package that `module` may load, its parent packages among them."""
    names = _named(module, _hash(module))
    return {name for name in names if name.split(".")[0] == PACKAGE.name and _file(name)}


@cache
def _hash(module: str) -> str:
    file = _file(module)
    if file is None:
        raise InputError(f"{module}: no such module in {PACKAGE}. A rule or step names it; check the spelling.")
    return file_sha256(file)


def _named(module: str, digest: str) -> list[str]:
    """What the import statements of `module` name; its file is parsed only where its hash is not the one recorded."""
    recorded, names = _found.get(module, (None, []))
    if recorded != digest:
        names = sorted(_parsed(module, _file(module)))
        _found[module] = [digest, names]
    return names


def _parsed(module: str, file: Path) -> set[str]:
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    found = {".".join(package[: i + 1]) for i in range(len(package))}
    for node in _statements(ast.parse(file.read_text(), file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Every statement below `node`, those inside of functions and branches included; expressions are not looked into."""
    for name in _BLOCKS:
        for child in getattr(node, name, ()):
            if isinstance(child, ast.stmt):
                yield child
            yield from _statements(child)


def _loaded(module: str) -> list[str]:
    """Every module of this package that `python -m module` loads."""
    seen, todo = set(), {module}
    while todo:
        seen |= todo
        todo = set().union(*map(_imports, todo)) - seen
    return sorted(seen, key=lambda name: str(_file(name)))


def sources(module: str) -> list[str]:
    """Every file of this package that `python -m module` loads, seen from the working directory."""
    return [os.path.relpath(_file(name)) for name in _loaded(module)]


def foreign_imports(module: str) -> set[str]:
    """The top-level modules of others that a file of `sources(module)` imports somewhere, the standard library's among them."""
    named = {name for loaded in _loaded(module) for name in _named(loaded, _hash(loaded))}
    return {name.partition(".")[0] for name in named} - {PACKAGE.name}


def code_stamp(module: str, folder: str | Path) -> str:
    """A file in `folder` that lists every file of `sources(module)` with its SHA-256; written only where that changed."""
    _recall(Path(folder))
    root = f"{PACKAGE.parent}{os.sep}"
    lines = [f"{_hash(name)}  {str(_file(name)).removeprefix(root)}\n" for name in _loaded(module)]
    path = Path(folder, f"{module}.sha256")
    write_if_changed(path, "".join(lines))
    write_if_changed(Path(folder, _IMPORTS), json.dumps(_found))
    return str(path)


@cache
def _recall(folder: Path) -> None:
    """Take over what an earlier process found in the files' import statements."""
    try:
        recorded = json.loads((folder / _IMPORTS).read_text())
    except (FileNotFoundError, ValueError):  # none yet, or broken: the files are parsed again
        return
    if recorded.get(__name__, [None])[0] == _hash(__name__):  # else found by other rules than these
        _found.update(recorded)
