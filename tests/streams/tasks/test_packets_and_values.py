"""Packets, what is known of their senders, and states as values of a table."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from streams.local.dataflow import BEGINNING
from streams.tasks import values
from streams.tasks.packets import Header, cut, decode, encode
from streams.tasks.upstreams import Upstreams
from tocsin.errors import StateError

ROWS = pl.DataFrame({"key": ["a", "b", None], "sum": pl.Series([1, -(1 << 90), None], dtype=pl.Int128)})


def header(number: int, sender: str = "s/0", watermark: int = 0, **more: object) -> Header:
    return Header(sender, number, "v1", 2, {"s": watermark}, **more)  # type: ignore[arg-type]  # as named


class TestPackets:
    def test_come_back_as_they_were(self) -> None:
        head, parts = decode(encode(header(3, closed=["s"]), {("rule a", "s asks"): ROWS, ("f", "s"): ROWS.clear()}))
        assert head == header(3, closed=["s"])
        assert_frame_equal(parts["rule a", "s asks"], ROWS)
        assert_frame_equal(parts["f", "s"], ROWS.clear())

    def test_may_hold_no_rows(self) -> None:
        assert decode(encode(header(0), {})) == (header(0), {})

    def test_are_cut_where_they_would_be_large_and_keep_the_order_of_rows(self) -> None:
        rows = pl.DataFrame({"n": range(10_000)})
        cuts = list(cut({("f", "s"): rows, ("g", "s"): rows.head(10)}, most=8_000))
        assert len(cuts) > 5
        assert_frame_equal(pl.concat(part["f", "s"] for part in cuts if ("f", "s") in part), rows)
        assert max(sum(frame.estimated_size() for frame in part.values()) for part in cuts) <= 9_000

    def test_of_somebody_else_are_refused(self) -> None:
        with pytest.raises(StateError, match="no packet of ours"):
            decode(b"\0\0\0\4null")


class TestUpstreams:
    def of(self) -> Upstreams:
        return Upstreams({"s": frozenset({"s/0", "s/1"})}, "v1", 2)

    def test_the_watermark_is_the_least_of_all_senders_also_of_those_not_heard_of(self) -> None:
        known = self.of()
        known.take(header(0, watermark=7))
        assert known.watermarks == {"s": BEGINNING}
        known.take(header(0, "s/1", watermark=5))
        assert known.watermarks == {"s": 5}

    def test_a_packet_counts_once(self) -> None:
        known = self.of()
        assert known.take(header(0, watermark=7))
        assert not known.take(header(0, watermark=7))
        assert known.take(header(1, watermark=8))

    def test_a_missing_packet_is_noticed(self) -> None:
        with pytest.raises(StateError, match="lost packets 0 to 1 of s/0"):
            self.of().take(header(2))

    def test_a_node_is_closed_when_all_its_senders_say_so(self) -> None:
        known = self.of()
        known.take(header(0, closed=["s"]))
        assert known.closed == set()
        known.take(header(0, "s/1", closed=["s"]))
        assert known.closed == {"s"}

    def test_another_topology_or_number_of_shards_is_refused(self) -> None:
        with pytest.raises(StateError, match="another topology"):
            Upstreams({}, "v2", 2).take(header(0))
        with pytest.raises(StateError, match="for 2 shards, not 3"):
            Upstreams({}, "v1", 3).take(header(0))


def store(table: dict[bytes, bytes], write: values.Write) -> None:
    table.update([*write.values.items(), write.head])
    for key in write.stale:
        del table[key]


class TestStatesAsValues:
    PLAIN = msgspec.json.encode({"end": 5})

    def keeper(self, name: str = "w", epoch: int = 0) -> values.Keeper:
        return values.Keeper(1, values.Owner(name, 1), epoch)

    def test_come_back_as_they_were(self) -> None:
        table: dict[bytes, bytes] = {}
        store(table, self.keeper().write({("state", "f"): ROWS, ("outbox", "0"): ROWS.clear()}, self.PLAIN))
        loaded = values.load(table, 1)
        assert loaded is not None
        assert bytes(loaded.head.plain) == self.PLAIN
        assert_frame_equal(loaded.frames["state", "f"], ROWS)
        assert values.load(table, 2) is None

    def test_what_has_not_changed_is_not_written_again(self) -> None:
        table: dict[bytes, bytes] = {}
        keeper, large = self.keeper(), pl.DataFrame({"n": range(100_000)})
        first = keeper.write({("a",): large, ("b",): ROWS}, self.PLAIN)
        store(table, first)
        second = keeper.write({("a",): large, ("b",): ROWS.head(1)}, self.PLAIN)
        store(table, second)
        assert second.size < first.size / 10
        loaded = values.load(table, 1)
        assert loaded is not None
        assert_frame_equal(loaded.frames["a",], large)
        assert_frame_equal(loaded.frames["b",], ROWS.head(1))

    def test_values_are_no_larger_than_a_message_may_be(self) -> None:
        noise = pl.DataFrame({"n": range(300_000)}).select(pl.col("n").hash())
        write = self.keeper().write({("a",): noise}, self.PLAIN)
        assert len(write.values) > 3
        assert max(map(len, write.values.values())) <= values.CHUNK_MOST

    def test_garbage_does_not_grow(self) -> None:
        table: dict[bytes, bytes] = {}
        keeper, kept = self.keeper(), pl.DataFrame({"n": range(1_000)})
        for number in range(50):
            store(table, keeper.write({("kept",): kept, ("hot",): kept.select(pl.col("n") * number)}, self.PLAIN))
        assert len(table) <= 4

    def test_a_commit_without_its_head_did_not_happen(self) -> None:
        table: dict[bytes, bytes] = {}
        keeper = self.keeper()
        store(table, keeper.write({("a",): ROWS}, self.PLAIN))
        table.update(keeper.write({("a",): ROWS.head(1)}, self.PLAIN).values)
        loaded = values.load(table, 1)
        assert loaded is not None
        assert_frame_equal(loaded.frames["a",], ROWS)

    def test_who_lost_the_partition_without_knowing_is_not_heard(self) -> None:
        table: dict[bytes, bytes] = {}
        before = self.keeper("before")
        store(table, before.write({("a",): ROWS}, self.PLAIN))
        after = values.Keeper(1, values.Owner("after", 2), 1, stale=values.keys_of(table, 1))
        store(table, after.write({("a",): ROWS.head(2)}, self.PLAIN))
        late = before.write({("a",): ROWS.head(1)}, self.PLAIN)
        table.update([*late.values.items(), late.head])
        for key in late.stale:
            table.pop(key, None)
        loaded = values.load(table, 1)
        assert loaded is not None
        assert loaded.owner == values.owner_of(table, 1) == "after"
        assert_frame_equal(loaded.frames["a",], ROWS.head(2))

    def test_a_program_that_spreads_keys_otherwise_does_not_go_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        table: dict[bytes, bytes] = {}
        store(table, self.keeper().write({("a",): ROWS}, self.PLAIN))
        monkeypatch.setattr(values, "HASH_VERSION", "another")
        with pytest.raises(StateError, match="this program by another"):
            values.load(table, 1)

    def test_a_part_that_is_missing_is_told(self) -> None:
        table: dict[bytes, bytes] = {}
        write = self.keeper().write({("a",): ROWS}, self.PLAIN)
        table.update([write.head])
        with pytest.raises(StateError, match="missing from the changelog"):
            values.load(table, 1)
