"""The standard job, from Parquet and from NDJSON, beside a plain loop; both must find the same alerts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from bench.events import Load
from bench.job import Job, alerts_of, measure
from bench.peer import Alert, Ran, loop
from bench.rows import Row
from bench.topologies import STANDARD_MOST, standard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.context import Bench

PARQUET_EVENTS, NDJSON_EVENTS = 10_000_000, 3_000_000
PARQUET_LEAST, NDJSON_LEAST = 3.0e6, 0.8e6
PEER = "plain loop"


class WrongError(Exception):
    """A run gave other alerts than the plain loop did."""


class _Values(msgspec.Struct):
    total: float = 0.0


class _Line(msgspec.Struct):
    kind: str
    time: str
    entity: dict[str, str]
    values: _Values
    says: str


def rows(bench: Bench) -> Iterator[Row]:
    """Give the rows: the loop, then the runtime over the same lines, then over more events in columns."""
    load = Load(bench.sized(NDJSON_EVENTS))
    lines = bench.events(load, "ndjson")
    ran = loop(lines, STANDARD_MOST, bench.folder / "peer.ndjson")
    pace = ran.records / ran.seconds
    yield Row(PEER, pace, "events/s", ratio=1.0, base=PEER, cpu=ran.cpu, note=f"{len(ran.alerts)} alerts")
    yield _measured(bench, "standard, NDJSON", f"ndjson:{lines}", NDJSON_LEAST, ran)
    same = f"parquet:{bench.events(load, 'parquet')}"
    yield _measured(bench, "standard, Parquet, as many", same, None, ran)
    many = bench.events(Load(bench.sized(PARQUET_EVENTS)), "parquet")
    yield _measured(bench, "standard, Parquet", f"parquet:{many}", PARQUET_LEAST, ran, compare=False)
    bench.forget()


def _measured(bench: Bench, name: str, uri: str, least: float | None, peer: Ran, *, compare: bool = True) -> Row:
    job = bench.job(bench.topology(standard()), payments=uri)
    report = measure(job)
    if compare:
        _compare(job, peer)
    elif not report.transitions:
        raise WrongError(f"{name}: no alert at all")
    ratio = report.rate / (peer.records / peer.seconds)
    note = f"{report.transitions} alerts{', the same as the loop' if compare else ''}"
    return Row(name, report.rate, "events/s", least, ratio=ratio, base=PEER, cpu=report.cpu, note=note)


def _compare(job: Job, peer: Ran) -> None:
    found = alerts(alerts_of(job))
    if found == peer.alerts:
        return
    only = sorted(set(found) ^ set(peer.alerts))[:3]
    raise WrongError(f"the runtime found {len(found)} alerts, the loop {len(peer.alerts)}; they differ in {only}")


def alerts(path: Path) -> list[Alert]:
    """Read the alerts of a run as the loop tells them."""
    lines = msgspec.json.Decoder(_Line).decode_lines(path.read_bytes())
    return sorted(_alert(line) for line in lines if line.kind in {"raised", "cleared"})


def _alert(line: _Line) -> Alert:
    time = milliseconds(line.time)
    if line.kind == "cleared":
        return Alert(time, line.entity["key"], line.kind)
    return Alert(time, line.entity["key"], line.kind, int(line.says.split()[0]), round(line.values.total * 100))


def milliseconds(text: str) -> int:
    """Give the ms since the epoch of a time in ISO 8601."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
