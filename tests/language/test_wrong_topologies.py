"""Every kind of wrong topology, with the exact message; the cases are in wrong_topologies.txt."""

from __future__ import annotations

from pathlib import Path

import pytest
from wrong_cases import NAME, Wrong, read_cases

from tocsin.errors import TopologyError
from tocsin.language import loads

CASES = read_cases(Path(__file__).with_name("wrong_topologies.txt"))


class TestWrongTopologies:
    """What `check` says of a wrong file: place, what is wrong, what was expected, what was probably meant."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
    def test_the_message_names_the_place_and_what_was_expected(self, case: Wrong) -> None:
        with pytest.raises(TopologyError) as caught:
            loads(case.text, name=NAME)
        assert [str(problem) for problem in caught.value.problems] == case.expected

    def test_no_case_stands_twice(self) -> None:
        titles = [case.title for case in CASES]
        assert sorted(set(titles)) == sorted(titles)

    def test_there_are_at_least_thirty_kinds_at_this_level(self) -> None:
        assert len(CASES) >= 30


class TestManyProblems:
    """One run shows all that is wrong."""

    def test_all_problems_of_a_file_are_reported_in_its_order(self) -> None:
        text = """\
topology: {name: x, zone: Mars}
streams:
  a: {fields: {at: timestamp}, time: {field: at, lateness: soon}, sort: 1}
features:
  f: {from: a, windows: {hopping 5m: {n: count()}}, detekt: {u: {baseline: n}}}
rules:
  r: {from: f, levels: {crimson: n > 3}, keep: long}
sinks:
  s: {kafkaa: x}
"""
        with pytest.raises(TopologyError) as caught:
            loads(text)
        found = [(problem.mark.line, problem.code) for problem in caught.value.problems]
        assert found == [
            (1, "bad-zone"),
            (3, "bad-duration"),
            (3, "unknown-word"),
            (5, "bad-window"),
            (5, "unknown-word"),
            (7, "bad-level"),
            (7, "bad-duration"),
            (9, "unknown-sink"),
        ]

    def test_a_key_without_value_is_not_reported_as_missing_too(self) -> None:
        with pytest.raises(TopologyError) as caught:
            loads("topology:\n  name:\n")
        assert [problem.code for problem in caught.value.problems] == ["empty-value"]
