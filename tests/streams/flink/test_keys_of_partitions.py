"""Subtasks tell which keys their partitions hold, and one of two partitions is found wherever these are read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from streams.flink.hosting import Hosting
from streams.tasks.key_check import KeyCheck, Told
from tests.streams.faust.shop_runs import TOPOLOGY, UNTIL, records
from tests.streams.flink.subtasks import MapState, order_of, pack
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from streams.flink.order import Order

pytestmark = pytest.mark.usefixtures("without_broker")
CARDS = sorted({card for card, _ in records()})


def order(folder: Path, text: str = TOPOLOGY) -> Order:
    return order_of(text, folder, 2, 2)


class Subtask:
    """Reads one partition."""

    def __init__(self, order: Order, partition: int) -> None:
        self.now = 100.0
        self.hosting = Hosting(order, lambda _: None, lambda: self.now)
        self.kept = self.hosting.keeping.of(order.keys[f"payments/{partition}"], MapState())

    def take(self, cards: Sequence[str]) -> None:
        """Take the records of cards."""
        lines = [line for card, line in records() if card in cards]
        count = len(lines)
        self.hosting.take(self.kept, pack(lines, np.arange(count), np.full(count, UNTIL), [None] * count))
        for _ in self.hosting.settle(self.kept):
            """What leaves goes nowhere."""

    def told(self, seconds: float = 1.0) -> Told:
        """Let time pass; give what it tells then."""
        self.now += seconds
        return self.hosting.told_keys()


def test_a_card_in_two_partitions_is_found_and_told_what_to_do(tmp_path: Path) -> None:
    told = order(tmp_path)
    one, other, listener = Subtask(told, 0), Subtask(told, 1), KeyCheck.of(told.layout)
    one.take(CARDS[:20])
    other.take(CARDS[19:40])
    listener.hear(one.told())
    with pytest.raises(SourceError) as refused:
        listener.hear(other.told())
    assert "partitioned_by card, but one card has records in the partitions 0 and 1" in str(refused.value)
    assert str(refused.value).endswith("begin anew with another --state")


def test_cards_that_each_have_one_are_no_error(tmp_path: Path) -> None:
    told = order(tmp_path)
    one, other, listener = Subtask(told, 0), Subtask(told, 1), KeyCheck.of(told.layout)
    one.take(CARDS[:20])
    other.take(CARDS[20:])
    for _ in range(3):
        for subtask in (one, other):
            keys = subtask.told()
            assert keys
            listener.hear(keys)


def test_they_are_told_now_and_then(tmp_path: Path) -> None:
    subtask = Subtask(order(tmp_path), 0)
    subtask.take(CARDS[:3])
    assert [(stream, partition, len(keys)) for stream, partition, keys in subtask.told()] == [("payments", 0, 3)]
    assert subtask.told(0.5) == []
    assert subtask.told(0.5)


def test_of_a_stream_that_is_cut_otherwise_nothing_is(tmp_path: Path) -> None:
    subtask = Subtask(order(tmp_path, TOPOLOGY.replace("    partitioned_by: card\n", "")), 0)
    subtask.take(CARDS[:3])
    assert subtask.told() == []


def test_a_subtask_says_them_to_whoever_compares_them_when_its_tasks_are_looked_at(tmp_path: Path) -> None:
    functions = pytest.importorskip("streams.flink.functions", reason="the runtime flink is an extra")
    told = order(tmp_path)
    subtask, function = Subtask(told, 0), functions.TaskFunction(told, {}, early=False)
    function._hosting, function._state = subtask.hosting, {}  # as `open` does
    timers = SimpleNamespace(current_processing_time=lambda: 1_000, register_processing_time_timer=lambda _: None)
    ctx = SimpleNamespace(get_current_key=lambda: told.keys["payments/0"], timer_service=lambda: timers)
    list(function.process_element(b"", ctx))
    subtask.take(CARDS[:3])
    subtask.now += 1.0
    said = [row for tag, row in function.on_timer(functions.LOOK_MS, ctx) if tag is functions.DELIVERED]
    assert [row[0] for row in said] == [functions.KEYS]
    assert "payments" in said[0][1].decode()


def test_whoever_serves_the_sinks_compares_them_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = pytest.importorskip("streams.flink.functions", reason="the runtime flink is an extra")
    said: list[Exception] = []
    monkeypatch.setattr(functions, "refuse", lambda _servers, _topic, _run, error: said.append(error))
    monkeypatch.setattr(functions, "before_commit", lambda *_: None)
    monkeypatch.setattr(functions, "Reporter", SimpleNamespace(of=lambda *_: None))
    told = order(tmp_path)
    one, other = Subtask(told, 0), Subtask(told, 1)
    one.take(CARDS[:5])
    other.take(CARDS[4:9])
    sinks = functions.SinkFunction(told)
    sinks.open(SimpleNamespace(_keyed_state_backend=None))
    given = SimpleNamespace(get_current_key=lambda: functions.KEYS)
    assert list(sinks.process_element(msgspec.json.encode(one.told()), given)) == []
    with pytest.raises(SourceError):
        list(sinks.process_element(msgspec.json.encode(other.told()), given))
    assert "in the partitions 0 and 1" in str(said[0])
