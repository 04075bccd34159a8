"""How long modules and functions may be: the measures of CONTRIBUTING.md, over all code that is shipped."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("tocsin", "operators", "streams", "sinks", "monitoring")
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}

MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LENGTHS = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}


def functions() -> dict[str, int]:
    """Give the length of every function, from its `def` to its last line, by where it stands."""
    found = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    return found


FUNCTIONS = functions()


class TestModules:
    """One idea in each."""

    def test_none_has_more_than_500_lines(self) -> None:
        assert [str(path) for path, lines in LENGTHS.items() if lines > 500] == []

    def test_half_of_them_have_150_lines_at_most(self) -> None:
        assert statistics.median(LENGTHS.values()) <= 150

    def test_each_has_a_name_that_says_what_is_in_it(self) -> None:
        parts = {part for path in LENGTHS for part in path.with_suffix("").parts}
        assert parts & EMPTY_NAMES == set()

    @pytest.mark.parametrize("package", PACKAGES)
    def test_each_package_was_looked_at(self, package: str) -> None:
        assert sum(path.parts[0] == package for path in LENGTHS) > 1


class TestFunctions:
    """One thought in each."""

    def test_none_has_more_than_60_lines(self) -> None:
        assert [name for name, lines in FUNCTIONS.items() if lines > 60] == []

    def test_nine_of_ten_have_30_lines_at_most(self) -> None:
        assert sum(lines <= 30 for lines in FUNCTIONS.values()) >= 0.9 * len(FUNCTIONS)

    def test_half_of_them_have_8_lines_at_most(self) -> None:
        assert statistics.median(FUNCTIONS.values()) <= 8
