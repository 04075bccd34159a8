"""Runs in this process: a topology as text, records as dictionaries, what the runner gave."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from monitoring.metrics import MemoryMetrics
from sinks.ndjson import decode
from streams.local.runner import Settings
from streams.local.running import Order, carry_out
from tocsin.compiler import compile_topology
from tocsin.language import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from streams.local.runner import Summary

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
BEGIN = 1_772_442_000_000
"""2026-03-02 09:00 UTC."""

DOORS = """
topology: {name: doors}
streams:
  entries:
    topic: house.entry.v1
    id: id
    time: {field: at, lateness: 10s}
    fields: {id: string, at: timestamp, door: string, people: int64}
  alarms:
    topic: house.alarm.v1
    id: id
    time: {field: at, lateness: 10s}
    fields: {id: string, at: timestamp, door: string}
tables:
  crowded:
    key: door
    topic: house.crowded.v1
    fields: {door: string, most: int64}
features:
  minutes:
    from: entries
    where: people > 0
    by: door
    windows: {tumbling 1m: {seen: sum(people)}}
  bells:
    from: alarms
    where: door is not null
    by: door
    windows: {trailing 5m: {rings: count()}}
rules:
  crowd:
    from: minutes
    levels: {blue: "seen >= coalesce(crowded(door).most, 10)", red: seen >= 100}
    says: "{seen} people"
  bell:
    from: bells
    levels: {yellow: {when: rings >= 3, reset: rings < 2}}
    keep: 10m
    says: "{rings} rings"
  group:
    from: entries
    entity: [door]
    levels: {red: people >= 50}
    keep: 1h
    says: "{people} at once"
"""


@dataclass
class House:
    """A folder with the topology DOORS (or another one) and its sources."""

    folder: Path
    topology: str = DOORS
    settings: Settings = field(default_factory=Settings)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)

    def write(self, stream: str, records: Sequence[Mapping[str, object]]) -> None:
        """Replace a source."""
        lines = [json.dumps(record) for record in records]
        (self.folder / f"{stream}.ndjson").write_text("".join(line + "\n" for line in lines))

    def add(self, stream: str, records: Sequence[Mapping[str, object]]) -> None:
        """Append to a source."""
        with (self.folder / f"{stream}.ndjson").open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    def order(self, name: str = "state", **how: object) -> Order:
        """Make the order of a run with a state folder of that name, and settings."""
        file = self.folder / "topology.yaml"
        file.write_text(self.topology)
        plan = compile_topology(load(file))
        names = [*plan.streams, *plan.tables]
        sources = {n: f"ndjson:{self.folder / n}.ndjson" for n in names if (self.folder / f"{n}.ndjson").exists()}
        settings = replace(self.settings, **how)  # type: ignore[arg-type]
        sinks = [f"ndjson:{self.folder / name}.alerts"]
        return Order(plan, file, sources, sinks, self.folder / name, settings=settings, metrics=self.metrics)

    def run(self, name: str = "state", **how: object) -> Summary:
        """Run; alerts go to a file of that name."""
        return carry_out(self.order(name, **how))

    def log(self, name: str = "state") -> pl.DataFrame:
        """Give what was written to that file, and in `at` the ms after BEGIN."""
        lines = (self.folder / f"{name}.alerts").read_bytes().splitlines()
        return decode(lines).with_columns(at=pl.col("time") - BEGIN)

    def told(self, name: str = "state") -> list[tuple[object, ...]]:
        """Give rule, kind, level and ms after BEGIN of each transition, in the order of time."""
        return self.log(name).sort("time", "alert_id", "sequence").select("rule", "kind", "level", "at").rows()


def entry(number: int, second: float, people: int, door: str | None = "north") -> dict[str, object]:
    """Give an entry, at seconds after BEGIN."""
    return {"id": f"e{number}", "at": BEGIN + round(second * SECOND), "door": door, "people": people}


def alarm(number: int, second: float, door: str = "north") -> dict[str, object]:
    """Give an alarm, at seconds after BEGIN."""
    return {"id": f"a{number}", "at": BEGIN + round(second * SECOND), "door": door}


class Countdown:
    """Says stop after some questions."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def __call__(self) -> bool:
        """Say whether to stop."""
        self.left -= 1
        return self.left < 0


def busy_hour(folder: Path) -> House:
    """Give an hour: 12 people a minute for ten minutes from the 5th on, then one; three rings at the 20th."""
    found = House(folder)
    crowd = [entry(n, 300 + 5 * n, 1) for n in range(121)]
    found.write("entries", [entry(1000, 0, 1), *crowd, entry(1001, 3600, 1)])
    found.write("alarms", [alarm(n, 1200 + n) for n in range(3)])
    return found
