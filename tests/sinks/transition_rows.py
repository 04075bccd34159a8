"""Transitions for tests: short to write, complete as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from sinks.contract import Sink
from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KINDS = {"clear": "cleared"}
BASE = 1_577_836_800_000
"""2020-01-01T00:00:00Z in ms."""


def transition(alert_id: str, sequence: int, level: str = "red", **changes: object) -> dict[str, object]:
    """Give a transition; `sequence` seconds after BASE."""
    return {
        "alert_id": alert_id,
        "sequence": sequence,
        "kind": KINDS.get(level, "raised" if sequence == 1 else "level_changed"),
        "level": level,
        "time": BASE + sequence * 1000,
        "topology": "city",
        "rule": "card-velocity",
        "rule_version": "v1",
        "entity": f'{{"card":"{alert_id}"}}',
        "values": '{"amount":12.30,"parameters":{"limit":{"value":5}}}',
        "evidence": [{"id": "e1", "position": 1 << 48}],
        "says": "Card paid often",
        "labels": '{"team":"fraud"}',
        "runbook": "https://example.org/velocity",
        "reason": "reset" if level == "clear" else "",
        "early": False,
    } | changes


def frame(*rows: Mapping[str, object]) -> pl.DataFrame:
    """Give a batch of the transition log."""
    return pl.DataFrame(list(rows), schema=TRANSITIONS, orient="row")


def log(*names: str) -> pl.DataFrame:
    """Give a batch from names: `a1` is transition 1 of alert a, at red; `a3-` clears it; `a1*` is an early copy."""
    return frame(*(_named(name) for name in names))


def names(batch: pl.DataFrame) -> list[str]:
    """Give the names of a batch's rows, as `log` takes them."""
    marks = {("clear", False): "-", ("red", True): "*"}
    return [
        f"{row['alert_id']}{row['sequence']}{marks.get((row['level'], row['early']), '')}"
        for row in batch.iter_rows(named=True)
    ]


def _named(name: str) -> dict[str, object]:
    level = "clear" if name.endswith("-") else "red"
    return transition(name[0], int(name[1:].rstrip("-*")), level, early=name.endswith("*"))


def bring(sink: Sink, *batches: pl.DataFrame, bookmark: str = "") -> str:
    """Open a sink, deliver batches and close it, as a start of a run does; give the bookmark."""
    try:
        sink.open(bookmark)
        for batch in batches:
            sink.deliver(batch)
        return sink.bookmark
    finally:
        sink.close()


class MemorySink(Sink):
    """Keeps batches; raises what `troubles` gives, one per call of `deliver`, None for none."""

    def __init__(self, troubles: Iterable[Exception | None] = (), *, refuses: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.opened_with: list[str] = []
        self.closed = 0
        self._troubles = iter(troubles)
        self.refuses = refuses

    @property
    def bookmark(self) -> str:
        """How many batches there are."""
        return str(len(self.batches))

    @property
    def rows(self) -> list[str]:
        """The names of all transitions."""
        return [name for batch in self.batches for name in batch]

    def open(self, bookmark: str = "") -> None:
        """Open, or refuse."""
        if self.refuses is not None:
            raise self.refuses
        self.opened_with.append(bookmark)

    def deliver(self, batch: pl.DataFrame) -> None:
        """Keep a batch, or raise."""
        if (trouble := next(self._troubles, None)) is not None:
            raise trouble
        self.batches.append(names(batch))

    def close(self) -> None:
        """Count."""
        self.closed += 1
