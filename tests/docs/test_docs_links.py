"""Links between pages, their pictures, and blocks that are no commands: settings, rows of tables, Python."""

import ast
import importlib
import re

import pytest
import yaml
from docs_pages import PAGES, ROOT, blocks, is_command

from avatarpipe.config import check_config
from avatarpipe.schemas import read_yaml
from avatarpipe.subjects import read_subjects

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.M | re.S)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SCHEMAS = {
    name: read_yaml(ROOT / f"workflow/schemas/{name}.schema.yaml")
    for name in ("config", "subjects")
}
NEITHER = ("x  ->  M_g", "\\usepackage")  # a formula, and a line of LaTeX


def links(text: str) -> list[str]:
    """Every target of a link or picture that is no address on the web."""
    return [
        link
        for link in LINK.findall(CODE.sub("", text))
        if not link.startswith(("http://", "https://"))
    ]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page, text: str) -> list[str]:
    """The links that lead nowhere: no file, or no such heading in it."""
    found = []
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        headings = (
            anchors(target.read_text() if path else text) if anchor and target.exists() else set()
        )
        if not target.exists() or (anchor and anchor not in headings):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_and_picture_is_there(page):
    assert broken(page, page.read_text()) == []


def test_links_that_lead_nowhere_would_be_found():
    text = "# A\n[a](docs/nothing.md) [b](docs/data.md#nowhere) ![c](docs/images/none.png) [d](#a) [e](docs/data.md)\n"
    assert broken(ROOT / "README.md", text) == [
        "docs/nothing.md", "docs/data.md#nowhere", "docs/images/none.png",
    ]  # fmt: skip


def test_every_page_and_picture_is_linked():
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in links(page.read_text())
    }
    assert set(PAGES) - {ROOT / "README.md"} <= linked
    pictures = set((ROOT / "docs/images").glob("*.png"))
    assert pictures <= linked
    front = links((ROOT / "README.md").read_text())
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= {
        link.partition("#")[0] for link in front
    }


PATH = re.compile(r"`((?:avatarpipe|benchmarks|config|envs|rules|tests|workflow)/[\w./+-]*)`")
DOTTED = re.compile(r"`(avatarpipe(?:\.\w+)+)`")
MADE_UP = ("NAME", "part03")  # parts of paths that stand for something else


def gone(text: str) -> list[str]:
    """The files and the dotted names of the package that a page speaks of and that are not there."""
    paths = [path for path in PATH.findall(text) if not any(word in path for word in MADE_UP)]
    names = [name for name in DOTTED.findall(text) if not any(word in name for word in MADE_UP)]
    return [path for path in paths if not (ROOT / path).exists()] + [
        name for name in names if not is_there(name)
    ]


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    try:
        importlib.import_module(name)
    except ImportError:
        module, _, attribute = name.rpartition(".")
        return "." in name and hasattr(importlib.import_module(module), attribute)
    return True


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_and_modules_that_pages_speak_of_exist(page):
    assert gone(page.read_text()) == []


def test_names_that_are_gone_would_be_found():
    text = "`avatarpipe/layuot.py` `avatarpipe.avatar.Avatar` `avatarpipe.avatar.Avatra` `rules/`"
    assert gone(text) == ["avatarpipe/layuot.py", "avatarpipe.avatar.Avatra"]


def kind(text: str) -> str:
    """What an indented block is, commands left out: rows, python, paths, yaml or nothing."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [line for line in joined.splitlines() if line.strip() and not is_command(line)]
    if not lines or text.startswith(NEITHER):
        return "nothing"
    if "\t" in lines[0]:
        return "rows"
    if lines[0].startswith(("from ", "import ")):
        return "python"
    return "paths" if re.match(r"[\w.-]+/", lines[0]) else "yaml"


def of_kind(wanted: str, language: str) -> list:
    found = [block for page in PAGES for block in blocks(page)]
    chosen = [
        block
        for block in found
        if (kind(block.text) if block.language == "" else block.language) in (wanted, language)
    ]
    return [pytest.param(block.text, id=f"{block.page}: {block.text[:30]!r}") for block in chosen]


@pytest.mark.parametrize("text", of_kind("yaml", "yaml"))
def test_settings_are_settings(text):
    check_config(yaml.safe_load(text), SCHEMAS["config"], "the page")


@pytest.mark.parametrize("text", of_kind("rows", "rows"))
def test_rows_are_rows_of_the_subject_table(text, tmp_path):
    rows = [re.split(r" {2,}#", line)[0].rstrip() for line in text.splitlines() if "\t" in line]
    header = ["subject", "dataset", "source", "gender", "frames", "methods"][
        : rows[0].count("\t") + 1
    ]
    table = tmp_path / "subjects.tsv"
    table.write_text("\n".join(["\t".join(header), *rows]) + "\n")
    assert len(read_subjects(table, SCHEMAS["subjects"])) == len(rows)


@pytest.mark.parametrize("text", of_kind("python", "python"))
def test_python_compiles_and_what_it_imports_exists(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
