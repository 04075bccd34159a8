"""What grows with what: cost with keys and with overlapping windows, memory with keys, commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bench.events import Load
from bench.job import measure
from bench.rows import Row
from bench.topologies import NEVER, standard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.context import Bench

EVENTS = 10_000_000
KEYS = (10_000, 100_000, 1_000_000)
FLAT, HOPPING_MOST, KEY_BYTES, STALL_SECONDS = 1.2, 2.0, 200.0, 1.0
PER_WINDOW = 5
"""Events of a key in a window, whatever the number of keys: only the keys grow, not what is given per event."""


def keys(bench: Bench) -> Iterator[Row]:
    """Give the cost per event at 10^4, 10^5, 10^6 keys; windows grow with the keys, so that the rows given do not."""
    base = 0.0
    for number in KEYS:
        count = max(int(number * bench.scale), 10)
        load = Load(bench.sized(EVENTS), keys=count)
        window = f"tumbling {count * PER_WINDOW * 1_000 // load.per_second}ms"
        report = bench.run(standard(window, NEVER), load)
        cost = report.seconds / report.records * 1e6
        base = base or cost
        bound = None if number == KEYS[0] else FLAT
        yield Row(f"cost per event, {number:,} keys", cost, "us", None, cpu=report.cpu)
        if bound is not None:
            yield Row(f"  against {KEYS[0]:,} keys", cost / base, "x", bound, most=True)
        bench.forget()


def hopping(bench: Bench) -> Iterator[Row]:
    """Give the cost of windows that overlap sixty times against windows that do not, with as many rows given.

    Both give a row per key and minute; the hopping window looks back an hour for it.
    """
    load = Load(bench.sized(EVENTS), per_second=2_000)
    cost: list[float] = []
    for window in ("tumbling 1m", "hopping 60m every 1m"):
        report = bench.run(standard(window, NEVER), load)
        cost.append(report.seconds)
        per_event = report.seconds / report.records * 1e6
        yield Row(f"cost per event, {window}", per_event, "us", cpu=report.cpu)
    yield Row("  hopping 60:1 against tumbling", cost[1] / cost[0], "x", HOPPING_MOST, most=True)
    bench.forget()


def memory(bench: Bench) -> Iterator[Row]:
    """Give the resident bytes per key of a count and a sum: a million keys against a thousand, same events."""
    many, few = bench.sized(1_000_000), 1_000
    reports = []
    for number in (few, many):
        load = Load(max(bench.sized(EVENTS) // 2, 4 * many), keys=number)
        reports.append(bench.run(standard("tumbling 1h", NEVER), load))
        bench.forget()
    per_key = (reports[1].settled - reports[0].settled) / max(many - few, 1)
    note = f"{reports[0].settled / 2**20:.0f} MB with {few:,} keys, {reports[1].settled / 2**20:.0f} MB with {many:,}"
    yield Row("resident bytes per active key", per_key, "bytes", KEY_BYTES, most=True, note=note)


def commit(bench: Bench) -> Iterator[Row]:
    """Give how long a commit holds up a run with a million keys, and its longest stops with commits and without.

    The stop of a window's end is in both of the latter: a million keys give their rows at once.
    """
    load = Load(bench.sized(EVENTS), keys=bench.sized(1_000_000))
    source = f"parquet:{bench.events(load, 'parquet')}"
    longest, held, cpu = [], [0.0], []
    for seconds in (1e9, 1.0):
        job = bench.job(bench.topology(standard("tumbling 1h", NEVER)), payments=source)
        report = measure(msgspec.structs.replace(job, commit_seconds=seconds))
        longest.append(max(report.pauses, default=0.0))
        held = report.commits
        cpu.append(report.cpu)
    note = f"longest of {len(held)} commits"
    yield Row(
        "a commit holds the stream, a million keys", max(held, default=0.0), "s", STALL_SECONDS, most=True, note=note
    )
    base = "without commits"
    yield Row(f"  longest between two batches, {base}", longest[0], "s", ratio=1.0, base=base, cpu=cpu[0])
    ratio = longest[1] / longest[0] if longest[0] else None
    yield Row("  longest between two batches, a commit a second", longest[1], "s", ratio=ratio, base=base, cpu=cpu[1])
    bench.forget()
