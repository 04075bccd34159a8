"""Which stages run where: beside the partition of their stream, or in shards behind the exchange.

A *source task* is one partition of a stream: its ingest stage and, where the stream says what it is `partitioned_by`,
the stages whose keys hold those fields (the direct path). A *shard* is one key bucket of other stages. Between tasks
rows travel in packets through the exchange; a stage that reads another one of its own shard by the same key gets the
rows at once.

In one *layer* of shards all of them stand together and send to one another: for hosts whose exchange is a log. Where
nothing may go round in a circle there are several layers, each of which sends to later ones only. All have the same
number of shards; that of a layer and a bucket is the *slot* `layer * shards + bucket`.

Where rules judge `quality`, the stage that adds up its counts (`quality.py`) is the first of those in shards.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from streams.local.dataflow import clocked
from streams.needs import needed_stages
from streams.tasks.quality import PARTS, quality_stage
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from operators.stage import Input, Stage
    from tocsin.compiler import Plan

Reader = tuple["Stage", "Input"]
SHARD = ">"
"""The name of shards as senders; no stream is called so."""


def sender_of(node: str, number: int) -> str:
    """Name a task as a sender: a stream and its partition, or SHARD and its number."""
    return f"{node}/{number}"


class Holder(NamedTuple):
    """Who holds the states of tasks, in the words of their user, and the option that names another one.

    `changes`: whether what it holds goes on where rules come and go (`changes.py`).
    """

    name: str
    option: str
    changes: bool = False


GROUP = Holder("this consumer group", "--group")


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A stage as a state knows it: its version, and its home: a stream, or a layer of shards."""

    version: str
    home: str


Placed = dict[str, Place]
"""By the stage's name."""


@dataclass(frozen=True)  # without slots: what follows from the rest is found once
class Layout:
    """Where everything is.

    `partitions`: how many each stream has that is read. `direct`: stages that stand beside the partitions of a stream.
    `layers`: all others. `exchanged`: who reads a node through the exchange. `near`: names of (stage, input) that read
    within their own task. `holder`: of the states.
    """

    plan: Plan
    partitions: Mapping[str, int]
    shards: int
    direct: Mapping[str, tuple[Stage, ...]]
    layers: tuple[tuple[Stage, ...], ...]
    exchanged: Mapping[str, Sequence[Reader]]
    near: frozenset[tuple[str, str]]
    holder: Holder = GROUP

    @property
    def counts_quality(self) -> bool:
        """Whether partitions count what they read."""
        return PARTS in self.exchanged

    @cached_property
    def clocked(self) -> frozenset[str]:
        """The stages that go by the clock."""
        return frozenset(clocked(needed(self.plan)) | {QUALITY})

    @cached_property
    def placed(self) -> Placed:
        """Say of which version each stage is, and where it runs; what several words share has that of what it reads."""
        homes = {stage.name: stream for stream, stages in self.direct.items() for stage in stages}
        homes |= {name: sender_of(SHARD, layer) for name, layer in self.layer_of.items()}
        versions: dict[str, str] = {}
        for stage in needed(self.plan):
            read = [versions.get(item.upstream, item.upstream) for item in stage.inputs]
            shared = blake2b("\t".join([stage.name, *read]).encode(), digest_size=8).hexdigest()
            versions[stage.name] = self.plan.versions.get(stage.name, shared)
        return {name: Place(versions[name], home) for name, home in homes.items()}

    @property
    def slots(self) -> range:
        """The shards of all layers."""
        return range(len(self.layers) * self.shards)

    @cached_property
    def layer_of(self) -> Mapping[str, int]:
        """The layer of each stage that has one."""
        return {stage.name: layer for layer, stages in enumerate(self.layers) for stage in stages}

    @cached_property
    def read(self) -> Sequence[frozenset[str]]:
        """The nodes that come to each layer through the exchange."""
        return [
            frozenset(
                node
                for node, readers in self.exchanged.items()
                if any(self.layer_of[stage.name] == layer for stage, _ in readers)
            )
            for layer in range(len(self.layers))
        ]

    def senders(self, layer: int) -> Mapping[str, frozenset[str]]:
        """Whose packets bring the rows of a node, for all nodes that come to a layer through the exchange."""
        return {node: frozenset(self._tasks_of(node)) for node in self.read[layer]}

    def _tasks_of(self, node: str) -> set[str]:
        if node in self.layer_of:
            begin = self.layer_of[node] * self.shards
            return {sender_of(SHARD, slot) for slot in range(begin, begin + self.shards)}
        if node == PARTS:
            return self._sources
        owners = {stage.name: name for name, stages in self.direct.items() for stage in stages}
        stream = owners.get(node, node)
        return {sender_of(stream, number) for number in range(self.partitions[stream])}

    @property
    def _sources(self) -> set[str]:
        return {sender_of(name, at) for name, number in self.partitions.items() for at in range(number)}

    @property
    def tasks(self) -> frozenset[str]:
        """All tasks, by their names as senders."""
        return frozenset(self._sources | {sender_of(SHARD, slot) for slot in self.slots})


def streams_of(plan: Plan) -> set[str]:
    """Name the streams that the rules of a plan depend on; where `quality` is judged, all of them."""
    read = _read(needed(plan))
    return set(plan.streams) if PARTS in read else read & set(plan.streams)


def needed(plan: Plan) -> list[Stage]:
    """Give the stages of rules and all they depend on, in order; that of `quality` is the first one."""
    stages = needed_stages(plan, {rule.stage for rule in plan.rules.values()})
    return [quality_stage(), *stages] if QUALITY in _read(stages) else stages


def _read(stages: Iterable[Stage]) -> set[str]:
    """Name what stages read."""
    return {item.upstream for stage in stages for item in stage.inputs}


def lay_out(plan: Plan, partitions: Mapping[str, int], shards: int, *, layered: bool = False) -> Layout:
    """Say where each stage of a plan runs; `partitions`: of each stream; `layered`: nothing goes round in a circle."""
    stages = needed(plan)
    homes: dict[str, str] = {}
    for stage in stages:
        home = _home(stage, plan, homes)
        if home is not None:
            homes[stage.name] = home
    direct = {name: tuple(stage for stage in stages if homes.get(stage.name) == name) for name in partitions}
    sharded = tuple(stage for stage in stages if stage.name not in homes)
    level = _levels(sharded) if layered else {stage.name: 0 for stage in sharded}
    exchanged: defaultdict[str, list[Reader]] = defaultdict(list)
    near = {(stage.name, item.name) for part in direct.values() for stage in part for item in stage.inputs}
    by_name = {stage.name: stage for stage in sharded}
    for stage in sharded:
        for item in stage.inputs:
            if _side_by_side(stage, item, by_name) and level[item.upstream] == level[stage.name]:
                near.add((stage.name, item.name))
            else:
                exchanged[item.upstream].append((stage, item))
    layers = [tuple(stage for stage in sharded if level[stage.name] == number) for number in sorted({*level.values()})]
    return Layout(plan, dict(partitions), shards, direct, tuple(layers), dict(exchanged), frozenset(near))


def _levels(sharded: Sequence[Stage]) -> dict[str, int]:
    """Put stages, in the order in which they read each other, behind those whose rows come to them from other keys."""
    by_name = {stage.name: stage for stage in sharded}
    level: dict[str, int] = {}
    for stage in sharded:
        before = [item for item in stage.inputs if item.upstream in by_name]
        level[stage.name] = max(
            (level[item.upstream] + (not _side_by_side(stage, item, by_name)) for item in before), default=0
        )
    return level


def _side_by_side(stage: Stage, item: Input, others: Mapping[str, Stage]) -> bool:
    """Whether a stage reads another one by the same key."""
    before = others.get(item.upstream)
    return before is not None and before.key == stage.key and not item.key


def _home(stage: Stage, plan: Plan, homes: Mapping[str, str]) -> str | None:
    """Name the stream beside whose partitions a stage can run; None if it needs the exchange.

    A bucket that wants the rows of a table with its own keys (`for_all`) has to know what its keys are.
    """
    reads = {item.upstream if item.upstream in plan.streams else homes.get(item.upstream) for item in stage.inputs}
    if len(reads) != 1 or stage.own:
        return None
    (home,) = reads
    by = plan.streams[home].partitioned_by if home is not None else ()
    return home if by and _keeps(by, stage) else None


def _keeps(by: Collection[str], stage: Stage) -> bool:
    """Whether rows of one key of a stage are of one key of the stream: it holds those fields as they are."""
    computed = {name for item in stage.inputs for name, _ in item.key}
    return set(by) <= set(stage.key) - computed
