"""Steps that do not depend on each other, on all cores where that pays.

A step is a pure function that spends its time in Polars and numpy, which let go of the interpreter's lock. So threads
are enough, and nothing depends on which one is done first.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from operators.contract import Instant
    from operators.stage import Stage, StageState, StageStep

WORTH_ROWS = 20_000
"""Rows that must have arrived at two calls each before they are handed to threads: less is done sooner by one."""


class Call(NamedTuple):
    """One call of a stage for one bucket."""

    stage: Stage
    bucket: int
    arrived: Mapping[str, Sequence[pl.DataFrame]]
    state: StageState
    instant: Instant

    @property
    def rows(self) -> int:
        """How many rows have arrived."""
        return sum(part.height for parts in self.arrived.values() for part in parts)


class Taken(NamedTuple):
    """What a call gave, and how many seconds it took."""

    call: Call
    step: StageStep
    seconds: float


def carried_out(calls: Sequence[Call]) -> Iterable[Taken]:
    """Carry out calls of stages that do not read each other; the results are in their order."""
    great = sum(call.rows >= WORTH_ROWS for call in calls)
    return _pool().map(_carry_out, calls) if great > 1 and _cores() > 1 else map(_carry_out, calls)


def _carry_out(call: Call) -> Taken:
    begun = perf_counter()
    step = call.stage.step(call.arrived, call.state, call.instant)
    return Taken(call, step, perf_counter() - begun)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_cores(), thread_name_prefix="tocsin-step")


def levels(stages: Iterable[Stage]) -> list[list[Stage]]:
    """Put stages, given in order, into lists: those of one list read only what those of lists before it give."""
    depth: dict[str, int] = {}
    found: list[list[Stage]] = []
    for stage in stages:
        own = 1 + max((depth.get(item.upstream, -1) for item in stage.inputs), default=-1)
        depth[stage.name] = own
        found += [[] for _ in range(own + 1 - len(found))]
        found[own].append(stage)
    return found
