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


@dataclass(frozen=True)
class Command:
    """One command of a page: its words, comments and assignments before it left out."""

    page: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def blocks(page: Path) -> list[Block]:
    """Every fenced and every indented block of a page, in no order."""
    text, name = page.read_text(), str(page.relative_to(ROOT))
    fenced = [Block(name, language, body) for language, body in _FENCE.findall(text)]
    rest = _FENCE.sub("", text)
    return fenced + [
        Block(name, "", re.sub(r"^    ", "", body, flags=re.M)) for body in _INDENTED.findall(rest)
    ]


def commands(page: Path) -> list[Command]:
    """Every command of a page: lines of its blocks, and what stands between backquotes with at least one argument."""
    text, name = page.read_text(), str(page.relative_to(ROOT))
    lines = [line for block in blocks(page) for line in shell_lines(block)]
    spans = [" ".join(span.split()) for span in _SPAN.findall(_FENCE.sub("", text))]
    spans = [span for span in spans if is_command(span)]
    return [
        Command(name, words) for line in lines + spans for words in _simple(line) if len(words) > 1
    ]


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


def _simple(line: str) -> list[tuple[str, ...]]:
    """The commands of a line, split at `&&`."""
    found: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "&&":
            found.append([])
        elif found[-1] or not _ASSIGNMENT.fullmatch(word):
            found[-1].append(word)
    return [tuple(words) for words in found]
