"""From messages of one partition, as librdkafka gives them, to the raw batch that the one decoder takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from confluent_kafka import Message

from streams.codecs.reasons import Dead, Reason
from streams.sources.contract import KEPT_MOST, RECORD_MOST, Records

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_TIMESTAMP = 0
"""The type of timestamp of a message that has none."""


def records_of(messages: Sequence[Message]) -> Records:
    """Give consecutive messages of a partition, at least one, none of them an error; see `joined`."""
    values = cast("list[bytes | None]", list(map(Message.value, messages)))
    first, last = cast("int", messages[0].offset()), cast("int", messages[-1].offset())
    whole = last - first == len(messages) - 1  # else transactions or compaction left gaps
    offsets = range(first, last + 1) if whole else cast("list[int]", list(map(Message.offset, messages)))
    return joined(values, offsets, stamps_of(messages), list(map(Message.key, messages)))


def joined(
    values: Sequence[bytes | None],
    offsets: Sequence[int],
    ingested: Sequence[int | None] | None,
    keys: Sequence[bytes | None],
) -> Records:
    """Join the values of consecutive messages of a partition, at least one.

    A tombstone or an empty value is a dead letter, and so is a value of more than RECORD_MOST bytes: a blank line
    stands in its place. Keys are kept with the batch, for those that die later. `ingested`: ms since the epoch.
    """
    dead: tuple[Dead, ...] = ()
    if not all(values) or max(map(len, cast("Sequence[bytes]", values))) > RECORD_MOST:
        bad = [not value or len(value) > RECORD_MOST for value in values]
        dead = tuple(
            _dead(value, at)._replace(key=key)
            for value, at, key, is_bad in zip(values, offsets, keys, bad, strict=True)
            if is_bad
        )
        values = [b"" if is_bad else value for value, is_bad in zip(values, bad, strict=True)]
    return Records.of(cast("Sequence[bytes]", values), offsets, ingested, dead=dead, key_of=keys.__getitem__)


def stamps_of(messages: Sequence[Message]) -> list[int | None]:
    """Give the timestamps of messages, ms since the epoch; None where one has none."""
    return [at if kind != NO_TIMESTAMP else None for kind, at in map(Message.timestamp, messages)]


def _dead(value: bytes | None, offset: int) -> Dead:
    if value is None:
        return Dead(
            offset, Reason.TOMBSTONE, "", "a message without a value, which deletes from tables only", None, b""
        )
    if not value:
        return Dead(offset, Reason.EMPTY, "", "a message of no bytes", None, b"")
    detail = f"{len(value)} bytes, the limit is {RECORD_MOST}; the first {KEPT_MOST} are kept"
    return Dead(offset, Reason.TOO_LONG, "", detail, None, value[:KEPT_MOST])
