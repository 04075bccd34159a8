"""`at_most` of a sink: how many alerts it gets in any such length of event time; others are held back and counted.

What is counted are alerts, not transitions: a receiver that saw an alert raised gets all its later transitions. An
alert that was held back comes through with a later transition of its own if there is room then; its end alone is no
news.

Event time is that of what the sink is to get so far (the greatest time of a transition that `where` lets through), so
what passes is a function of the log and of nothing else: transitions that are offered again after a crash meet the
memory that they met the first time (`Progress`), and the receiver is told the same. That it looks across alerts puts it
behind the log (semantics T): ids and transitions are what they would be without it, and how the alerts of different
rules lie between one another in the log may differ between two runs. Early copies are not given to such a sink: nobody
knows yet whether the truth will pass.

Nothing is held back in silence. With the first alert that is, the receiver gets a **notice**: a transition of the rule
NOTICE whose entity is the sink, raised at the level of that alert and changed when what is held back is higher; it is
cleared when there is room again, and says then how many alerts were held back, of which rules. It ends by the event
time of the whole log, or it would stay for ever where nothing more comes through `where`; how far that is counts for
each transition as the log stood there (`beside`), so that it does not matter how the log is cut. Notices are not
counted, and no `where` keeps them back. One that is open when a run ends stays open, as alerts do: a run that goes on
ends it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import polars as pl

from tocsin.model.alerts import CLOSED_AT_BIRTH, TRANSITIONS, Level, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tocsin.model.rates import Rate

NOTICE = "tocsin.at_most"
"""The rule of notices; no author can call a rule so."""
MET_SCHEMA = {"alert_id": pl.String(), "admitted": pl.Boolean()}
BEFORE = "__before"
"""The column of `AtMost.beside`."""
_SEEN = ("alert_id", "sequence", "kind", "reason", "level", "rule", "topology", BEFORE)


class Flood(msgspec.Struct, frozen=True):
    """What is remembered beside the alerts that were met; times are ms of event time.

    `newest`: of what the sink was to get. `reached`: the greatest of the whole log.

    `passed`: when the last alerts passed, as far as they still count. `notice`: the id of the notice that is open, ""
    for none; `sequence`, `level`: its last transition. `held`: alerts it is about, by rule. `total`: alerts ever held.
    """

    newest: int | None = None
    passed: tuple[int, ...] = ()
    notice: str = ""
    topology: str = ""
    sequence: int = 0
    level: int = 0
    held: dict[str, int] = {}
    total: int = 0
    reached: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered: `met`, the open alerts that came by (MET_SCHEMA), and the flood."""

    met: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=MET_SCHEMA))
    flood: Flood = field(default_factory=Flood)


class Admitted(NamedTuple):
    """What a batch gives: the transitions that pass, notices among them, and the memory behind it."""

    rows: pl.DataFrame
    memory: Memory


@dataclass(frozen=True, slots=True)
class AtMost:
    """The limit of one sink."""

    sink: str
    rate: Rate

    @staticmethod
    def beside(log: pl.DataFrame, memory: Memory) -> pl.DataFrame:
        """Note beside each transition how far event time was before it: column BEFORE, ms; null before the first."""
        before = pl.col("time").cum_max().shift(1, fill_value=memory.flood.reached)
        return log.with_columns(before.clip(lower_bound=memory.flood.reached).alias(BEFORE))

    def through(self, rows: pl.DataFrame, reached: int | None, memory: Memory) -> Admitted:
        """Let transitions through, their order kept.

        `rows`: those of `beside` that the sink is to get. `reached`: the greatest time that `beside` was given.
        """
        gate = _Gate(self, memory, rows.get_column("alert_id").unique())
        seen = rows.select(*_SEEN, pl.col("time").cum_max().clip(lower_bound=memory.flood.newest))
        kept = [gate.passes(at, _Row(*row)) for at, row in enumerate(seen.iter_rows())]
        gate.reach(rows.height, reached)
        passing = rows.with_row_index("__at").filter(pl.Series(kept, dtype=pl.Boolean))
        told = pl.DataFrame(gate.notices, schema={**TRANSITIONS, "__at": pl.UInt32()}, orient="row")
        # A notice stands before the row that made it; two of one row in their order.
        given = pl.concat([told, passing.select(told.columns)]).sort("__at", maintain_order=True).drop("__at")
        return Admitted(given, gate.memory)


class _Row(NamedTuple):
    """What is asked of a transition, columns _SEEN; `now`: how far event time is with it."""

    alert_id: str
    sequence: int
    kind: str
    reason: str
    level: str
    rule: str
    topology: str
    before: int | None
    now: int


class _Gate:
    """One batch on its way through."""

    def __init__(self, limit: AtMost, memory: Memory, alerts: pl.Series) -> None:
        """Begin with what is remembered; `alerts`: the ids in the batch, few beside all that are open."""
        flood, mine = memory.flood, pl.col("alert_id").is_in(alerts.implode())
        self._others = memory.met if alerts.is_empty() else memory.met.filter(~mine)
        self.notices: list[dict[str, object]] = []
        self._limit = limit
        self._met: dict[str, bool] = dict(memory.met.filter(mine).iter_rows())
        self._newest, self._passed, self._total = flood.newest, deque(flood.passed), flood.total
        self._reached = flood.reached
        self._notice, self._topology = flood.notice, flood.topology
        self._sequence, self._level, self._held = flood.sequence, flood.level, Counter(flood.held)

    @property
    def memory(self) -> Memory:
        """What is remembered behind the batch."""
        own = pl.DataFrame(list(self._met.items()), schema=MET_SCHEMA, orient="row")
        met = self._others if own.is_empty() else pl.concat([self._others, own])  # the same frame is not written again
        passed, held = tuple(self._passed), dict(self._held)
        notice = self._notice, self._topology, self._sequence, self._level
        return Memory(met, Flood(self._newest, passed, *notice, held, self._total, self._reached))

    def passes(self, at: int, row: _Row) -> bool:
        """Say whether the transition in row `at` passes."""
        self._end(at, row.before)
        self._move(at, row.now)
        ends = row.kind == Transition.CLEARED or row.reason == CLOSED_AT_BIRTH
        known = self._met.get(row.alert_id)
        if known is not None and ends:
            del self._met[row.alert_id]
        if known or (known is not None and ends):
            return known
        room = len(self._passed) < self._limit.rate.most
        if not ends:
            self._met[row.alert_id] = room
        if room:
            self._passed.append(row.now)
        else:
            self._hold_back(at, row, new=known is None)
        return room

    def _move(self, at: int, now: int) -> None:
        """Move event time on."""
        self._newest = now
        self._end(at, now)
        while self._passed and self._passed[0] + self._limit.rate.per <= now:
            self._passed.popleft()

    def reach(self, at: int, reached: int | None) -> None:
        """Take note of how far the log is behind the batch."""
        if reached is not None:
            self._reached = reached if self._reached is None else max(reached, self._reached)
            self._end(at, self._reached)

    def _end(self, at: int, now: int | None) -> None:
        """End a notice if there is room again at `now`."""
        if not self._notice or now is None or not self._passed:
            return
        room = self._passed[0] + self._limit.rate.per
        if room <= now:
            self._tell(at, room, Transition.CLEARED, Level.CLEAR, self._summary())
            self._notice, self._sequence, self._level, self._held = "", 0, 0, Counter()

    def _hold_back(self, at: int, row: _Row, *, new: bool) -> None:
        """Tell of it. An alert counts once, and again in a later notice that it alone begins."""
        self._total += new
        if new or not self._notice:
            self._held[row.rule] += 1
        number = max(Level[row.level.upper()], Level.BLUE)  # an alert's end, too, is told of by an alert that is on
        if not self._notice:
            self._notice, self._topology = self._id(row), row.topology
            kind = Transition.RAISED
        elif number > self._level:
            kind = Transition.LEVEL_CHANGED
        else:
            return
        self._level = number
        self._tell(at, row.now, kind, number, f"more than {self._limit.rate.text}: alerts are held back")

    def _id(self, row: _Row) -> str:
        """Give the id of a notice: it hashes the sink and the transition that was held back first."""
        parts = [NOTICE, self._limit.sink, row.alert_id, row.sequence]
        return blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()

    def _summary(self) -> str:
        of = ", ".join(f"{number} of {rule}" for rule, number in sorted(self._held.items(), key=_most_first))
        total = self._held.total()
        were = "alert was" if total == 1 else "alerts were"
        return f"{total} {were} held back, more than {self._limit.rate.text}: {of}; the highest {_name(self._level)}"

    def _tell(self, at: int, time: int, kind: Transition, level: int, says: str) -> None:
        self._sequence += 1
        values = {"at_most": self._limit.rate.text, "held": dict(self._held)}
        self.notices.append(
            {
                "alert_id": self._notice,
                "sequence": self._sequence,
                "kind": str(kind),
                "level": _name(level),
                "time": time,
                "topology": self._topology,
                "rule": NOTICE,
                "rule_version": "",
                "entity": _json({"sink": self._limit.sink}),
                "values": _json(values),
                "evidence": [],
                "says": says,
                "labels": "{}",
                "runbook": "",
                "reason": "reset" if kind is Transition.CLEARED else "",
                "early": False,
                "__at": at,
            }
        )


def _most_first(counted: tuple[str, int]) -> tuple[int, str]:
    rule, number = counted
    return -number, rule


def _name(level: int) -> str:
    return Level(level).name.lower()


def _json(value: Mapping[str, object] | Iterable[object]) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
