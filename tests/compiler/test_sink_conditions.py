"""`where` of a sink, evaluated on rows of the transition log."""

from __future__ import annotations

import polars as pl
import pytest
from plans import compiled

RULE = """\
rules:
  r:
    from: minute
    levels: {red: top > 3}
    labels: {channel: chat, audience: ops}
"""
LOG = pl.DataFrame(
    {
        "rule": ["r", "r", "other", "r"],
        "kind": ["raised", "level_changed", "raised", "cleared"],
        "level": ["blue", "red", "orange", "clear"],
        "labels": ['{"channel":"chat"}', '{"channel":"mail"}', "{}", '{"channel":"chat"}'],
        "entity": ['{"rack":"a"}', '{"rack":"b"}', '{"card":"c"}', '{"rack":"a"}'],
    }
)


def passing(where: str) -> list[int]:
    """The numbers of the rows that pass."""
    (sink,) = compiled(f"{RULE}sinks:\n  s:\n    console: table\n    where: {where}\n").sinks
    assert sink.where is not None
    return LOG.with_row_index("number").filter(sink.where(LOG))["number"].to_list()


class TestConditions:
    """What of the log a sink receives."""

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ("level >= orange", [1, 2]),
            ("level = red", [1]),
            ("level < yellow", [0, 3]),
            ("level between blue and orange", [0, 2]),
            ("level in (red, clear)", [1, 3]),
            ("rule = 'r' and kind <> 'cleared'", [0, 1]),
            ("labels.channel = 'chat'", [0, 3]),
            ("labels.channel is null", [2]),
            ("entity.rack = 'b' or level = orange", [1, 2]),
        ],
    )
    def test_rows_pass_where_it_is_true(self, where: str, expected: list[int]) -> None:
        assert passing(where) == expected

    def test_a_sink_without_a_condition_receives_all(self) -> None:
        (sink,) = compiled(f"{RULE}sinks: {{s: console}}\n").sinks
        assert sink.where is None

    def test_a_name_inside_a_text_is_no_label(self) -> None:
        assert passing("rule <> 'labels.other'") == [0, 1, 2, 3]
