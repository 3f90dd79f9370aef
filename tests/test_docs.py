"""The documentation says what the software does."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import likeness
from likeness.cli._commands import VERBS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


GROUPS = {verb.name for verb in VERBS if verb.is_group}


def commands_module():
    spec = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "commands.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_the_help():
    """Write it anew with `python docs/commands.py`."""
    module = commands_module()
    assert module.PAGE.read_text() == module.page()
    assert module.SCHEMA.read_text() == module.schema()


def test_every_verb_is_in_the_readme_or_the_guide():
    text = "".join(page.read_text() for page in PAGES)
    assert not [verb.name for verb in VERBS if f"likeness {verb.name}" not in text]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_pages_uses_names_that_exist(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "likeness":
                assert hasattr(likeness, node.attr), node.attr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_in_the_pages_are_accepted(page):
    """Every `likeness ...` line of a code block names a verb and flags that exist."""
    module = commands_module()
    for block in re.findall(r"```(?:sh|console)?\n(.*?)```", page.read_text(), re.S):
        for line in block.splitlines():
            words = line.split()
            if words[:1] != ["likeness"] or len(words) < 2:
                continue
            help_text = module.help_text(*words[1 : 3 if words[1] in GROUPS else 2])
            for flag in re.findall(r"(--[a-z-]+)", line):
                assert flag in help_text, line


def test_the_pages_build_without_a_warning(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", ROOT / "docs", tmp_path / "out",
         "-d", tmp_path / "trees"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "likeness.audit" in (tmp_path / "out" / "reference" / "python.html").read_text()


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {likeness.__version__}" in citation
    assert f"## {likeness.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_forbidden_is_claimed():
    """Words that no audit can stand for may only be used to deny them."""
    for page in PAGES:
        for sentence in re.split(r"(?<=[.!?|])\s", page.read_text()):
            for word in ("anonymous", "GDPR-compliant", "guaranteed", "risk-free"):
                if word in sentence:
                    assert re.search(r"\bnot\b|never", sentence), sentence
