"""The rules and what they pass on, as Snakemake plans them, drawn into README.md as Mermaid: `make graph`."""

import re
import subprocess
import sys
from pathlib import Path

BEGIN, END = "<!-- drawn by `make graph` -->\n", "<!-- end of the drawing -->\n"


def rule_graph(dot: str) -> dict[str, set[str]]:
    """{rule: the rules whose files it reads} of what `snakemake --rulegraph dot` prints; `all` is left out."""
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', dot, re.M))
    needs: dict[str, set[str]] = {name: set() for name in names.values()}
    for giver, taker in re.findall(r"^\s*(\d+) -> (\d+)\s*$", dot, re.M):
        needs[names[taker]].add(names[giver])
    needs.pop("all", None)
    return needs


def ancestors(needs: dict[str, set[str]], rule: str) -> set[str]:
    """Every rule that runs before `rule`, itself among them where a later rule needs it once more."""
    found: set[str] = set()
    ahead = set(needs[rule])
    while ahead:
        found |= ahead
        ahead = set().union(*(needs[giver] for giver in ahead)) - found
    return found


def without_detours(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same order by fewer arrows: none from a rule that is also reached through another, circles left as they are."""
    before = {rule: ancestors(needs, rule) for rule in needs}

    def reached(giver: str, rule: str) -> bool:
        return any(
            giver in before[other] and other not in before[giver] and rule not in before[other]
            for other in needs[rule] - {giver}
        )

    return {
        rule: {giver for giver in givers if not reached(giver, rule)}
        for rule, givers in needs.items()
    }


def mermaid(needs: dict[str, set[str]]) -> str:
    """The graph as a fenced Mermaid block, in alphabetical order so that equal graphs are equal texts."""
    lines = [
        f"  {giver} --> {rule}"
        for rule, givers in sorted(without_detours(needs).items())
        for giver in sorted(givers)
    ]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```", ""])


def with_drawing(page: str, drawing: str) -> str:
    """The page with the drawing between its two marks; ValueError where it does not have both."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}")
    return before + BEGIN + drawing + END + after


def planned(folder: Path) -> str:
    """What Snakemake says of the workflow in `folder`, for its own subject table; nothing is run."""
    command = [sys.executable, "-m", "snakemake", "--quiet", "--rulegraph", "dot"]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


if __name__ == "__main__":
    root = Path(__file__).parents[1]
    page = root / "README.md"
    page.write_text(with_drawing(page.read_text(), mermaid(rule_graph(planned(root)))))
