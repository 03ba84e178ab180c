"""Which source files a step runs, so that a rule can name them as input.

Snakemake reruns a job when its command or its input changes, and never looks into the
package that the command imports. A rule that has `code_stamp("avatarpipe.steps.normalize", folder)` as input
reruns when that module, or one it imports from this package, changes its text. One file stands for all of them:
a thousand subjects have ten thousand jobs, and each would have fifty files to look at.
"""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import file_sha256, write_if_changed

PACKAGE = Path(__file__).parent
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")  # where Python's grammar has statements


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
    file = _file(module)
    if file is None:
        raise InputError(f"{module}: no such module in {PACKAGE}. A rule or step names it; check the spelling.")
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    found = {".".join(package[: i + 1]) for i in range(len(package))}
    for node in _statements(ast.parse(file.read_text(), file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == PACKAGE.name and _file(name)}


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Every statement below `node`, those inside of functions and branches included; expressions are not looked into."""
    for name in _BLOCKS:
        for child in getattr(node, name, ()):
            if isinstance(child, ast.stmt):
                yield child
            yield from _statements(child)


def sources(module: str) -> list[str]:
    """Every file of this package that `python -m module` loads, seen from the working directory."""
    seen, todo = set(), {module}
    while todo:
        seen |= todo
        todo = set().union(*map(_imports, todo)) - seen
    return sorted(os.path.relpath(_file(name)) for name in seen)


def code_stamp(module: str, folder: str | Path) -> str:
    """A file in `folder` that lists every file of `sources(module)` with its SHA-256; written only where that changed."""
    lines = [f"{file_sha256(file)}  {os.path.relpath(file, PACKAGE.parent)}\n" for file in sources(module)]
    path = Path(folder, f"{module}.sha256")
    write_if_changed(path, "".join(lines))
    return str(path)
