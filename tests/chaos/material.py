"""The data of the cases: records with their event time, moment of arrival and key; and the topology for them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping  # noqa: TC003  # dataclass fields
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from streams.simulator import generate

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[2]
REAL: Final = Path(os.environ.get("TOCSIN_DATA", ROOT.parent / "shared" / "data"))
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
PLAUSIBLE: Final = (0, 4_102_444_800_000)
"""1970 to 2100, in ms (semantics 4)."""
_TIME = re.compile(r"(time: \{field: \w+, lateness: \w+)(, idle: \w+)?")


class Absent(Exception):
    """Real data is not here."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Records of one stream.

    `rows`: `at` (Int64 ms, null where the record has no plausible time), `arrival` (Int64 ms), `key` (its `by`, as the
    text of a message key) and `line` (JSON), in the order of arrival. `lateness` in ms. `time`, `id`: fields; id may be
    "". `by`: the field that partitions are cut by.
    """

    rows: pl.DataFrame
    time: str
    id: str
    by: str
    lateness: int

    def late(self, rows: pl.DataFrame) -> int:
        """Count records that would be late if one partition had them in this order (semantics 2)."""
        before = pl.col("at").cum_max().forward_fill().shift(1)
        return int(rows.select((pl.col("at") <= before - self.lateness - 1).sum()).item())

    def closing(self, number: int, after: int, *, suits: Callable[[str], bool]) -> tuple[str, str]:
        """Give key and line of a record that comes after everything, so that its partition is over.

        `suits`: whether records of a key may lie in that partition.
        """
        record = json.loads(self.rows.drop_nulls("at")["line"][-1])
        record[self.time] = after
        if self.id:
            record[self.id] = _named_so(record[self.id], number)
        keys = (_named_so(record[self.by], at) for at in count())
        record[self.by] = next(key for key in keys if suits(str(key)))
        return str(record[self.by]), json.dumps(record)


@dataclass(frozen=True, slots=True)
class Material:
    """Streams and tables (rows as JSON) of a topology.

    `until`: where the run ends, ms. `before`: the part of the records after which alerts have been raised.
    """

    topology: str
    streams: Mapping[str, Stream]
    tables: Mapping[str, tuple[str, ...]]
    until: int
    before: float = 0.4

    def write_topology(self, folder: Path, *, idle: str, direct: bool) -> Path:
        """Copy the shipped topology, with another `idle`, and with what streams are partitioned by if it is direct."""
        (folder / "topologies").mkdir(parents=True, exist_ok=True)
        for file in (ROOT / "topology.yaml", *(ROOT / "topologies").glob("*.yaml")):
            text = _TIME.sub(rf"\1, idle: {idle}", file.read_text(encoding="utf-8"))
            if direct:
                for name, stream in self.streams.items():
                    text = _partitioned(text, name, stream.by)
            (folder / file.relative_to(ROOT)).write_text(text, encoding="utf-8")
        return folder / self.topology


def _named_so(like: int | str, number: int) -> int | str:
    """Give a value that no record of the data has."""
    return 10**9 + number if isinstance(like, int) else f"closing {number}"


def _partitioned(text: str, stream: str, by: str) -> str:
    """Insert `partitioned_by` behind the name of a stream, in the section of streams."""
    head, section, rest = text.partition("\nstreams:\n")
    name = re.compile(rf"^(  {stream}:\s*(?:#.*)?)$", re.MULTILINE)
    return head + section + name.sub(rf"\1\n    partitioned_by: {by}", rest, count=1)


def load(name: str) -> Material:
    """Give the data of that name; Absent if it is not on this machine."""
    return {"city": city, "payments": payments, "signaling": signaling}[name]()


@cache
def city() -> Material:
    """Two hours of a small city, in which every shipped rule has something to say."""
    simulation = generate("city", 1, scale=0.02)
    lateness = {"calls": 10 * SECOND, "signaling": MINUTE, "payments": 5 * SECOND, "meters": 5 * MINUTE}
    ids = {"calls": "call_id", "signaling": "event_id", "payments": "payment_id", "meters": "reading_id"}
    by = {"calls": "callee", "signaling": "subscriber", "payments": "card", "meters": "venue"}
    streams = {
        name: Stream(
            _rows(rows, _moments(rows["at"]), simulation.arrivals[name], by[name]), "at", ids[name], by[name], late
        )
        for (name, rows), late in zip(simulation.streams.items(), map(lateness.get, simulation.streams), strict=True)
        if late is not None
    }
    tables = {name: tuple(_lines(rows)) for name, rows in simulation.tables.items()}
    last = max(max(stream.rows["at"].drop_nulls().to_list()) for stream in streams.values())
    return Material("topology.yaml", streams, tables, last // MINUTE * MINUTE)


@cache
def payments() -> Material:
    """Forty days of one card holder in 25."""
    rows = pl.read_parquet(_real("transactions/transactions.parquet")).filter(
        pl.col("customer_id") % 25 == 7, pl.col("event_time") < pl.datetime(2018, 5, 10)
    )
    rows = rows.with_columns(pl.col("event_time").dt.epoch("ms")).sort("event_time", "transaction_id")
    at = rows["event_time"]
    made = _rows(rows, at, at, "customer_id")
    stream = Stream(made, "event_time", "transaction_id", "customer_id", MINUTE)
    return Material("topologies/payments.yaml", {"transactions": stream}, {}, int(at[-1]) + HOUR)


@cache
def signaling() -> Material:
    """A day of mobile sessions, which are written when they end; long ones before they would be late."""
    begin = pl.datetime(2015, 8, 3)
    rows = pl.read_parquet(_real("signaling/sessions_2015_08.parquet")).filter(
        pl.col("start") >= begin, pl.col("start") < begin + pl.duration(days=1)
    )
    rows = rows.with_columns(pl.col("start", "end").dt.epoch("ms"))
    arrival = rows.select(pl.min_horizontal("end", pl.col("start") + 50 * MINUTE)).to_series()
    stream = Stream(_rows(rows, rows["start"], arrival, "subscriber"), "start", "", "subscriber", HOUR)
    until = max(rows["start"].to_list()) + HOUR
    return Material("topologies/signaling.yaml", {"sessions": stream}, {}, until, before=0.7)


def _real(path: str) -> Path:
    if not (REAL / path).exists():
        raise Absent(path)
    return REAL / path


def _rows(records: pl.DataFrame, at: pl.Series, arrival: pl.Series, by: str) -> pl.DataFrame:
    columns = [at.alias("at"), arrival.cast(pl.Int64).alias("arrival"), records[by].cast(pl.String).alias("key")]
    rows = pl.DataFrame([*columns, pl.Series("line", _lines(records))])
    plausible = pl.when(pl.col("at").is_between(*PLAUSIBLE)).then("at")
    return rows.with_columns(plausible).sort("arrival", maintain_order=True)


def _lines(records: pl.DataFrame) -> list[str]:
    return records.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()


def _moments(times: pl.Series) -> pl.Series:
    """Give ms since the epoch; null for what is no time."""
    if times.dtype.is_integer():
        return times
    return times.str.to_datetime("%+", time_unit="ms", time_zone="UTC", strict=False).dt.epoch("ms")
