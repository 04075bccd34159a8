"""A second alert machine, as slow and plain as can be: one fingerprint at a time, every millisecond from the first row.

Also what both machines are fed with in the tests. A row is a dict: `card`, `time`, `id`, `x` (the value explained),
`event` (its evidence; default: its id), `when` and `reset` (one of True, False, None per level), `unless`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from operators.alerting.rule import LevelSpec, MachineSpec
from operators.contract import Instant
from tocsin.model.alerts import Level
from tocsin.model.rows import EVIDENCE_DTYPE
from tocsin.model.types import INT64, STRING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from operators.alerting.machine import AlertMachine
    from operators.contract import State

Row = dict[str, Any]
Said = tuple[str, int, int, str, str, str, str, int, str]

NAMES = ("blue", "yellow", "orange", "red")


def make_spec(levels: int = 1, resets: Iterable[int] = (), **options: int | None) -> MachineSpec:
    """Give a spec over the rows of `frame`; `resets`: the numbers of levels with a reset of their own."""
    return MachineSpec(
        topology="t",
        rule="r",
        version="v1",
        entity={"card": STRING},
        levels=tuple(
            LevelSpec(level=Level(n + 1), when=f"when{n}", reset=f"reset{n}" if n in resets else None)
            for n in range(levels)
        ),
        columns={"x": INT64},
        unless="unless",
        **options,  # type: ignore[arg-type]  # numbers of milliseconds
    )


def frame(rows: Iterable[Row]) -> pl.DataFrame:
    """Give rows as the stage before the machine does: sorted by (time, id)."""
    columns = {"__time": pl.Int64, "__id": pl.String, "__evidence": EVIDENCE_DTYPE, "card": pl.String, "x": pl.Int64}
    columns |= {f"{word}{n}": pl.Boolean for word in ("when", "reset") for n in range(4)} | {"unless": pl.Boolean}
    flat = [
        {"__time": row["time"], "__id": row["id"], "__evidence": [{"id": row.get("event", row["id"]), "position": 1}]}
        | {name: row.get(name) for name in ("card", "x", "unless")}
        | {f"{word}{n}": value for word in ("when", "reset") for n, value in enumerate(row.get(word, ()))}
        for row in sorted(rows, key=lambda row: (row["time"], row["id"]))
    ]
    return pl.DataFrame(flat, schema=columns)


def run(
    machine: AlertMachine,
    rows: Iterable[Row],
    watermarks: Sequence[int],
    until: int | None = None,
    between: Callable[[State], State] = lambda state: state,
) -> pl.DataFrame:
    """Step a machine through the watermarks; with `until` a closing step takes what is left."""
    batch, state, given, low = frame(rows), machine.initial(), [], -(10**9)
    instants = [Instant(watermark) for watermark in watermarks]
    if until is not None:
        instants.append(Instant(until, until=until))
    for instant in instants:
        high = 10**9 if instant.closing else instant.watermark
        part = batch.filter((pl.col("__time") > low) & (pl.col("__time") <= high))
        out, state, _ = machine.step(part, between(state), instant)
        given.append(out)
        low = high
    return pl.concat(given)


def expected_id(card: str, first_step: int) -> str:
    text = json.dumps(["t", "r", json.dumps({"card": card}, separators=(",", ":")), first_step], separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def brief(out: pl.DataFrame) -> list[Said]:
    """Give transitions as tuples: card, time, sequence, kind, level, reason, explaining event, value, id."""
    return sorted(
        (
            json.loads(t["entity"])["card"] or "",
            t["time"],
            t["sequence"],
            t["kind"],
            t["level"],
            t["reason"],
            t["evidence"][0]["id"],
            json.loads(t["values"])["x"],
            t["alert_id"],
        )
        for t in out.iter_rows(named=True)
    )


@dataclass
class Slow:
    """One fingerprint's machine."""

    spec: MachineSpec
    card: str
    pending: dict[int, int] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    support: dict[int, int] = field(default_factory=dict)
    seen: int = 0
    episode: Row | None = None
    spoke: Row | None = None
    said: list[Said] = field(default_factory=list)

    def shown(self) -> int:
        return max(self.held) if self.held else -1

    def run(self, rows: list[Row], limit: int) -> list[Said]:
        by_time = {}
        for row in rows:
            by_time.setdefault(row["time"], []).append(row)
        if not by_time:
            return self.said
        for t in range(min(by_time), max(limit, *by_time) + 1):
            if t in by_time:
                self.step(t, by_time[t])
            if t <= limit:
                self.tick(t)
        return self.said

    def judge(self, row: Row, n: int) -> tuple[bool | None, bool]:
        when, trusted = row["when"][n], row["unless"] is True
        if trusted:
            return False, True
        reset = row["reset"][n] is True if self.spec.levels[n].reset else when is False
        return when, reset

    def step(self, t: int, rows: list[Row]) -> None:
        levels = range(len(self.spec.levels))
        judged = [[self.judge(row, n) for n in levels] for row in rows]
        whens = {n: [row[n][0] for row in judged] for n in levels}
        true = {n for n in levels if True in whens[n]}
        false = {n for n in levels if n not in true and False in whens[n]}
        falls = {n for n in levels if n not in true and any(row[n][1] for row in judged)}
        before = self.shown()
        if not self.held and not self.pending and not true:
            return
        order = sorted(
            range(len(rows)),
            key=lambda i: (
                [judged[i][n][0] is True for n in reversed(levels)],
                [judged[i][n][0] is False for n in reversed(levels)],
                rows[i]["id"],
            ),
        )
        row = rows[order[-1]]
        for n in true:
            self.support[n] = t
            if n not in self.held:
                if self.spec.for_ms:
                    self.pending.setdefault(n, t)
                else:
                    self.held.add(n)
        for n in false | falls:
            self.pending.pop(n, None)
        self.held -= falls
        self.seen = t
        if true or false:
            self.spoke = row
        reason = "unless" if any(r["unless"] for r in rows) else "reset"
        if self.shown() != before:
            self.say(t, before, row, reason, t)
        elif self.held and self.shown() in true | false:
            episode, event = self.episode, row.get("event", row["id"])
            if t - episode["changed"] >= self.spec.update_every_ms and (row["x"], event) != episode["told"]:
                self.say(t, before, row, "", t)

    def tick(self, t: int) -> None:
        before, keep = self.shown(), self.spec.keep_ms
        for n in list(self.held | set(self.pending)):
            if keep is not None and t >= self.support[n] + keep:
                self.held.discard(n)
                self.pending.pop(n, None)
        reason = "keep"
        if t >= self.seen + self.spec.expires_ms:
            if self.held:
                reason = "expired"
            self.held.clear()
            self.pending.clear()
        for n, since in list(self.pending.items()):
            if t >= since + self.spec.for_ms:
                del self.pending[n]
                self.held.add(n)
                first_step = since
        if self.shown() != before:
            self.say(t, before, self.spoke, reason, first_step if before < 0 else None)

    def say(self, t: int, before: int, row: Row, reason: str, first_step: int | None) -> None:
        after = self.shown()
        if before < 0:
            kind = "raised"
            self.episode = {"id": expected_id(self.card, first_step), "sequence": 0}
        elif after < 0:
            kind = "cleared"
        else:
            kind = "updated" if after == before else "level_changed"
        episode = self.episode
        episode["sequence"] += 1
        event = row.get("event", row["id"])
        episode["changed"], episode["told"] = t, (row["x"], event)
        level = NAMES[after] if after >= 0 else "clear"
        reason = reason if kind == "cleared" else ""
        self.said.append((self.card or "", t, episode["sequence"], kind, level, reason, event, row["x"], episode["id"]))


def slow(spec: MachineSpec, rows: list[Row], limit: int) -> list[Said]:
    """Give what the slow machine says, as `brief` does."""
    said = []
    for card in {row["card"] for row in rows}:
        mine = sorted((row for row in rows if row["card"] == card), key=lambda row: (row["time"], row["id"]))
        said += Slow(spec, card).run(mine, limit)
    return sorted(said)
