"""`console`: transitions as lines for people, coloured on a terminal and plain elsewhere.

    2026-11-22 03:51:16Z  RED     raised         card-velocity  card=p:3f…  Card p:3f… paid 14 times in 10 minutes
    2026-11-22 04:10:00Z  clear   cleared        card-velocity  card=p:3f…  (reset)

Early copies are marked `early`. A console remembers nothing: after a crash lines may appear twice.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from sinks.contract import Sink
from sinks.storage import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from rich.console import Console

STYLES: Mapping[str, str] = {"red": "bold red", "orange": "dark_orange", "yellow": "yellow", "blue": "blue"}
"""Colour by level; what has no entry stays as the terminal writes."""

_TIME = "%Y-%m-%d %H:%M:%SZ"
_SHOWN = ("kind", "level", "rule", "entity", "says", "reason", "early")
_FIELDS = msgspec.json.Decoder(dict[str, object])
_TEXTS = msgspec.json.Decoder(dict[str, str])


class ConsoleSink(Sink):
    """Writes to `stream` (standard output); `language` chooses among the languages of `says`."""

    def __init__(self, stream: TextIO | None = None, language: str = "en") -> None:
        self._stream = stream or sys.stdout
        self._language = language
        self._rich: Console | None = None

    def open(self, bookmark: str = "") -> None:
        """Find out whether a person is looking."""
        del bookmark  # what was written on a screen cannot be asked for
        if self._stream.isatty():
            from rich.console import Console  # noqa: PLC0415  # not loaded for pipes and files

            self._rich = Console(file=self._stream, highlight=False, soft_wrap=True)

    def deliver(self, batch: pl.DataFrame) -> None:
        """Write a line per transition."""
        time = pl.from_epoch("time", time_unit="ms").dt.to_string(_TIME)
        try:
            for row in batch.select(*_SHOWN, time.alias("time")).iter_rows(named=True):
                self._write(line(row, self._language), row)
            self._stream.flush()
        except OSError as error:
            raise refusal("the console", error) from error

    def close(self) -> None:
        """Leave the stream open: it is not ours."""
        self._rich = None

    def _write(self, text: str, row: Mapping[str, object]) -> None:
        if self._rich is None:
            self._stream.write(text + "\n")
        else:
            style = "dim" if row["early"] else STYLES.get(str(row["level"]), "")
            self._rich.print(text, style=style, markup=False)


def line(row: Mapping[str, object], language: str = "en") -> str:
    """Give the line of a transition; its `time` is text by now."""
    level = str(row["level"])
    shown = level if level == "clear" else level.upper()
    kind = f"{row['kind']}{' early' if row['early'] else ''}"
    who = entity(str(row["entity"]))
    return _one_line(f"{row['time']}  {shown:<6}  {kind:<13}  {row['rule']}  {who}  {_told(row, language)}")


def entity(text: str) -> str:
    """Give a fingerprint, canonical JSON, as people read it: `card=p:3f, terminal=7`."""
    fields = _FIELDS.decode(text) if text else {}
    return ", ".join(f"{name}={value}" for name, value in fields.items()) or "-"


def sentence(says: str, language: str) -> str:
    """Give the sentence of a language; the first one there is, if it has none in that language."""
    try:
        by_language = _TEXTS.decode(says)
    except msgspec.DecodeError:
        return says
    return by_language.get(language) or next(iter(by_language.values()), "")


def _told(row: Mapping[str, object], language: str) -> str:
    if row["kind"] == "cleared":
        return f"({row['reason']})"
    return sentence(str(row["says"] or ""), language)


def _one_line(text: str) -> str:
    """Keep what came from events from moving the cursor: no control character reaches a terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
