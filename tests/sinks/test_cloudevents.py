"""Transitions as CloudEvents: what consumers rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transition_rows import frame, log, transition

from sinks import ndjson
from sinks.cloudevents import events
from tocsin.errors import SinkError
from tocsin.model.alert_events import HEADERS, MEANINGS
from tocsin.model.alerts import TRANSITIONS, Transition

if TYPE_CHECKING:
    import polars as pl

    from sinks.cloudevents import Event

LIMIT = 1_000_000


def single(batch: pl.DataFrame, limit: int = LIMIT) -> Event:
    (event,) = events(batch, limit)
    return event


def size(event: Event) -> int:
    return len(event.key) + len(event.value) + sum(len(name) + len(text.encode()) for name, text in event.headers)


class TestAttributes:
    """CloudEvents 1.0 in binary mode."""

    def test_the_headers_of_a_transition(self) -> None:
        event = single(frame(transition("a", 2, "clear", time=1_577_836_800_007)))
        assert dict(event.headers) == {
            "content-type": "application/json",
            "ce_specversion": "1.0",
            "ce_id": "a/2",
            "ce_source": "/tocsin/city/card-velocity",
            "ce_type": "tocsin.alert.cleared.v1",
            "ce_time": "2020-01-01T00:00:00.007Z",
            "ce_subject": '{"card":"a"}',
            "ce_dataschema": "urn:tocsin:contract:alert:v1",
        }
        assert event.key == b'{"card":"a"}'

    @pytest.mark.parametrize("kind", list(Transition))
    def test_each_kind_has_a_type(self, kind: Transition) -> None:
        assert dict(single(frame(transition("a", 1, kind=kind.value))).headers)["ce_type"] == f"tocsin.alert.{kind}.v1"

    def test_an_early_copy_is_an_event_of_its_own(self) -> None:
        early, truth = events(log("a1*", "a1"), LIMIT)
        assert (early.id, truth.id) == ("a/1/early", "a/1")
        assert dict(early.headers)["ce_early"] == "true"
        assert "ce_early" not in dict(truth.headers)

    def test_names_in_the_source_are_percent_encoded(self) -> None:
        event = single(frame(transition("a", 1, topology="a city", rule="夜/1")))
        assert dict(event.headers)["ce_source"] == "/tocsin/a%20city/%E5%A4%9C%2F1"

    def test_every_header_is_in_the_contract(self) -> None:
        made = events(frame(transition("a", 1, early=True, values='{"x":"' + "y" * 9000 + '"}')), 8192)
        assert [name for name, _ in next(made).headers] == list(HEADERS)

    def test_every_column_of_the_log_has_a_meaning_in_the_contract(self) -> None:
        assert list(MEANINGS) == list(TRANSITIONS)


class TestValues:
    """The JSON object of the transition log."""

    def test_the_value_is_the_line_of_the_file_sink(self) -> None:
        batch = log("a1", "b1", "b2-", "c1*")
        assert [event.value for event in events(batch, LIMIT)] == ndjson.encode(batch).splitlines()

    def test_no_rows_are_no_events(self) -> None:
        assert list(events(log(), LIMIT)) == []


class TestWhatIsTooLarge:
    """An alert that does not fit comes without its largest members; all that tells it apart stays."""

    def test_the_largest_member_is_left_out(self) -> None:
        event = single(frame(transition("a", 1, values='{"x":"' + "y" * 10_000_000 + '"}', says="z" * 5000)))
        assert dict(event.headers)["ce_shortened"] == "values"
        value = msgspec.json.decode(event.value)
        assert value["values"] is None
        assert value["says"] == "z" * 5000
        assert value["alert_id"] == "a"

    def test_its_neighbours_stay_whole(self) -> None:
        batch = frame(transition("a", 1), transition("b", 1, says="z" * 9000), transition("c", 1))
        lines = ndjson.encode(batch).splitlines()
        made = list(events(batch, 8192))
        assert [made[0].value, made[2].value] == [lines[0], lines[2]]
        assert [event.id for event in made] == ["a/1", "b/1", "c/1"]

    def test_a_fingerprint_that_does_not_fit_becomes_its_hash_the_same_each_time(self) -> None:
        entity = '{"card":"' + "x" * 9000 + '"}'
        first, second = events(frame(transition("a", 1, entity=entity), transition("b", 1, entity=entity)), 8192)
        assert first.key == second.key
        assert first.key.startswith(b"blake2b:")
        assert dict(first.headers)["ce_subject"].encode() == first.key
        assert msgspec.json.decode(first.value)["entity"] is None

    @given(
        sizes=st.fixed_dictionaries({name: st.integers(0, 20_000) for name in ("says", "runbook", "word", "label")}),
        evidence=st.integers(0, 300),
        limit=st.integers(4096, 40_000),
    )
    @settings(max_examples=40)
    def test_nothing_is_larger_than_the_limit(self, sizes: dict[str, int], evidence: int, limit: int) -> None:
        batch = frame(
            transition(
                "a",
                1,
                says="ü" * sizes["says"],
                runbook="\n" * sizes["runbook"],
                values='{"w":"' + "w" * sizes["word"] + '"}',
                entity='{"e":"' + "e" * sizes["label"] + '"}',
                evidence=[{"id": '"' * 20, "position": 1 << 60}] * evidence,
            )
        )
        event = single(batch, limit)
        assert size(event) <= limit
        assert msgspec.json.decode(event.value)["alert_id"] == "a"

    def test_a_limit_that_holds_no_alert_is_an_error(self) -> None:
        with pytest.raises(SinkError, match="at most 1000 bytes cannot hold alerts"):
            single(log("a1"), 1000)
