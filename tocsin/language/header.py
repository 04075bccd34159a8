"""The words of `topology`, the header."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.language.collections import Many
from tocsin.language.records import Record, word
from tocsin.language.scalars import INTEGER, NAME, TEXT, ZONE
from tocsin.language.shapes import Choice, Reading
from tocsin.language.text import NOWHERE, Text

if TYPE_CHECKING:
    from tocsin.errors import Mark

LANGUAGE = Choice("version of the language", ("1",), "bad-language")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """`topology`: what this file is called, and what holds for all of it."""

    name: Text = word("the name of the topology; part of every alert's id", shape=NAME, example="card")
    zone: Text = word(
        "IANA time zone of `at HH:MM`, `during` and parts of time",
        shape=ZONE,
        example="Asia/Shanghai",
        default=Text("UTC"),
    )
    uses: tuple[Text, ...] = word(
        "files read first, relative to this one; their streams, tables, features, rules and sinks are then known here, "
        "and their header holds where this one is silent, but for the name",
        shape=Many(TEXT),
        example="[telecom.yaml]",
        default=(),
    )
    min_group: int = word(
        "published counts of persons below this, but for 0, are suppressed", shape=INTEGER, example="10", default=0
    )
    language: Text = word("version of the language", shape=LANGUAGE, example="1", default=Text("1"))
    mark: Mark = NOWHERE


def _finish(values: dict[str, Any], _mark: Mark, reading: Reading) -> None:
    """Let the windows that follow know the zone."""
    reading.zone = str(values.get("zone", "UTC"))


HEADER = Record(Header, "the header", finish=_finish)
