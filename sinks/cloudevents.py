"""Transitions as CloudEvents 1.0 in binary mode: attributes in headers, the JSON object of the transition as value.

Headers, ids and what is left out of a message that is too large stand in `tocsin.model.alert_events`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import polars as pl

from sinks import ndjson
from tocsin.errors import SinkError
from tocsin.model.alert_events import CONTENT_TYPE, DATASCHEMA, EARLY, IS_EARLY, SHORTENED, TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

Header = tuple[str, str]

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
    rows = _rendered(transitions)
    size = pl.col("value").str.len_bytes() + 2 * pl.col("entity").str.len_bytes() + _FRAME
    large = rows.select((size > limit).arg_true()).to_series().to_list()
    names = _sources(transitions)
    made = map(_event, *(rows[name].to_list() for name in rows.columns), [names] * rows.height)
    if not large:
        yield from made
        return
    for row, event in enumerate(made):
        yield event if row not in large else _shortened(transitions[row], limit)


def _rendered(transitions: pl.DataFrame) -> pl.DataFrame:
    return transitions.select(
        "alert_id",
        "sequence",
        "kind",
        "topology",
        "rule",
        "entity",
        pl.from_epoch("time", time_unit="ms").dt.to_string(ndjson.TIME_FORMAT).alias("time"),
        "early",
        ndjson.objects(transitions).alias("value"),
    ).with_columns(pl.col("entity").fill_null(""))


def _sources(transitions: pl.DataFrame) -> dict[tuple[str, str], str]:
    """Give the source of each topology and rule, as a relative URI reference."""
    pairs = transitions.select("topology", "rule").unique().rows()
    return {pair: "/".join(["/tocsin", *(quote(part, safe="") for part in pair)]) for pair in pairs}


def _event(  # noqa: PLR0913, PLR0917  # the columns of `_rendered`
    alert_id: str,
    sequence: int,
    kind: str,
    topology: str,
    rule: str,
    entity: str,
    time: str,
    early: bool,  # noqa: FBT001  # as above
    value: str,
    sources: dict[tuple[str, str], str],
) -> Event:
    event_id = f"{alert_id}/{sequence}/{EARLY}" if early else f"{alert_id}/{sequence}"
    headers = [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", "1.0"),
        ("ce_id", event_id),
        ("ce_source", sources[topology, rule]),
        ("ce_type", TYPES[kind]),
        ("ce_time", time),
        ("ce_subject", entity),
        ("ce_dataschema", DATASCHEMA),
    ]
    if early:
        headers.append((IS_EARLY, "true"))
    return Event(event_id, entity.encode(), value.encode(), headers, early)


def _shortened(row: pl.DataFrame, limit: int) -> Event:
    """Leave out members, the largest first, until the rest fits; a fingerprint that does not fit becomes its hash."""
    entity: str = row["entity"].fill_null("").item()
    gone: list[str] = []
    while (event := next(_fitting(row, entity, limit), None)) is None:
        left = [name for name in SHORTENED if name not in gone]
        if not left:
            raise SinkError(
                f"a topic whose messages have at most {limit} bytes cannot hold alerts: raise max.message.bytes"
            )
        sizes = row.select(_size(name) for name in left).row(0, named=True)
        name = max(left, key=lambda member: sizes[member])
        if name == "entity":
            entity = f"blake2b:{blake2b(entity.encode(), digest_size=16).hexdigest()}"
        row = row.with_columns(pl.lit(None, dtype=row.schema[name]).alias(name))
        gone.append(name)
    return event._replace(headers=[*event.headers, ("ce_shortened", " ".join(gone))])


def _fitting(row: pl.DataFrame, entity: str, limit: int) -> Iterator[Event]:
    """Give the message of a row under another name of its fingerprint, if it fits."""
    rendered = _rendered(row)
    size = rendered.select(pl.col("value").str.len_bytes()).item() + 2 * len(entity.encode()) + _FRAME
    if size <= limit:
        named = rendered.with_columns(pl.lit(entity).alias("entity"))
        yield next(map(_event, *(named[name].to_list() for name in named.columns), [_sources(row)]))


def _size(name: str) -> pl.Expr:
    """Give the bytes of a member, nearly; the entity is in a message three times."""
    if name == "evidence":
        return pl.col(name).list.eval(pl.element().struct.field("id").str.len_bytes().fill_null(0) + 40).list.sum()
    return pl.col(name).str.len_bytes().fill_null(0) * (3 if name == "entity" else 1)
