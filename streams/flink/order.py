"""What the functions of a job are told: it travels with them to wherever they run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from streams.flink.spreading import GROUPS
from streams.tasks.layout import SHARD, Holder, Layout, lay_out, sender_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from tocsin.compiler import Plan


RUNTIME = "flink"
SETTLE_SECONDS, EARLY_SETTLE_SECONDS = 0.2, 0.5
"""How long rows gather in a task; longer where early copies do not wait for that."""
STATE = Holder("this state folder", "--state", changes=True)


@dataclass(frozen=True, slots=True)
class Order:
    """One job.

    `run`: an id that no other run has. `topics`, `partitions`: of each stream that is read. `tables`: versions by name,
    `followed`: the topics of those that each subtask reads and follows.
    `sinks`: URIs instead of the sinks of the topology. `keys`: which Flink key each task has, by the task's name.
    `letters`: where dead letters stay whose topic has no `.dlq`. `fingerprint`: of the key that makes pseudonyms.
    `until`: ms since the epoch. `groups`: Flink's key groups.
    """

    plan: Plan
    run: str
    group: str
    servers: str
    topics: Mapping[str, str]
    partitions: Mapping[str, int]
    shards: int
    letters: Path
    fingerprint: str
    keys: Mapping[str, int] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    followed: Mapping[str, str] = field(default_factory=dict)
    sinks: tuple[str, ...] = ()
    until: int | None = None
    early: bool = False
    groups: int = GROUPS

    @property
    def layout(self) -> Layout:
        """Say where each stage runs."""
        return layout_of(self.plan, self.partitions, self.shards)

    @property
    def settle_seconds(self) -> float:
        """Say how long rows may gather in a task."""
        return EARLY_SETTLE_SECONDS if self.early else SETTLE_SECONDS

    def keys_of(self, stream: str) -> dict[int, int]:
        """Give the Flink key of each partition of a stream."""
        return {at: self.keys[sender_of(stream, at)] for at in range(self.partitions[stream])}


def rows_of(layout: Layout) -> dict[str, list[str]]:
    """Give the tasks that stand side by side: those of each stream, and those of each layer of shards."""
    streams = {name: [sender_of(name, at) for at in range(number)] for name, number in layout.partitions.items()}
    return streams | {
        sender_of(SHARD, layer): [sender_of(SHARD, layer * layout.shards + at) for at in range(layout.shards)]
        for layer in range(len(layout.layers))
    }


def shards_for(parallelism: int, partitions: Mapping[str, int]) -> int:
    """Say into how many parts keys are spread where nobody has said so."""
    return max(parallelism, *partitions.values())


def layout_of(plan: Plan, partitions: Mapping[str, int], shards: int) -> Layout:
    """Say where each stage runs: a job's graph has no circles."""
    return replace(lay_out(plan, partitions, shards, layered=True), holder=STATE)
