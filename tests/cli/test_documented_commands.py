"""README.md and docs/: every command parses, its names exist, Python blocks compile and import, and links lead somewhere."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from archwright.cli.app import app
from archwright.cli.common import pairs
from archwright.evaluate import Training
from archwright.evaluate.metrics import METRICS
from archwright.families import CATALOGUE, get_family
from archwright.searchers import SEARCHERS, searcher_options
from archwright.supernet.methods import METHODS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
GROUP: Any = typer.main.get_command(app)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and body of every fenced block."""
    return ((found[1], found[2]) for found in BLOCK.finditer(text))


def lines(text: str) -> list[str]:
    """The ``archwright`` commands of a page's blocks, with continued lines joined."""
    bodies = [re.sub(r"\\\n\s*", " ", body) for _, body in blocks(text)]
    return [line for body in bodies for line in body.split("\n") if line.startswith("archwright ")]


def inline(text: str) -> list[str]:
    """What stands between single backticks."""
    return [" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", BLOCK.sub("", text))]


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words after ``archwright`` lead to, and the words that are left for it."""
    command, rest = GROUP, list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"there is no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    return command, rest


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """Name and values of a whole command line."""
    command, rest = leaf(shlex.split(line, comments=True)[1:])
    with command.make_context(command.name, rest) as context:
        return command.name, context.params


def flags(command: Any) -> set[str]:
    below = [flags(c) for c in getattr(command, "commands", {}).values()]
    own = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*below) | {"--help", "-h", "--version"}


def check_names(values: dict[str, Any]) -> None:
    """Families, methods, searchers, metrics and their options are what the library knows."""
    family = str(values.get("family") or "")
    if family in CATALOGUE and "method" not in values:
        get_family(family, **pairs(values.get("set_") or (), "--set"))
    if "method" in values and values["method"] != "METHOD" and ".py:" not in values["method"]:
        assert values["method"] in METHODS
    named = values.get("searcher") or ()
    for text in [named] if isinstance(named, str) else named:
        name, _, options = text.partition(":")
        known = {*searcher_options(name), "clues"}
        assert {word.partition("=")[0] for word in options.split(",") if word} <= known, text
        if name == named:
            assert {word.partition("=")[0] for word in values["option"]} <= known, values["option"]
    for metric in (*(values.get("maximize") or ()), *(values.get("minimize") or ())):
        assert metric in METRICS
    assert {word.partition("=")[0] for word in values.get("at_most") or ()} <= set(METRICS)
    Training(**pairs(values.get("train") or (), "--train"))


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if lines(text)])
def test_commands_in_blocks_parse_and_their_names_exist(page):
    for line in lines(TEXTS[page]):
        line = re.sub(r"\b(BUDGET|SEED)\b", "1", line)
        try:
            name, values = parsed(line)
            if name in ("search", "oneshot", "arena", "profile", "pretrain"):
                check_names(values)
        except Exception as error:
            pytest.fail(f"{line}\n{getattr(error, 'message', error)}")


@pytest.mark.parametrize("page", TEXTS)
def test_commands_in_sentences_exist_with_their_options(page):
    for text in inline(TEXTS[page]):
        if text.startswith("archwright "):
            words = [word.strip("[]") for word in text.split()[1:]]
            command, rest = leaf(words)
            named = {word.partition("=")[0] for word in rest if word.startswith("--")}
            assert named <= flags(command), text


def test_options_in_sentences_are_options_of_some_command():
    known = flags(GROUP)
    of_others = {"--nproc-per-node", "--nnodes"}  # torchrun's
    for page, page_text in TEXTS.items():
        for text in inline(page_text):
            if text.startswith("-") and (flag := re.match(r"--[a-z][a-z-]*", text)):
                assert flag[0] in known | of_others, f"{page}: {text}"


def test_readme_links_every_page_of_docs():
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= set(
        re.findall(r"\((docs/[\w-]+\.md)", TEXTS["README.md"])
    )


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if any(k == "python" for k, _ in blocks(text))])
def test_python_blocks_compile_and_what_they_import_from_archwright_is_there(page):
    for kind, body in blocks(TEXTS[page]):
        if kind != "python":
            continue
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "archwright":
                module = importlib.import_module(str(node.module))
                assert [a.name for a in node.names if not hasattr(module, a.name)] == [], body
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "aw":
                assert hasattr(importlib.import_module("archwright"), node.attr), node.attr


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_to_a_page_and_its_heading(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", TEXTS[page])):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", file.read_text(encoding="utf-8")), re.MULTILINE)
            assert anchor in {slug(h) for h in headings}, target


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", SEARCHERS)
def test_every_searcher_is_in_the_docs(name):
    assert re.search(rf"`{name}[`:]", "".join(TEXTS.values())), name
