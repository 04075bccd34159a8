"""The mutations of `make mutate` still fit the code, so that drift is noticed at once."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from .mutation import ROOT, Mutation
from .mutations import MUTATIONS

ELSEWHERE = {"T", "3", "12", "28", "29"}
"""Rules that no mutation breaks: of other hosts, of what is not built yet, or (T) what is not in the code to break."""


def named(mutation: Mutation) -> str:
    return f"{mutation.rule}: {mutation.breaks}"


class TestEveryMutation:
    """What is to be replaced, and by what."""

    @pytest.mark.parametrize("mutation", MUTATIONS, ids=named)
    def test_its_text_stands_once_in_the_code(self, mutation: Mutation) -> None:
        assert mutation.occurrences() == 1

    @pytest.mark.parametrize("mutation", MUTATIONS, ids=named)
    def test_what_it_leaves_is_still_python(self, mutation: Mutation) -> None:
        source = (ROOT / mutation.file).read_text()
        ast.parse(source.replace(mutation.old, mutation.new))

    @pytest.mark.parametrize("mutation", MUTATIONS, ids=named)
    def test_its_tests_exist(self, mutation: Mutation) -> None:
        for test in mutation.tests:
            if test.startswith("tests/"):
                assert (ROOT / test.split("::")[0]).exists()


class TestAllOfThem:
    """Together they cover the contract."""

    def test_every_rule_is_broken_once_or_belongs_elsewhere(self) -> None:
        rules = {"S", "T", *map(str, range(1, 30))}
        assert {mutation.rule for mutation in MUTATIONS} == rules - ELSEWHERE

    def test_make_calls_them(self) -> None:
        assert re.search(r"^mutate:.*\n\t.*tests\.mutate$", Path(ROOT / "Makefile").read_text(), re.MULTILINE)
