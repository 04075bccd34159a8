"""The version of a rule: the same for the same result, another one for another."""

from __future__ import annotations

import pytest
from plans import compiled

TOPOLOGY = """\
streams:
  taps:
    topic: taps.v1
    id: id
    time: {field: at, lateness: 5s}
    fields: {id: string, at: timestamp, card: string, amount: decimal(2)}
    checks: {positive: amount > 0}
  other:
    time: {field: at, lateness: 5s}
    fields: {at: timestamp, x: int64}
tables:
  known: {key: card, topic: known.v1, fields: {card: string, kind: kinds}}
  kinds: {key: kind, rows: [{kind: a, most: 3}], fields: {kind: string, most: int64}}
  unread: {key: card, topic: unread.v1, fields: {card: string}}
features:
  f:
    from: taps
    by: card
    where: amount > 1
    windows: {trailing 10m: {n: count(), spent: sum(amount)}}
  g:
    from: f
    where: card in known or n = 0
  unrelated:
    from: other
    by: x
    windows: {tumbling 1m: {m: count()}}
rules:
  r:
    from: g
    parameters: {many: {value: 3 taps, why: ours}}
    levels: {red: {when: n > many and card <> 'a  b', reset: n < 2}}
    keep: 30m
    labels: {channel: chat}
    says: "{n} taps"
    runbook: https://example.org/a
    tests: [{given: {taps: [{card: A, at: 10:00, amount: 2}]}, expect: {}}]
"""


def version(old: str = "", new: str = "", header: str = "zone: UTC") -> str:
    """The version of the rule, with a part of the topology replaced."""
    assert old in TOPOLOGY
    return compiled(TOPOLOGY.replace(old, new, 1) if old else TOPOLOGY, header).rules["r"].version


class TestAnotherVersion:
    """What the result depends on."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("n > many", "n >= many"),
            ("value: 3 taps", "value: 4 taps"),
            ("reset: n < 2", "reset: n < 1"),
            ("keep: 30m", "keep: 31m"),
            ("'a  b'", "'a b'"),
            ("where: amount > 1", "where: amount > 2"),
            ("trailing 10m", "trailing 11m"),
            ("sum(amount)", "max(amount)"),
            ("by: card\n", "by: {card: card, id: id}\n"),
            ("or n = 0", "or n < 1"),
            ("lateness: 5s", "lateness: 6s"),
            ("decimal(2)", "decimal(3)"),
            ("positive: amount > 0", "positive: amount > 5"),
            ("most: 3", "most: 4"),
            (
                "topic: known.v1, fields: {card: string",
                "topic: known.v1, time: at, fields: {at: timestamp, card: string",
            ),
        ],
    )
    def test_a_change_of_the_result_is_another_version(self, old: str, new: str) -> None:
        assert version(old, new) != version()

    @pytest.mark.parametrize("header", ["zone: Asia/Shanghai", "min_group: 10"])
    def test_so_is_a_header_that_changes_results(self, header: str) -> None:
        assert version(header=header) != version()


class TestTheSameVersion:
    """What only people or hosts see."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('says: "{n} taps"', 'says: "{n} taps, {spent} together"'),
            ("why: ours", "why: theirs"),
            ("channel: chat", "channel: mail"),
            ("/a\n", "/b\n"),
            ("expect: {}", "expect: {B: 10:00 red}"),
            ("keep: 30m", "keep: 0.5h"),
            ("n > many and", "n > many  and"),
            ("features:\n", "features:\n  # a comment\n"),
            ("time: {field: at, lateness: 5s}", "time: {lateness: 5s, field: at, skew: 2h}"),
            ("windows: {tumbling 1m: {m: count()}}", "windows: {tumbling 2m: {m: count()}}"),
            ("unread.v1", "unread.v2"),
            ("other:\n", "other:\n    owner: me\n"),
            ("fields: {at: timestamp, x: int64}", "fields: {x: int64, at: timestamp}"),
        ],
    )
    def test_a_change_that_changes_no_result_is_the_same_version(self, old: str, new: str) -> None:
        assert version(old, new) == version()

    def test_the_order_of_features_does_not_matter(self) -> None:
        before, after = TOPOLOGY.index("  f:\n"), TOPOLOGY.index("  g:\n")
        end = TOPOLOGY.index("  unrelated:\n")
        swapped = TOPOLOGY[:before] + TOPOLOGY[after:end] + TOPOLOGY[before:after] + TOPOLOGY[end:]
        assert compiled(swapped).rules["r"].version == version()

    def test_what_a_rule_says_changes_nothing_that_it_explains(self) -> None:
        other = compiled(TOPOLOGY.replace('says: "{n} taps"', 'says: "{spent}"', 1))
        assert other.rules["r"].version == version()
