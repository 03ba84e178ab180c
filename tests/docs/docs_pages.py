"""The pages for readers, cut into what can be tried: blocks, commands, links."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "config/README.md",
    ROOT / "resources/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PROGRAMS = {
    "make", "snakemake", "avatarpipe", "python", ".venv/bin/python", "torchrun", "pip", ".venv/bin/pip", "hf", "npx", "npm",
    "kubectl", "ssh", "sinfo", "sacctmgr", "apt-get", "ns-train", "cd", "colmap",
}  # fmt: skip
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_INDENTED = re.compile(r"(?<=\n\n)((?:    .*\n(?:\n(?=    ))?)+)")
_SPAN = re.compile(r"`([^`]+)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


@dataclass(frozen=True)
class Block:
    """A block of a page that is not prose; `language` is empty where it is indented."""

    page: str
    language: str
    text: str
    start: int  # where in the page it begins


@dataclass(frozen=True)
class Command:
    """One command of a page: its words, comments left out, and the assignments that stand before it."""

    page: str
    words: tuple[str, ...]
    assigned: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def blocks(page: Path) -> list[Block]:
    """Every fenced and every indented block of a page, in its order."""
    text, name = page.read_text(), str(page.relative_to(ROOT))
    fenced = [Block(name, *match.groups(), match.start()) for match in _FENCE.finditer(text)]
    indented = [
        Block(name, "", re.sub(r"^    ", "", match[0], flags=re.M), match.start())
        for match in _INDENTED.finditer(_covered(text))
    ]
    return sorted(fenced + indented, key=lambda block: block.start)


def commands(page: Path) -> list[Command]:
    """Every command of a page in its order: lines of its blocks, and what stands between backquotes with at least one argument."""
    text, name = page.read_text(), str(page.relative_to(ROOT))
    lines = [(block.start, line) for block in blocks(page) for line in shell_lines(block)]
    spans = [(span.start(), " ".join(span[1].split())) for span in _SPAN.finditer(_covered(text))]
    spans = [(start, span) for start, span in spans if is_command(span)]
    ordered = sorted(lines + spans, key=lambda found: found[0])
    return [
        command
        for _, line in ordered
        for command in _simple(name, line)
        if len(command.words) > 1
    ]


def _covered(text: str) -> str:
    """The text with each character of its fenced blocks replaced, so that places stay."""
    return _FENCE.sub(lambda match: re.sub(r"[^\n]", "#", match[0]), text)


def shell_lines(block: Block) -> list[str]:
    """The commands of a block, a line each, continued lines joined."""
    if block.language not in ("", "sh", "bash", "shell"):
        return []
    joined = re.sub(r"\\\n\s*", " ", block.text)
    return [line for line in joined.splitlines() if is_command(line)]


def is_command(line: str) -> bool:
    """Whether the first word that assigns no variable is a program that pages call."""
    words = [word for word in line.split() if not _ASSIGNMENT.fullmatch(word)]
    return bool(words) and words[0] in PROGRAMS


def _simple(page: str, line: str) -> list[Command]:
    """The commands of a line, split at `&&`."""
    found: list[tuple[list[str], list[str]]] = [([], [])]
    for word in shlex.split(line, comments=True):
        assigned, words = found[-1]
        if word == "&&":
            found.append(([], []))
        elif words or not _ASSIGNMENT.fullmatch(word):
            words.append(word)
        else:
            assigned.append(word)
    return [Command(page, tuple(words), tuple(assigned)) for assigned, words in found]
