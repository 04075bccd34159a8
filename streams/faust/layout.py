"""Which stages run where: beside the partition of their stream, or in shards behind the exchange.

A *source task* is one partition of a stream: its ingest stage and, where the stream says what it is `partitioned_by`,
the stages whose keys hold those fields (the direct path). A *shard* is one key bucket of all other stages. Between
tasks rows travel in packets through one topic, the exchange, with a partition per shard; a stage that reads another one
of its own shard by the same key gets the rows at once.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.needs import needed_stages
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from operators.stage import Input, Stage
    from tocsin.compiler import Plan

Reader = tuple["Stage", "Input"]
SHARD = ">"
"""The name of shards as senders; no stream is called so."""


def sender_of(node: str, number: int) -> str:
    """Name a task as a sender: a stream and its partition, or SHARD and its number."""
    return f"{node}/{number}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is.

    `partitions`: how many each stream has that is read. `direct`: stages that stand beside the partitions of a stream.
    `sharded`: all others. `exchanged`: who reads a node through the exchange. `near`: names of (stage, input) that read
    within their own task.
    """

    plan: Plan
    partitions: Mapping[str, int]
    shards: int
    direct: Mapping[str, tuple[Stage, ...]]
    sharded: tuple[Stage, ...]
    exchanged: Mapping[str, Sequence[Reader]]
    near: frozenset[tuple[str, str]]

    @property
    def senders(self) -> Mapping[str, frozenset[str]]:
        """Whose packets bring the rows of a node, for all nodes that come through the exchange."""
        owners = {stage.name: name for name, stages in self.direct.items() for stage in stages}
        found = {}
        for node in self.exchanged:
            stream = owners.get(node, node)
            among = (stream, self.partitions[stream]) if stream in self.partitions else (SHARD, self.shards)
            found[node] = frozenset(sender_of(among[0], number) for number in range(among[1]))
        return found

    @property
    def tasks(self) -> frozenset[str]:
        """All tasks, by their names as senders."""
        sources = {sender_of(name, at) for name, number in self.partitions.items() for at in range(number)}
        return frozenset(sources | {sender_of(SHARD, at) for at in range(self.shards if self.sharded else 0)})


def streams_of(plan: Plan) -> set[str]:
    """Name the streams that the rules of a plan depend on."""
    read = {item.upstream for stage in needed(plan) for item in stage.inputs}
    return read & set(plan.streams)


def needed(plan: Plan) -> list[Stage]:
    """Give the stages of rules and all they depend on, in order."""
    return needed_stages(plan, {rule.stage for rule in plan.rules.values()})


def lay_out(plan: Plan, partitions: Mapping[str, int], shards: int) -> Layout:
    """Say where each stage of a plan runs; `partitions`: of each stream."""
    stages = needed(plan)
    homes: dict[str, str] = {}
    for stage in stages:
        home = _home(stage, plan, homes)
        if home is not None:
            homes[stage.name] = home
    direct = {name: tuple(stage for stage in stages if homes.get(stage.name) == name) for name in partitions}
    sharded = tuple(stage for stage in stages if stage.name not in homes)
    by_name = {stage.name: stage for stage in sharded}
    exchanged: defaultdict[str, list[Reader]] = defaultdict(list)
    near = {(stage.name, item.name) for part in direct.values() for stage in part for item in stage.inputs}
    for stage in sharded:
        for item in stage.inputs:
            before = by_name.get(item.upstream)
            if before is not None and before.key == stage.key and not item.key:
                near.add((stage.name, item.name))
            else:
                exchanged[item.upstream].append((stage, item))
    return Layout(plan, dict(partitions), shards, direct, sharded, dict(exchanged), frozenset(near))


def _home(stage: Stage, plan: Plan, homes: Mapping[str, str]) -> str | None:
    """Name the stream beside whose partitions a stage can run; None if it needs the exchange.

    A bucket that wants the rows of a table with its own keys (`for_all`) has to know what its keys are.
    """
    reads = {item.upstream if item.upstream in plan.streams else homes.get(item.upstream) for item in stage.inputs}
    if len(reads) != 1 or stage.own or QUALITY in reads:
        return None
    (home,) = reads
    by = plan.streams[home].partitioned_by if home is not None else ()
    return home if by and _keeps(by, stage) else None


def _keeps(by: Collection[str], stage: Stage) -> bool:
    """Whether rows of one key of a stage are of one key of the stream: it holds those fields as they are."""
    computed = {name for item in stage.inputs for name, _ in item.key}
    return set(by) <= set(stage.key) - computed
