"""`avatarpipe STEP ...`: the same as `python -m avatarpipe.steps.STEP ...`."""

import ast
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

_STEPS = Path(__file__).parent / "steps"


def step_names() -> list[str]:
    """The steps that exist, as they are typed: the modules of steps/ that have a `main`."""
    return sorted(file.stem.replace("_", "-") for file in _STEPS.glob("*.py") if _has_main(file))


def _has_main(file: Path) -> bool:
    tree = ast.parse(file.read_text())
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


def _module(name: str) -> str:
    return name.replace("-", "_")


def _summary(name: str) -> str:
    """The first line of the step's docstring, read without importing what the step imports."""
    text = (_STEPS / f"{_module(name)}.py").read_text()
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def usage() -> str:
    """What `avatarpipe --help` says."""
    names = step_names()
    width = max(map(len, names))
    lines = [f"  {name:<{width}}  {_summary(name)}" for name in names]
    return "\n".join(
        [
            "usage: avatarpipe STEP [options]",
            "",
            "steps:",
            *lines,
            "",
            "`avatarpipe STEP --help` lists its options.",
        ]
    )


def main(args: list[str] | None = None) -> None:
    """Run the step that the first argument names with the arguments after it."""
    args = sys.argv[1:] if args is None else args
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(usage() + "\n")
        raise SystemExit(0 if args else 2)
    name = args[0].replace("_", "-")
    if name not in step_names():
        near = get_close_matches(name, step_names(), n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        sys.stderr.write(f"error: {args[0]}: no such step. {hint}`avatarpipe --help` lists them.\n")
        raise SystemExit(2)
    import_module(f"avatarpipe.steps.{_module(name)}").main(args[1:])


if __name__ == "__main__":
    main()
