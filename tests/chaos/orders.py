"""In which order records come: all streams together, by arrival."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import polars as pl

if TYPE_CHECKING:
    import random

    from tests.chaos.cases import Case
    from tests.chaos.material import Material, Stream

COPIED = 0.05
"""The part of the records that comes twice."""
WITHIN = 0.9
"""How much of the lateness disorder takes up."""


class Record(NamedTuple):
    """A record on its way. `partition` is that of its topic."""

    stream: str
    partition: int
    key: str | None
    line: str


def ordered(material: Material, case: Case) -> list[Record]:
    """Give all records of a case in the order in which they come; none of them is late."""
    parts = []
    for name, stream in material.streams.items():
        rows = _of_stream(stream, case)
        assert stream.late(rows) == 0, (name, case.order)
        parts.append(rows.with_columns(_partitions(rows, case), stream=pl.lit(name)))
    merged = pl.concat(parts).sort("arrival", maintain_order=True)
    return [Record(*row) for row in merged.select("stream", "partition", "key", "line").iter_rows()]


def closing(material: Material, case: Case) -> list[Record]:
    """Give a record for every partition that is not silent, later than everything."""
    after = material.until + 2 * 3_600_000 + max(stream.lateness for stream in material.streams.values())
    heard = _heard(case)
    return [
        Record(name, number, *stream.closing(number, after, suits=lambda key: _place(key, heard) == number))  # noqa: B023  # called here
        for name, stream in material.streams.items()
        for number in range(heard)
    ]


def _of_stream(stream: Stream, case: Case) -> pl.DataFrame:
    dice = case.dice("order")
    if case.order == "shuffled":
        return _again(stream.rows, _disorder(stream, stream.rows, dice))
    if case.order == "doubled":
        chosen = sorted(dice.sample(range(stream.rows.height), int(COPIED * stream.rows.height)))
        copies = stream.rows[chosen]
        arrival = pl.max_horizontal("arrival", _disorder(stream, copies, dice))
        return pl.concat([stream.rows, copies.with_columns(arrival=arrival)]).sort("arrival", maintain_order=True)
    return stream.rows


def _again(rows: pl.DataFrame, arrival: pl.Series) -> pl.DataFrame:
    return rows.with_columns(arrival=arrival.fill_null(rows["arrival"])).sort("arrival", maintain_order=True)


def _disorder(stream: Stream, rows: pl.DataFrame, dice: random.Random) -> pl.Series:
    """Give moments of arrival at random, up to WITHIN of the lateness after the event time."""
    most = int(WITHIN * stream.lateness)
    return rows["at"] + pl.Series([dice.randint(0, most) for _ in range(rows.height)])


def _heard(case: Case) -> int:
    """How many partitions of a topic have records; files have one."""
    return max(1, case.host.partitions - (case.order == "silent"))


def _partitions(rows: pl.DataFrame, case: Case) -> pl.Series:
    """By key where streams say so, else by turns of seven records."""
    heard = _heard(case)
    if case.host.direct:
        return pl.Series("partition", [_place(key, heard) for key in rows["key"]])
    return (pl.int_range(rows.height, eager=True) // 7 % heard).alias("partition")


def _place(key: str | None, heard: int) -> int:
    return crc32((key or "").encode()) % heard
