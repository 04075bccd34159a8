"""Why a record is a dead letter: one word each, the same in every host (semantics 21)."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """The reasons; a failing check is spelled `check: name` instead."""

    BAD_JSON = "bad-json"
    BAD_CSV = "bad-csv"
    BAD_AVRO = "bad-avro"
    INVALID_UTF8 = "invalid-utf8"
    TRUNCATED = "truncated"
    TOO_LONG = "too-long"
    TOMBSTONE = "tombstone"
    EMPTY = "empty"
    MISSING = "missing"
    WRONG_TYPE = "wrong-type"
    NOT_FINITE = "not-finite"
    DOES_NOT_FIT = "does-not-fit"
    OUT_OF_RANGE = "out-of-range"
    TIME_OUT_OF_RANGE = "time-out-of-range"
    TIME_AHEAD = "time-ahead"


class Bad(Exception):
    """A value or record cannot be taken: why, and what stood there; it never leaves the codecs."""

    def __init__(self, reason: Reason, detail: str, field: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.field = field


class Dead(NamedTuple):
    """One record that is not taken.

    `time`: its event time in ms if that decodes and is plausible, since it moves the watermark all the same
    (semantics 2). `raw`: the record's bytes, or the JSON of its columns where the source is columnar. `key`: of the
    message, where records come as messages with keys.
    """

    offset: int
    reason: str
    field: str
    detail: str
    time: int | None
    raw: bytes
    key: bytes | None = None


DETAIL_MOST = 200
"""Characters of a value that a dead letter's detail repeats."""


def shown(value: object) -> str:
    """Give a value as a detail shows it: its Python form, cut."""
    text = repr(value)
    return text if len(text) <= DETAIL_MOST else text[:DETAIL_MOST] + "…"
