"""What all tasks have in common: stages, packets and transitions on their way out, and a state that is one commit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from sinks.where import Where
from streams.local.outbox import Chunk, Outbox
from streams.local.tally import NULL_KEYS
from streams.tasks.changes import refuse_changed, refuse_other_shards
from streams.tasks.hosted import Marks  # noqa: TC001  # msgspec reads the annotations
from streams.tasks.layout import Placed  # noqa: TC001  # msgspec reads the annotations
from streams.tasks.outgoing import SEALED
from streams.tasks.quality import Counting  # noqa: TC001  # msgspec reads the annotations
from streams.tasks.upstreams import Heard  # noqa: TC001  # msgspec reads the annotations
from tocsin.errors import StateError
from tocsin.model.alerts import CLOSED_AT_BIRTH, TRANSITIONS, Transition
from tocsin.model.display import display
from tocsin.model.types import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.tasks.hosted import Frames, Given, Hosted
    from streams.tasks.layout import Layout
    from streams.tasks.outgoing import Outgoing
    from streams.tasks.values import Loaded


class Plain(msgspec.Struct, kw_only=True):
    """A commit beside its frames.

    `version`, `sender`, `shards`, `stages`, `partitions`: whose it is, and what lies where, of other tasks too. `end`:
    the offset after what was read. `outbox`: where its pieces begin, and where the next transition goes. `sinks`,
    `bookmarks`: the position of each, and where the sink stood. `opened`: how many episodes are open, by rule. `key`:
    the fingerprint of the key that made its pseudonyms, "" where it made none. `counting`: of a partition whose
    `quality` is judged.
    """

    version: str
    sender: str
    shards: int
    stages: Placed
    partitions: dict[str, int]
    end: int
    marks: Marks
    numbers: list[int]
    told: dict[str, int]
    closed: list[str]
    outbox: list[int]
    outbox_end: int
    sinks: dict[str, int]
    bookmarks: dict[str, str] = msgspec.field(default_factory=dict)
    heard: dict[str, Heard] = msgspec.field(default_factory=dict)
    brake: tuple[int, int, int] = (0, 0, 0)
    opened: dict[str, int] = msgspec.field(default_factory=dict)
    through: bool = False
    until: int | None = None
    key: str = ""
    counting: Counting | None = None


PLAIN = msgspec.json.Decoder(Plain)


@dataclass(frozen=True, slots=True)
class SinkPlace:
    """How far a sink is with a task: the position, the memory of its `where` there, and where the sink stood.

    What the task gave from the position on lies behind the `bookmark` in the target, if it is there.
    """

    position: int = 0
    passed: pl.DataFrame = field(default_factory=Where.nothing_passed)
    bookmark: str = ""


@dataclass(slots=True)
class Task:
    """One task.

    `end`: the offset after the last record that was taken. `until`: the event time (ms) at which the run ends, None for
    never; `through`: it has ended for this task. `opened`: episodes that are open, by rule.
    """

    name: str
    layout: Layout
    hosted: Hosted
    outgoing: Outgoing
    outbox: Outbox = field(default_factory=Outbox)
    places: dict[str, SinkPlace] = field(default_factory=dict)
    end: int = 0
    until: int | None = None
    through: bool = False
    opened: Counter[str] = field(default_factory=Counter)
    decided: list[pl.DataFrame] = field(default_factory=list)
    """Transitions since somebody last counted them."""

    def settle(self) -> None:
        """Let stages take their steps and seal what goes out; a commit in between holds what has come as well."""
        raise NotImplementedError

    def carry(self, given: Given) -> None:
        """Take the rows of stages to where they are wanted."""
        rules = {rule.stage for rule in self.layout.plan.rules.values()}
        for stage, rows in given:
            self.send(stage, rows)
        parts = [rows.select(list(TRANSITIONS)) for stage, rows in given if stage in rules]
        if parts:
            log = pl.concat(parts).sort("time", maintain_order=True)
            self.outbox.append(log)
            self.decided.append(log)
            self._count_open(log)

    @property
    def reached(self) -> int:
        """The watermark up to which tables have been looked up in; END if no stage is here."""
        return self.hosted.least

    def send(self, node: str, rows: pl.DataFrame) -> None:
        """Gather rows of a node for the shards that read it."""
        for stage, nulls in self.outgoing.add(node, rows).items():
            self.hosted.counts[stage, NULL_KEYS] += nulls

    def _count_open(self, log: pl.DataFrame) -> None:
        lasting = log.filter(pl.col("reason") != CLOSED_AT_BIRTH)
        for rule, kind in zip(lasting["rule"], lasting["kind"], strict=True):
            if kind in _OPENING:
                self.opened[rule] += _OPENING[kind]

    def frames(self) -> Frames:
        """Give the frames of a commit: references, nothing is copied."""
        frames, _ = self.hosted.snapshot()
        for number, chunk in enumerate(self.outbox.chunks):
            frames["outbox", str(number)] = chunk.rows
        for number, sealed in enumerate(self.outgoing.waiting):
            frames["packets", str(number)] = sealed.packets
        for slot, stage, item, rows in self.outgoing.gathered():
            frames["gathered", str(slot), stage, item] = rows
        for sink, place in self.places.items():
            frames["passed", sink] = place.passed
        return frames

    def plain(self) -> Plain:
        """Give what a commit says beside its frames; after `frames`."""
        return Plain(
            version=self.layout.plan.version,
            sender=self.name,
            shards=self.layout.shards,
            stages=self.layout.placed,
            partitions=dict(self.layout.partitions),
            end=self.end,
            marks=self.hosted.marks,
            numbers=self.outgoing.numbers,
            told=self.outgoing.told,
            closed=sorted(self.outgoing.closed),
            outbox=[chunk.start for chunk in self.outbox.chunks],
            outbox_end=self.outbox.end,
            sinks={sink: place.position for sink, place in self.places.items()},
            bookmarks={sink: place.bookmark for sink, place in self.places.items()},
            opened=dict(self.opened),
            through=self.through,
            until=self.until,
        )

    def resume(self, loaded: Loaded) -> None:
        """Be what a commit says; StateError if it is of another topology or cut into other shards.

        Where rules have come and gone since, that is what the commit says of those that are still there.
        """
        plain = self._plain_of(loaded)
        self._refuse_other(plain)
        frames = loaded.frames
        self.hosted.restore([(path, frame) for path, frame in frames.items() if path[0] in KINDS], plain.marks)
        chunks = [Chunk(start, frames["outbox", str(at)]) for at, start in enumerate(plain.outbox)]
        self.outbox = Outbox(chunks, plain.outbox_end)
        numbers = plain.numbers[: len(self.outgoing.numbers)]
        self.outgoing.numbers[: len(numbers)] = numbers
        if plain.version == self.layout.plan.version:  # otherwise somebody may have been told nothing yet
            self.outgoing.told, self.outgoing.closed = plain.told, set(plain.closed)
        packets = [frame for path, frame in frames.items() if path[0] == "packets"]
        self.outgoing.resume(pl.concat([pl.DataFrame(schema=dict(SEALED)), *packets]))
        for path, rows in frames.items():
            if path[0] == "gathered":
                _, slot, stage, item = path
                if stage in self.layout.layer_of:
                    self.outgoing.gather(int(slot), stage, item, rows)
        self.places = {
            sink: SinkPlace(position, frames["passed", sink], plain.bookmarks.get(sink, ""))
            for sink, position in plain.sinks.items()
        }
        self.end, self.through = plain.end, plain.through
        self.opened = Counter({rule: number for rule, number in plain.opened.items() if rule in self.layout.plan.rules})
        self.take_back(plain, frames)

    def take_back(self, plain: Plain, frames: Mapping[tuple[str, ...], pl.DataFrame]) -> None:
        """Take what a kind of task keeps beside the rest."""
        raise NotImplementedError

    def _plain_of(self, loaded: Loaded) -> Plain:
        try:
            return PLAIN.decode(loaded.head.plain)
        except msgspec.DecodeError as error:
            holder = self.layout.holder
            raise StateError(
                f"{holder.name} holds a state of {self.name} that another version of tocsin wrote, or that is damaged: "
                f"{error}; take another {holder.option}"
            ) from error

    def _refuse_other(self, plain: Plain) -> None:
        plan, holder = self.layout.plan, self.layout.holder
        if plain.sender != self.name or (plain.version != plan.version and not holder.changes):
            raise StateError(
                f"{holder.name} holds the state of another topology (its task {plain.sender}, version "
                f"{plain.version}, where {plan.name} is {plan.version}): run that one, or take another {holder.option}"
            )
        refuse_changed(plain.stages, self.layout.placed, holder)
        for stream, number in self.layout.partitions.items():
            if self.layout.direct[stream] and plain.partitions.get(stream) != number:
                raise StateError(
                    f"{plan.streams[stream].topic} had {plain.partitions.get(stream)} partitions and has {number} now: "
                    "its keys lie elsewhere, so what runs beside its partitions cannot go on; take another "
                    f"{holder.option}"
                )
        if plain.until != self.until and (plain.closed or plain.marks.closed):
            ended = "" if plain.until is None else f" at {display(plain.until, TIMESTAMP)}"
            raise StateError(
                f"the run of {holder.name} has ended{ended}, windows in progress are closed: it cannot go on "
                f"beyond that; take another {holder.option}"
            )
        refuse_other_shards(plain.shards, self.layout.shards, holder)


_OPENING = {Transition.RAISED: 1, Transition.CLEARED: -1}
KINDS = ("state", "arrived")
"""What the names of frames of stages begin with."""
