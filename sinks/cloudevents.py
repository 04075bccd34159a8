"""Transitions as CloudEvents 1.0 in binary mode: attributes in headers, the JSON object of the transition as value.

Headers, ids and what is left out of a message that is too large stand in `tocsin.model.alert_events`.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import polars as pl

from sinks import ndjson
from tocsin.errors import SinkError
from tocsin.model.alert_events import CONTENT_TYPE, DATASCHEMA, EARLY, IS_EARLY, SHORTENED, TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Header = tuple[str, str]

_READ = ("alert_id", "sequence", "kind", "topology", "rule", "early")
_FRAME = 2048
"""Bytes of a message beside value, key and subject, rounded up: the other headers, lengths, the head of a batch."""


class Event(NamedTuple):
    """One message."""

    id: str
    key: bytes
    value: bytes
    headers: list[Header]
    early: bool


def events(transitions: pl.DataFrame, limit: int) -> Iterator[Event]:
    """Give the messages of transitions, none of more than `limit` bytes; SinkError if that is too few for any."""
    subjects = [entity or "" for entity in transitions.get_column("entity").to_list()]
    for row, event in enumerate(_made(transitions, subjects)):
        yield event if _bytes(event) <= limit else _shortened(transitions[row], subjects[row], limit)


def _made(transitions: pl.DataFrame, subjects: Iterable[str]) -> Iterator[Event]:
    """Give the messages of transitions, however large; `subjects`: what each is about."""
    columns = [transitions.get_column(name).to_list() for name in _READ]
    times = transitions.select(ndjson.TIME_TEXT).to_series().to_list()
    return map(_event, *columns, subjects, times, ndjson.objects(transitions).to_list())


def _bytes(event: Event) -> int:
    return len(event.value) + 2 * len(event.key) + _FRAME


@lru_cache
def _source(topology: str, rule: str) -> str:
    """Give the source of a rule's transitions, as a relative URI reference."""
    return f"/tocsin/{quote(topology, safe='')}/{quote(rule, safe='')}"


def _event(  # noqa: PLR0913, PLR0917  # _READ, and what `_made` adds
    alert_id: str,
    sequence: int,
    kind: str,
    topology: str,
    rule: str,
    early: bool,  # noqa: FBT001  # as above
    subject: str,
    time: str,
    value: str,
) -> Event:
    event_id = f"{alert_id}/{sequence}/{EARLY}" if early else f"{alert_id}/{sequence}"
    headers = [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", "1.0"),
        ("ce_id", event_id),
        ("ce_source", _source(topology, rule)),
        ("ce_type", TYPES[kind]),
        ("ce_time", time),
        ("ce_subject", subject),
        ("ce_dataschema", DATASCHEMA),
    ]
    if early:
        headers.append((IS_EARLY, "true"))
    return Event(event_id, subject.encode(), value.encode(), headers, early)


def _shortened(row: pl.DataFrame, subject: str, limit: int) -> Event:
    """Leave out members, the largest first, until the rest fits; a fingerprint that does not fit becomes its hash."""
    gone: list[str] = []
    while _bytes(event := next(_made(row, [subject]))) > limit:
        left = [name for name in SHORTENED if name not in gone]
        if not left:
            raise SinkError(
                f"a topic whose messages have at most {limit} bytes cannot hold alerts: raise max.message.bytes"
            )
        sizes = row.select(_size(name) for name in left).row(0, named=True)
        name = max(left, key=lambda member: sizes[member])
        if name == "entity":
            subject = f"blake2b:{blake2b(subject.encode(), digest_size=16).hexdigest()}"
        row = row.with_columns(pl.lit(None, dtype=row.schema[name]).alias(name))
        gone.append(name)
    return event._replace(headers=[*event.headers, ("ce_shortened", " ".join(gone))])


def _size(name: str) -> pl.Expr:
    """Give the bytes of a member, nearly; the entity is in a message three times."""
    if name == "evidence":
        return pl.col(name).list.eval(pl.element().struct.field("id").str.len_bytes().fill_null(0) + 40).list.sum()
    return pl.col(name).str.len_bytes().fill_null(0) * (3 if name == "entity" else 1)
