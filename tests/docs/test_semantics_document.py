"""docs/semantics.md says of every rule which tests hold it, and those tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "semantics.md").read_text()
RULES = ["S", "T", *map(str, range(1, 30))]
SECTIONS = dict(re.findall(r"^### (\w+)\. [^\n]+\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
NAMED = sorted(set(re.findall(r"`(tests/[^`\s]+\.py::[^`\s]+)`", TEXT)))


def defined_in(path: Path) -> set[str]:
    """Give the tests of a file, as pytest names them."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return found


class TestTheRules:
    """All of them are there."""

    def test_every_number_is_there_in_order(self) -> None:
        assert list(SECTIONS) == RULES

    @pytest.mark.parametrize("rule", RULES)
    def test_a_rule_names_what_holds_it(self, rule: str) -> None:
        assert re.search(r"^Held by\n`tests/", SECTIONS[rule], re.MULTILINE)


class TestTheTests:
    """All that are named."""

    @pytest.mark.parametrize("name", NAMED)
    def test_one_that_is_named_exists(self, name: str) -> None:
        file, _, test = name.partition("::")
        assert test in defined_in(ROOT / file)

    def test_a_pointer_is_never_half_a_name(self) -> None:
        assert sorted(set(re.findall(r"`(tests/[^`\s]+\.py[^`\s]*)`", TEXT))) == NAMED
