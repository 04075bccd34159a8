"""Every kind of topology whose words are right but whose meaning is wrong; the cases are in wrong_topologies.txt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tocsin.compiler import compile_topology
from tocsin.errors import TopologyError
from tocsin.language import loads
from tocsin.language.files import read_file

HERE = Path(__file__).parent
NAME = "t.yaml"
PLACE = "▶"
BASE = HERE / "base.yaml"


@dataclass(frozen=True)
class Wrong:
    """A topology with its places marked, and what must be said of them."""

    title: str
    marked: str
    messages: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.marked.replace(PLACE, "")

    @property
    def expected(self) -> list[str]:
        """The messages, each with the place of its mark."""
        parts = self.marked.split(PLACE)
        before = ["".join(parts[: number + 1]) for number in range(len(parts) - 1)]
        places = [f"{NAME}:{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}" for text in before]
        return [f"{place}: {message}" for place, message in zip(places, self.messages, strict=True)]


def read_cases(path: Path) -> list[Wrong]:
    """Read the cases of a file."""
    cases = []
    for block in path.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, *lines = block.rstrip("\n").split("\n")
        messages = tuple(line.removeprefix("=> ") for line in lines if line.startswith("=> "))
        marked = "\n".join(line for line in lines if not line.startswith("=> "))
        cases.append(Wrong(title, f"{marked}\n", messages))
    return cases


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
