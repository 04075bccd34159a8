"""The latches of one fingerprint, and what steps and ticks do to them (semantics 15-17).

At one event time, in this order:

1. **The step**: all rows of that time together. A level is *true* if its `when` holds at any row, *false* if it holds
   at none and is false at one, else null. It may *fall* if its `reset` holds at any row (default: if it is false) and
   it is not true. True: the level is held; with `for` it becomes pending, unless it is already. False or falling: a
   pending level is forgotten. Falling: a held level is let go. Null does nothing.
2. **The tick**: all timers due at that time together; first those that take, then those that give.
   `keep` after it was last true, a level is let go, pending or held. `expires` after the last row of the fingerprint,
   everything is. `for` after it became pending, a level is held.

A step and a tick give at most one transition each: `raised` when the first level is held, `level_changed` when the
highest one is another, `cleared` when none is left. A step that changes nothing gives `updated` if the highest level is
true or false in it (not null), its columns or evidence are not those of the episode's last transition, and that one is
at least `update_every_ms` old; such an update is never made up for later.

A step is explained by its own row; a tick by the row of the last step in which any level was true or false (so not by
an empty row that knows nothing).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from operators.alerting.steps import CONTENT, FALSE_SHIFT, FILLED, LEVEL_BITS, RESET_SHIFT, TRUSTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from operators.alerting.rule import MachineSpec
    from operators.alerting.steps import Mask, Steps

NEVER = 1 << 62
BITS = tuple(tuple(bit for bit in range(4) if mask >> bit & 1) for mask in range(16))
"""The numbers of the bits that are set in a mask of four."""


Emission = tuple[int, int, int, int, str, str, int]
"""A transition: the columns of `transitions.Said` in order, and the number of the row that explains it."""


class Latches:
    """What is remembered of one fingerprint; levels are bits.

    `held`, `waiting`: masks of levels that are on and pending. Per level: `pending`: since when; `support`: when it was
    last true. `started`: the first step of the level that raised the episode; `changed`: its last
    transition; `told`: the content of that one's row. `seen`: time of the last row; `last`: the last row that spoke.
    Rows are steps of this call from 0, and rows that the state keeps as -1 - number.
    """

    __slots__ = ("changed", "held", "last", "pending", "seen", "sequence", "started", "support", "told", "waiting")

    def __init__(self, levels: int) -> None:
        """Begin with nothing held."""
        self.held = self.waiting = self.sequence = 0
        self.started = self.changed = self.seen = self.last = self.told = 0
        self.pending: list[int] = [0] * levels
        self.support: list[int] = [0] * levels


class Evaluator:
    """Runs latches over the steps of one call; `emissions` collects what they say."""

    def __init__(self, spec: MachineSpec, steps: Steps, known: pl.DataFrame, limit: int) -> None:
        """Take the steps, and the episodes before them; ticks after `limit` do not fire."""
        self.emissions: list[Emission] = []
        self._limit, self._runs, self._kept = limit, steps.runs, known[CONTENT]
        # an item of a numpy array costs five times as much as one of its view; lists would hold what nobody looks at
        self._times, self._masks = steps.times.data, steps.masks.data
        self._contents, self._changes = steps.contents.data, steps.changes.data
        self._for, self._keep = spec.for_ms, spec.keep_ms
        self._expires, self._every = spec.expires_ms, spec.update_every_ms

    def follow(self, latches: Mapping[int, Latches], runs: Mask) -> None:
        """Take the chosen runs, then the ticks up to the limit; `latches` are by the fingerprint's number."""
        chosen = (part[runs].tolist() for part in self._runs)
        for number, first, last in zip(*chosen, strict=True):
            self._run(latches[number], first, last)
        for one in latches.values():
            self._ticks(one, self._limit)

    def _run(self, latches: Latches, first: int, last: int) -> None:
        """Take equal steps: each where something can happen, and the last one."""
        at = first
        while True:
            if latches.held | latches.waiting:
                self._ticks(latches, self._times[at] - 1)
            self._step(latches, at)
            if at == last:
                return
            upcoming = self._next(latches, at, last)
            if upcoming > at + 1:
                self._support(latches, upcoming - 1)
            at = upcoming

    def _next(self, latches: Latches, at: int, last: int) -> int:
        """Give the next step after `at` in its run that does more than to be remembered.

        While it lasts, a run renews its true levels and the fingerprint before their timers end: it has no wide gaps.
        """
        mask = self._masks[at]
        if not latches.held | latches.waiting:
            return last
        due = self._due(latches, renewed=mask & LEVEL_BITS, since=NEVER)
        upcoming = bisect_left(self._times, due, at + 1, last) if due <= self._times[last] else last
        shown = latches.held.bit_length()
        if shown and self._speaks(mask, shown):
            fresh = bisect_left(self._times, latches.changed + self._every, at + 1, last)
            if self._contents[fresh] == latches.told:
                fresh = self._changes[bisect_right(self._changes, fresh)]
            upcoming = min(upcoming, fresh)
        return min(upcoming, last)

    @staticmethod
    def _speaks(mask: int, level: int) -> bool:
        """Whether the level is true or false in a step, not null."""
        return bool((mask | mask >> FALSE_SHIFT) >> (level - 1) & 1)

    def _support(self, latches: Latches, at: int) -> None:
        mask, time = self._masks[at], self._times[at]
        for level in BITS[mask & LEVEL_BITS]:
            latches.support[level] = time
        latches.seen = time
        if mask & (LEVEL_BITS | LEVEL_BITS << FALSE_SHIFT):
            latches.last = at

    def _step(self, latches: Latches, at: int) -> None:
        mask, time = self._masks[at], self._times[at]
        true = mask & LEVEL_BITS
        if not (latches.held | latches.waiting | true):
            return
        before = latches.held.bit_length()
        self._support(latches, at)
        if self._for:
            for level in BITS[true & ~(latches.held | latches.waiting)]:
                latches.pending[level] = time
            latches.waiting |= true & ~latches.held
        else:
            latches.held |= true
        falling = mask >> RESET_SHIFT & LEVEL_BITS
        latches.waiting &= ~(mask >> FALSE_SHIFT & LEVEL_BITS | falling)
        latches.held &= ~falling
        after = latches.held.bit_length()
        if after != before:
            self._emit(latches, before, time, at, first_step=time, reason=_reason(mask))
        elif after and self._is_news(latches, mask, at):
            self._emit(latches, before, time, at)

    def _is_news(self, latches: Latches, mask: int, at: int) -> bool:
        old_enough = self._times[at] - latches.changed >= self._every
        return old_enough and self._contents[at] != latches.told and self._speaks(mask, latches.held.bit_length())

    def _ticks(self, latches: Latches, bound: int) -> None:
        """Fire what is due up to `bound`, at its exact time."""
        bound = min(bound, self._limit)
        while (due := self.due(latches)) <= bound:
            self._tick(latches, due)

    def due(self, latches: Latches) -> int:
        """Give the time of the next tick, NEVER if there is none."""
        return self._due(latches, renewed=0, since=latches.seen)

    def _due(self, latches: Latches, renewed: int, since: int) -> int:
        alive = latches.held | latches.waiting
        if not alive:
            return NEVER
        due = since + self._expires
        for level in BITS[latches.waiting]:
            due = min(due, latches.pending[level] + self._for)
        if self._keep is not None:
            for level in BITS[alive & ~renewed]:
                due = min(due, latches.support[level] + self._keep)
        return due

    def _tick(self, latches: Latches, time: int) -> None:
        before, reason = latches.held.bit_length(), "keep"
        self._let_go(latches, time)
        if latches.seen + self._expires <= time:
            reason = "expired" if latches.held else reason
            latches.held = latches.waiting = 0
        for level in BITS[latches.waiting]:
            if latches.pending[level] + self._for <= time:
                latches.held |= 1 << level
                latches.waiting &= ~(1 << level)
        after = latches.held.bit_length()
        if after != before:
            self._emit(latches, before, time, latches.last, first_step=time - self._for, reason=reason)

    def _let_go(self, latches: Latches, time: int) -> None:
        if self._keep is None:
            return
        for level in BITS[latches.held | latches.waiting]:
            if latches.support[level] + self._keep <= time:
                latches.held &= ~(1 << level)
                latches.waiting &= ~(1 << level)

    def _emit(
        self, latches: Latches, before: int, time: int, row: int, *, first_step: int = 0, reason: str = ""
    ) -> None:
        after = latches.held.bit_length()
        if not before:
            latches.started, latches.sequence = first_step, 0
        latches.sequence += 1
        latches.changed, latches.told = time, self._contents[row] if row >= 0 else self._kept[-1 - row]
        identity = str(latches.started)
        reason = reason if not after else ""
        self.emissions.append((after, before, time, latches.sequence, identity, reason, row))


def _reason(mask: int) -> str:
    if mask & TRUSTED:
        return "unless"
    return "reset" if mask & FILLED else "empty"
