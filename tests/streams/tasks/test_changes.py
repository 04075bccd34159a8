"""A state goes on where rules come and go, for those that are the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from streams.pseudonyms import DEVELOPMENT_KEY, Pseudonyms
from streams.sources.contract import Records
from streams.tasks import values
from streams.tasks.changes import told
from streams.tasks.layout import SHARD, Holder, lay_out, sender_of
from streams.tasks.making import Maker
from streams.tasks.shard_task import ShardTask
from streams.tasks.source_task import SourceTask
from tocsin.compiler import compile_topology
from tocsin.errors import StateError
from tocsin.language import loads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.tasks.task import Task

HEAD = """
topology: {name: gate}
"""
TAPS = """
  taps:
    topic: taps.v1
    id: tap
    time: {field: at, lateness: 1s}
    fields: {tap: string, at: timestamp, card: string, gate: string}
"""
DOORS = """
  doors:
    topic: doors.v1
    id: door
    time: {field: at, lateness: 1s}
    fields: {door: string, at: timestamp, gate: string}
"""
CARDS = """
  cards: {from: taps, by: card, windows: {trailing 1m: {taps: count()}}}
"""
GATES = """
  gates: {from: taps, by: gate, windows: {tumbling 1m: {taps: count(), cards: count(distinct card)}}}
"""
OPENED = """
  opened: {from: doors, by: gate, windows: {tumbling 1m: {doors: count()}}}
"""
WITHIN = """
  within: {from: cards, by: taps, windows: {tumbling 1m: {cards: count()}}}
"""
OFTEN = """
  often: {from: cards, levels: {red: {when: taps >= 4, reset: taps < 2}}, says: "{taps}"}
"""
CROWDED = """
  crowded: {from: gates, levels: {red: taps >= 12}, says: "{cards}"}
"""
OPEN = """
  open: {from: opened, levels: {red: doors >= 2}, says: "{doors}"}
"""
DEEP = """
  deep: {from: within, levels: {red: cards >= 1}, says: "{cards}"}
"""
SHARED = Holder("this state", "--state", changes=True)


def topology(streams: str, features: str, rules: str) -> str:
    """Put a topology together."""
    return f"{HEAD}streams:{streams}features:{features}rules:{rules}"


BOTH = topology(TAPS + DOORS, CARDS + GATES + OPENED, OFTEN + CROWDED + OPEN)
ONE = topology(TAPS, CARDS, OFTEN)
DEEPER = topology(TAPS, CARDS + GATES + WITHIN, OFTEN + CROWDED + DEEP)


@dataclass
class Gate:
    """A cluster of two partitions and two shards whose states are kept; `direct`: cards stand beside partitions."""

    text: str
    stored: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    direct: bool = False
    holder: Holder = SHARED
    tasks: dict[str, Task] = field(init=False)
    given: list[pl.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin, or go on from what is stored."""
        text = (
            self.text.replace("topic: taps.v1\n", "topic: taps.v1\n    partitioned_by: card\n")
            if self.direct
            else self.text
        )
        plan = compile_topology(loads(text, "gate.yaml"))
        numbers = dict.fromkeys(plan.streams, 2)
        layout = replace(lay_out(plan, numbers, 2, layered=True), holder=self.holder)
        maker = Maker(layout, {}, Pseudonyms(DEVELOPMENT_KEY))
        self.tasks = {sender_of(name, at): maker.source(name, at) for name in numbers for at in range(2)}
        self.tasks |= {sender_of(SHARD, slot): maker.shard(slot) for slot in layout.slots}
        self.keepers = {name: values.Keeper(0, values.Owner(f"{id(self)}", 0), epoch=id(self)) for name in self.tasks}
        for name, task in self.tasks.items():
            loaded = values.load(self.stored.setdefault(name, {}), 0)
            if loaded is not None:
                task.resume(loaded)
                self.keepers[name].epoch = loaded.head.epoch + 1

    def read(self, begin: int, end: int, streams: tuple[str, ...] = ("taps", "doors")) -> None:
        """Take records and let all tasks settle; commit."""
        for name, task in self.tasks.items():
            node, _, partition = name.rpartition("/")
            if isinstance(task, SourceTask) and node in streams:
                lines = [line for number, line in records(node, begin, end) if number % 2 == int(partition)]
                task.take(Records.of(lines, range(task.end, task.end + len(lines))), task.end + len(lines))
        for name, task in self.tasks.items():
            task.settle()
            self._pass_on(task)
            self.given += [chunk.rows for chunk in task.outbox.chunks]
            task.outbox.trim(task.outbox.end)
            write = self.keepers[name].write(task.frames(), msgspec.json.encode(task.plain()))
            self.stored[name].update({**write.values, **dict([write.head])})

    def _pass_on(self, task: Task) -> None:
        for sealed in task.outgoing.waiting:
            for slot, _, packet in sealed.packets.iter_rows():
                shard = self.tasks[sender_of(SHARD, slot)]
                assert isinstance(shard, ShardTask)
                shard.take([packet], shard.end + 1)
        task.outgoing.waiting.clear()

    def of(self, rule: str) -> set[tuple[object, ...]]:
        """Give the transitions of a rule."""
        log = pl.concat(self.given) if self.given else pl.DataFrame(schema={"rule": pl.String()})
        mine = log.filter(pl.col("rule") == rule)
        return set(mine.select("alert_id", "sequence", "kind", "time", "values").rows()) if mine.height else set()


def records(stream: str, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Give numbered records, one per second."""
    for number in range(begin, end):
        at = 1_772_442_000_000 + number * 1000
        card, gate = f"c{number * number % 11}", f"g{number % 3}"
        record = {"tap": f"t{number}", "door": f"d{number}", "at": at, "card": card, "gate": gate}
        names = ("tap", "at", "card", "gate") if stream == "taps" else ("door", "at", "gate")
        yield number, json.dumps({name: record[name] for name in names}).encode()


def of_the_plain_run(rule: str, text: str, *, direct: bool = False) -> set[tuple[object, ...]]:
    """Give the transitions of a rule where nothing is changed on the way."""
    gate = Gate(text, direct=direct)
    gate.read(0, 150)
    gate.read(150, 600)
    return gate.of(rule)


class TestARuleThatIsTheSame:
    @pytest.mark.parametrize("direct", [False, True])
    @pytest.mark.parametrize(
        ("before", "after"), [(BOTH, ONE), (ONE, BOTH), (ONE, DEEPER), (DEEPER, ONE), (DEEPER, BOTH)]
    )
    def test_goes_on_as_if_nothing_had_changed(self, before: str, after: str, *, direct: bool) -> None:
        first = Gate(before, direct=direct)
        first.read(0, 150)
        then = Gate(after, first.stored, direct=direct)
        then.given = first.given
        then.read(150, 600)
        assert then.of("often") == of_the_plain_run("often", before, direct=direct) != set()

    def test_is_there_again_with_what_comes_from_then_on(self) -> None:
        stored: dict[str, dict[bytes, bytes]] = {}
        for text, begin, end in ((BOTH, 0, 150), (ONE, 150, 300)):
            Gate(text, stored).read(begin, end)
        del stored["doors/0"], stored["doors/1"]
        again = Gate(BOTH, stored)
        again.read(300, 600)
        assert again.of("crowded"), "its state had gone, its partitions go on"
        assert again.of("open"), "its stream begins anew"


class TestARuleThatIsAnother:
    def test_is_refused(self) -> None:
        first = Gate(BOTH)
        first.read(0, 50)
        with pytest.raises(StateError, match="holds rule often from before that, or something it reads, was changed"):
            Gate(BOTH.replace("taps >= 4", "taps >= 5"), first.stored)
        with pytest.raises(StateError, match="holds cards, rule often from before"):
            Gate(BOTH.replace("trailing 1m", "trailing 2m"), first.stored)

    def test_begins_anew_under_another_name(self) -> None:
        first = Gate(BOTH)
        first.read(0, 50)
        text = BOTH.replace(
            "  often: {from: cards, levels: {red: {when: taps >= 4",
            "  more: {from: cards, levels: {red: {when: taps >= 5",
        )
        then = Gate(text, first.stored)
        then.read(50, 600)
        assert then.of("more")

    def test_where_stages_stand_elsewhere_all_are_refused(self) -> None:
        first = Gate(BOTH)
        first.read(0, 50)
        with pytest.raises(StateError, match="holds cards, rule often elsewhere: what streams are partitioned_by"):
            Gate(BOTH, first.stored, direct=True)

    def test_of_which_none_is_the_same_it_is_another_topology(self) -> None:
        first = Gate(topology(TAPS, GATES, CROWDED))
        first.read(0, 50)
        with pytest.raises(StateError, match="another topology, which has none of the rules of this one"):
            Gate(ONE, first.stored)

    def test_a_holder_that_knows_no_changes_refuses_them(self) -> None:
        first = Gate(BOTH)
        first.read(0, 50)
        with pytest.raises(StateError, match="holds the state of another topology"):
            Gate(ONE, first.stored, holder=SHARED._replace(changes=False))


def test_what_has_come_and_gone_is_told() -> None:
    placed = {
        text: lay_out(compile_topology(loads(text, "gate.yaml")), {"taps": 1, "doors": 1}, 1).placed
        for text in (BOTH, DEEPER)
    }
    assert told(placed[BOTH], placed[DEEPER]) == [
        "rule deep, within: new, and begins with what comes from now on",
        "opened, rule open: not there any more; what it had, open alerts too, ends here",
    ]
    assert told(placed[BOTH], placed[BOTH]) == []
