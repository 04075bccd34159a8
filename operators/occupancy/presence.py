"""First half of occupancy, keyed by person: who comes into an area and who leaves it, as numbers per area and tick.

At a tick a person is in the area of their last event before it, if that is at most `forget` old; an event without an
area puts them nowhere. With a hierarchy they are, once each, in all areas that this one is part of, so that the numbers
of a part add up to those of the whole. Changes are those from tick to tick: who goes and comes back between two ticks
has not moved, and who moves between two parts of an area has not left it.

The hierarchy is read as of the tick (rows with time <= tick - 1), for each person at every tick before which there was
an event of theirs. So when a hierarchy changes, everybody moves over with their next event, at the latest after
`forget`. The area itself is a column of the event: what it looks up (cell to unit) counts as of the event.

Output, one row per area and tick in which somebody came or left (per bucket: the second half adds them up): the area,
`inflow`, `outflow`, and `since`: the times at which those who came had been seen, less those of who left. `next_due` is
the next tick before which somebody was seen, even if they turn out to be where they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.contract import Step, earliest
from operators.occupancy import hierarchy
from operators.occupancy.hierarchy import ELEMENT, Hierarchy
from operators.occupancy.stays import (
    HOLDS,
    LEAVES,
    NUMBER,
    PERSON,
    SEEN,
    SINCE,
    TICK,
    Stays,
    expires,
    in_order,
    stays,
)
from operators.occupancy.ticks import Ticks
from operators.trailing import keyring, latest, memory, timers
from operators.trailing.keyring import CODE
from operators.trailing.latest import Latest
from operators.trailing.pieces import LENGTHS, cut, joined, lengths, pushed
from operators.trailing.timers import Timers
from operators.windows.identity import key_text
from tocsin.model.rows import ID, TIME, Schema
from tocsin.model.types import INT64, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.contract import Instant, State
    from operators.trailing.pieces import Pieces

CHANGES: Mapping[str, Type] = {"inflow": INT64, "outflow": INT64, "since": Type(Kind.INT64, wide=True)}
AREA = "__area"
CHAIN = "__chain"


@dataclass(frozen=True, slots=True)
class Presence:
    """The operator. `who` and `area`: columns of the events. `forget`: ms after the last event."""

    name: str
    who: str
    area: str
    ticks: Ticks
    forget: int
    schema: Schema
    parents: Hierarchy | None
    output: Schema

    @property
    def _area_type(self) -> pl.DataType:
        return self.schema.columns[self.area].physical

    def initial(self) -> State:
        """Give the state before any row."""
        who = self.schema.columns[self.who].physical
        part = pl.Struct({ELEMENT: self._area_type, SINCE: pl.Int64})
        pending = {self.who: who, TICK: pl.Int64(), SEEN: pl.Int64(), AREA: self._area_type}
        return latest.initial({self.who: who}, {CHAIN: pl.List(part)}) | {
            "pending": pl.DataFrame(schema=pending),
            "timers": Timers.of().piece(),
            "timer_lengths": pl.DataFrame(schema=LENGTHS),
        }

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Give the changes at all ticks that are due."""
        known = Latest.load(state)
        now = instant.watermark if instant.until is None else min(instant.watermark, instant.until)
        due, waiting = timers.popped(cut(state["timers"], state["timer_lengths"], "timers"), now)
        pending = pl.concat([state["pending"], self._seen(rows)], rechunk=False)
        ready = pending.filter(pl.col(TICK) <= self.ticks.last(instant))
        moment = Moment(instant, now, known)
        given = self.output.empty()
        piece, later = state["latest"].clear(), Timers.of()
        if ready.height or due.due.size:
            pending = pending.filter(pl.col(TICK) > self.ticks.last(instant))
            given, piece, later = self._advance(_once(ready, self.who), due, moment, state)
        known = known.plus(piece, instant.watermark, self.forget + self.ticks.every + 1)
        if instant.closing:
            return Step(given, self.initial(), None)
        return self._kept(given, known, pending, pushed(waiting, later.piece(), timers.merge), state)

    def _seen(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give where everybody was seen last before each tick."""
        seen = rows.select(
            self.who,
            self.ticks.after(pl.col(TIME)).alias(TICK),
            pl.col(TIME).alias(SEEN),
            pl.col(self.area).alias(AREA),
        )
        return _once(seen, self.who)

    def _advance(
        self, ready: pl.DataFrame, due: Timers, moment: Moment, state: State
    ) -> tuple[pl.DataFrame, pl.DataFrame, Timers]:
        """Give the changes, the latest visits of those who were seen, and the timers for when they are forgotten."""
        keys, slots = keyring.distinct(ready, (self.who,))
        found = keyring.find(keys, moment.known.pieces).codes
        real = memory.last_times(due.code, moment.known.pieces, TIME) == due.row
        codes = np.concatenate([found, np.setdiff1d(due.code[real], found)])
        before = self._before(moment.known.look(codes, (TIME, CHAIN), state), moment.known.watermark)
        fresh = ready.select(pl.Series(PERSON, slots, dtype=pl.Int64), TICK, SEEN, AREA)
        visits = in_order(
            pl.concat([before, fresh], how="diagonal"), self.ticks, self.forget, self.ticks.done(moment.now)
        )
        changed = stays(self._parts(visits, moment.instant.tables))
        piece = self._latest(visits, changed.going_on, keys.with_columns(pl.Series(CODE, found, dtype=pl.Int64)))
        return self._changes(changed), piece.select(state["latest"].columns), self._timers(piece)

    def _before(self, latest_: pl.DataFrame, watermark: int) -> pl.DataFrame:
        """Give the visits that still held when time stood at the watermark."""
        visits = latest_.select(
            pl.int_range(pl.len(), dtype=pl.Int64).alias(PERSON),
            self.ticks.after(pl.col(TIME)).alias(TICK),
            pl.col(TIME).alias(SEEN),
            CHAIN,
        )
        return visits.filter(expires(self.ticks, self.forget) > self.ticks.done(watermark))

    def _parts(self, visits: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Give the areas that each visit counts in."""
        columns = (PERSON, NUMBER, TICK, SEEN, HOLDS, LEAVES)
        went_on = visits.filter(pl.col(CHAIN).list.len() > 0).select(*columns, CHAIN).explode(CHAIN).unnest(CHAIN)
        counted = pl.col(AREA).is_not_null() & (pl.col(TICK) <= pl.col(SEEN) + self.forget)
        fresh = visits.filter(counted).select(*columns, AREA)
        areas = fresh.select(AREA, TICK, (pl.col(TICK) - 1).alias(TIME)).unique()
        chains = self.parents.chains(areas, tables) if self.parents else hierarchy.alone(areas)
        parts = fresh.join(chains.drop(TIME), on=[AREA, TICK], how="inner", maintain_order="left").drop(AREA)
        return pl.concat([went_on, parts.with_columns(pl.lit(None, dtype=pl.Int64).alias(SINCE))], how="diagonal")

    def _changes(self, changed: Stays) -> pl.DataFrame:
        both = pl.concat(
            [
                changed.entered.with_columns(
                    pl.lit(1, dtype=pl.Int64).alias("inflow"), pl.lit(0, dtype=pl.Int64).alias("outflow")
                ),
                changed.left.with_columns(
                    pl.lit(0, dtype=pl.Int64).alias("inflow"), pl.lit(1, dtype=pl.Int64).alias("outflow")
                ),
            ]
        )
        signed = pl.col(SINCE).cast(pl.Int128) * (pl.col("inflow") - pl.col("outflow"))
        sums = both.group_by(TICK, ELEMENT).agg(pl.col("inflow", "outflow").sum(), signed.sum().alias("since"))
        rows = sums.rename({ELEMENT: self.area}).with_columns((pl.col(TICK) - 1).alias(TIME), key_text([self.area]))
        return self.output.conform(rows).sort(TIME, ID)

    def _latest(self, visits: pl.DataFrame, going_on: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
        """Give the last visit of everybody who was seen, as a piece of state."""
        chains = going_on.group_by(PERSON).agg(pl.struct(ELEMENT, SINCE).alias(CHAIN))
        last = visits.filter(pl.col(PERSON) < keys.height).group_by(PERSON).agg(pl.col(SEEN).last().alias(TIME))
        whole = keys.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(PERSON)).join(last, on=PERSON)
        piece = whole.join(chains, on=PERSON, how="left")
        # An empty list tells who is nowhere from who is not known.
        return piece.with_columns(pl.col(CHAIN).fill_null([])).sort(CODE)

    def _timers(self, piece: pl.DataFrame) -> Timers:
        somewhere = piece.filter(pl.col(CHAIN).list.len() > 0).select(
            (self.ticks.after(pl.col(TIME) + self.forget) - 1).alias(timers.DUE), CODE, TIME
        )
        return Timers(*(column.to_numpy() for column in somewhere.get_columns()))

    def _kept(self, given: pl.DataFrame, known: Latest, pending: pl.DataFrame, waiting: Pieces, state: State) -> Step:
        due, waiting = timers.next_due(waiting, lambda codes: memory.last_times(codes, known.pieces, TIME))
        if pending.height:
            due = earliest(due, int(pending.get_column(TICK).min()) - 1)  # type: ignore[arg-type]  # Int64 column
        kept = known.dump(state) | {
            "pending": pending,
            "timers": joined(waiting, state["timers"].clear()),
            "timer_lengths": lengths(timers=waiting),
        }
        return Step(given, kept, due)


class Moment(NamedTuple):
    """A step: until when timers fire in it, and who was where before."""

    instant: Instant
    now: int
    known: Latest


def _once(seen: pl.DataFrame, who: str) -> pl.DataFrame:
    """Keep where everybody was seen last before each tick."""
    return seen.unique([who, TICK], keep="last", maintain_order=True)


def presence_operator(  # the words of the feature
    name: str,
    who: str,
    area: str,
    every: int,
    forget: int,
    schema: Schema,
    parents: tuple[str, str, str] | None = None,
) -> Presence:
    """Make the operator. `parents`: the table of the hierarchy, its key column, its column of parents."""
    output = Schema({area: schema.columns[area], **CHANGES}, (TIME, ID))
    return Presence(name, who, area, Ticks(every), forget, schema, Hierarchy(*parents) if parents else None, output)
