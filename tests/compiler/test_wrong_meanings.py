"""Every kind of topology whose words are right but whose meaning is wrong; the cases are in wrong_topologies.txt."""

from __future__ import annotations

from pathlib import Path

import pytest
from wrong_cases import NAME, Wrong, read_cases

from tocsin.compiler import compile_topology
from tocsin.errors import TopologyError
from tocsin.language import loads
from tocsin.language.files import read_file

HERE = Path(__file__).parent
BASE = HERE / "base.yaml"


def problems(text: str) -> list[str]:
    """Everything that is said of a topology."""
    topology = loads(text, name=NAME, reader=lambda path: read_file(BASE if path.name == BASE.name else path))
    try:
        compile_topology(topology)
    except TopologyError as error:
        return [str(problem) for problem in error.problems]
    return []


CASES = read_cases(HERE / "wrong_topologies.txt")


class TestWrongMeanings:
    """What `check` says of a topology that cannot mean what it says."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
    def test_the_message_names_the_place_and_what_was_expected(self, case: Wrong) -> None:
        assert problems(case.text) == case.expected

    def test_no_case_stands_twice(self) -> None:
        titles = [case.title for case in CASES]
        assert sorted(set(titles)) == sorted(titles)

    def test_there_are_at_least_a_hundred(self) -> None:
        assert len(CASES) >= 100

    def test_what_the_cases_build_on_is_right(self) -> None:
        assert problems("topology: {name: x, uses: [base.yaml]}\n") == []
