"""The rules as text: whatever is put into a shell command is quoted, or can only be a number or a harmless word."""

import ast
import re
from pathlib import Path

import pytest

from avatarpipe.schemas import read_yaml

ROOT = Path(__file__).parents[2]
CONFIG = read_yaml(ROOT / "workflow/schemas/config.schema.yaml")
SUBJECTS = read_yaml(ROOT / "workflow/schemas/subjects.schema.yaml")
RULE = re.compile(r"^( *)rule (\w+):\n((?:\1 +.*\n|\n)+)", re.M)
FIELD = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")
WORDS = {"layout.drive_switches()": "flags made of true and false"}
WORD = re.compile(r"[A-Za-z0-9+_.-]*")  # no character that a shell does anything with


def rules() -> list[tuple[str, str]]:
    """(name, body) of every rule."""
    files = sorted((ROOT / "rules").glob("*.smk"))
    return [
        (name, body) for file in files for _, name, body in RULE.findall(file.read_text() + "\n")
    ]


def params(body: str) -> dict[str, str]:
    """The expression behind each param."""
    section = re.search(r"^( +)params:\n((?:\1 +.*\n)+)", body, re.M)
    if section is None:
        return {}
    call = ast.parse(f"f(\n{section[2]})".replace("\n            ", "\n")).body[0].value
    return {item.arg: ast.unparse(item.value) for item in call.keywords}


def part(schema: dict, keys: list[str]) -> dict:
    """The part of the schema that describes a key, references followed."""
    for key in keys:
        schema = resolved(schema)["properties"][key]
    return resolved(schema)


def resolved(schema: dict) -> dict:
    return (
        CONFIG["$defs"][schema["$ref"].rpartition("/")[2]] | schema if "$ref" in schema else schema
    )


def is_harmless(schema: dict) -> bool:
    """Whether a value that fits the schema can only be a number, true or false, one of some words, or a list of such."""
    if "enum" in schema:
        return all(WORD.fullmatch(str(value)) for value in schema["enum"])
    if schema.get("type") == "array":
        return is_harmless(schema.get("items", {}))
    kinds = schema.get("type", "any")
    return {"integer", "number", "boolean", "null"} >= set(
        [kinds] if isinstance(kinds, str) else kinds
    )


def harmless(expression: str, subscript: str | None) -> bool:
    """Whether the value of a param, or of one key of it, needs no quotes."""
    node = ast.parse(expression, mode="eval").body
    if isinstance(node, ast.Subscript):
        keys = re.findall(r"\['(\w+)'\]", expression)
        if expression != "config" + "".join(f"['{key}']" for key in keys):
            return False
        return is_harmless(part(CONFIG, [*keys, *([subscript] if subscript else [])]))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not subscript:
        known = {"cell": SUBJECTS, "motion_option": CONFIG["$defs"]["motion"]}.get(node.func.id)
        return known is not None and is_harmless(part(known, [node.args[0].value]))
    return False


def unquoted(body: str) -> list[str]:
    """The substitutions of a rule's command that are neither quoted nor harmless."""
    command, known = body.partition("shell:")[2], params(body)
    found = []
    for field in FIELD.findall(command):
        name, _, form = field.partition(":")
        match = re.fullmatch(r"params\.(\w+)(?:\[(\w+)\])?", name)
        if form == "q" or name in ("threads", "resources.gpu"):  # numbers
            continue
        if match is None or (
            known[match[1]] not in WORDS and not harmless(known[match[1]], match[2])
        ):
            found.append(field)
    return found


@pytest.mark.parametrize(("name", "body"), rules(), ids=[name for name, _ in rules()])
def test_everything_that_can_hold_a_text_is_quoted(name, body):
    assert unquoted(body) == []


WORDS_MADE_HERE = {
    "layout.template_kind()",
    "layout.synthetic_seeds()",
    "layout.drive_switches()",
    "alignment_tolerance()",
}


@pytest.mark.parametrize(("name", "body"), rules(), ids=[name for name, _ in rules()])
def test_texts_of_the_configuration_are_given_verbatim(name, body):
    """A text that stands for a param by itself is searched for wildcards; one that a function returns is not."""
    for param, expression in params(body).items():
        if expression.startswith("config["):
            schema = part(CONFIG, re.findall(r"\['(\w+)'\]", expression))
            assert is_harmless(schema) or schema["type"] == "object", (
                f"{param}={expression}: use verbatim(...)"
            )
        elif expression.startswith("layout."):
            assert expression in WORDS_MADE_HERE, f"{param}={expression}: use verbatim(...)"


EXAMPLE = '''rule x:
    params:
        a=config["scoring"]["clip"],
        b=config["seed"],
        c=cell("source"),
        d=config["prior"],
        e=config["export"]["frames"],
        f=lambda wildcards: 1,
    shell:
        """
        run {FIELD}
        """
'''


@pytest.mark.parametrize(
    ("field", "passes"),
    [
        ("params.a", False), ("params.a:q", True), ("params.b", True), ("params.c", False), ("params.d", False),
        ("params.d[size]", True), ("params.e", False), ("params.f", False), ("input.x", False), ("wildcards.subject", False),
        ("wildcards.subject:q", True), ("threads", True), ("log", False), ("output", False), ("params.a!s", False),
    ],
)  # fmt: skip
def test_the_scan_tells_texts_from_numbers(field, passes):
    ((_, _, body),) = RULE.findall(EXAMPLE.replace("FIELD", field))
    assert (unquoted(body) == []) is passes


def test_the_shell_of_all_jobs_quotes_what_it_adds():
    text = (ROOT / "workflow/common.smk").read_text()
    prefix = text.partition("shell.prefix(")[2].partition("\n)")[0]
    assert all(field.startswith("quote(") for field in re.findall(r"\{([^{}]+)\}", prefix))


def test_patterns_that_make_file_names_know_no_line_break():
    """`$` also matches before a final line break, which no name may hold."""
    from avatarpipe.schemas import first_error

    subject = SUBJECTS["properties"]["subject"]
    motion = CONFIG["properties"]["motions"]["propertyNames"]
    for schema in (subject, motion):
        assert first_error("tina", schema) is None
        for name in (
            "tina\n",
            "tina\n\n",
            "ti\nna",
            "..",
            "../x",
            "a/b",
            "",
            "a b",
            "$(id)",
            "`id`",
            "a;b",
            "{a}",
            "a'b",
            '"',
        ):
            assert first_error(name, schema) is not None, repr(name)
