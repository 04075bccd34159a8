"""Whatever stands in a file: a topology, or problems; never another error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_json_schema import EVERYTHING

from tocsin.errors import TopologyError
from tocsin.language import loads
from tocsin.language.nodes import ListNode, MapNode
from tocsin.language.report import Report
from tocsin.language.text import Text
from tocsin.language.yaml_text import parse
from tocsin.model.units import DURATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tocsin.language.model import Topology
    from tocsin.language.nodes import Node

TOKENS = [
    *"{}[]:,-?&*!|>'\"%@`#\n\t ~<=",
    *["<<", "---", "...", ": ", "- ", "\n  ", "''", "null", "on", "topology", "features", "windows", "why", "1e999"],
    *[
        "tumbling",
        "hopping 1h every",
        "10m",
        "0s",
        "99999999999999999999d",
        "\u0661s",
        "\u2028",
        "\x85",
        "\ufeff",
        "\ud800",
        "\0",
    ],
]
PIECES = st.one_of(st.sampled_from(TOKENS), st.text(max_size=5))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def reader(path: Path) -> str:
    """Give a used file; only one is there."""
    if path.name != "base.yaml":
        raise FileNotFoundError(2, "No such file or directory")
    return "topology: {name: base, zone: UTC}"


def answer(text: str) -> Topology | tuple[object, ...]:
    """Give the topology, or its problems; all else fails the test."""
    try:
        return loads(text, "t.yaml", reader)
    except TopologyError as error:
        problems = error.problems
    assert problems
    assert all(problem.what and problem.mark.line >= 1 and problem.mark.column >= 1 for problem in problems)
    assert all(str(problem).encode() for problem in problems)
    return problems


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Cut, double and replace parts of a right topology."""
    text = EVERYTHING
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from([0, 1, 1, 2, 5, 30]))
        text = text[:start] + draw(PIECES) + text[start + length :]
    return text


@st.composite
def scrambled_lines(draw: st.DrawFn) -> str:
    """Move, drop and indent whole lines of a right topology."""
    lines = EVERYTHING.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        line = lines.pop(draw(st.integers(0, len(lines) - 1)))
        place = draw(st.integers(0, len(lines)))
        lines[place:place] = [" " * draw(st.integers(0, 4)) + line.lstrip()] * draw(st.integers(0, 2))
    return "\n".join(lines)


class TestAnyText:
    """`loads` answers every text."""

    @QUICK
    @given(st.text(max_size=200))
    def test_any_text_is_a_topology_or_has_problems(self, text: str) -> None:
        answer(text)

    @QUICK
    @given(st.lists(PIECES, max_size=40).map("".join))
    def test_any_tokens_are_a_topology_or_have_problems(self, text: str) -> None:
        answer("topology: {name: x}\n" + text)

    @QUICK
    @given(mutated())
    def test_a_damaged_topology_is_a_topology_or_has_problems(self, text: str) -> None:
        answer(text)

    @QUICK
    @given(scrambled_lines())
    def test_scrambled_lines_are_a_topology_or_have_problems(self, text: str) -> None:
        answer(text)

    @QUICK
    @given(st.sampled_from(["keep", "for", "expires"]), PIECES, st.sampled_from([*DURATIONS, "", " "]))
    def test_any_value_of_a_word_is_right_or_has_problems(self, word: str, value: str, unit: str) -> None:
        answer(f"topology: {{name: x}}\nrules: {{r: {{from: f, levels: {{red: a}}, {word}: 1{value}{unit}}}}}")

    @QUICK
    @given(st.text(max_size=30))
    def test_any_window_word_is_right_or_has_problems(self, text: str) -> None:
        quoted = text.replace("'", "''")
        answer(f"topology: {{name: x}}\nfeatures: {{f: {{from: a, windows: {{'tumbling {quoted}': {{n: count()}}}}}}}}")


class TestPaths:
    """Names of used files that no file can have."""

    @pytest.mark.parametrize("name", ["'a\\0b'", '"a\\0b"', '"\\ud800"', "x" * 5000, "/", ".", "..", "''", "' '"])
    def test_an_impossible_name_is_a_problem(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(TopologyError):
            loads(f"topology: {{name: x, uses: [{name}]}}", str(tmp_path / "t.yaml"))

    def test_a_link_to_itself_is_a_problem(self, tmp_path: Path) -> None:
        (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
        with pytest.raises(TopologyError, match="cannot read"):
            loads("topology: {name: x, uses: [loop.yaml]}", str(tmp_path / "t.yaml"))


class TestReadingTwice:
    """The same text, the same answer."""

    @QUICK
    @given(mutated())
    def test_the_answer_does_not_change(self, text: str) -> None:
        assert answer(text) == answer(text)


class TestTwoParsers:
    """libyaml reads what it may read exactly as PyYAML's own parser does, places included."""

    @QUICK
    @given(mutated())
    def test_they_agree(self, text: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            fast = flat(text)
            patch.setattr(yaml, "__with_libyaml__", None)
            assert fast == flat(text)


def flat(text: str) -> tuple[object, ...]:
    """Give all texts of a file with their places, or what is wrong with it."""
    report = Report()
    return (*texts(parse(text, "t.yaml", report)), *map(str, report.problems))


def texts(node: Node | None) -> Iterator[tuple[object, ...]]:
    """Give what a node holds, in order."""
    if isinstance(node, Text):
        yield str(node), node.mark, node.mark.source
    elif isinstance(node, ListNode):
        yield "list", node.mark
        for item in node.items:
            yield from texts(item)
    elif isinstance(node, MapNode):
        yield "map", node.mark, node.braced, node.broken
        for key, value in node.entries:
            yield from texts(key)
            yield from texts(value)
