"""The rows that a step gives: those that asked, with the columns of all windows and their evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.grouping import taken
from operators.trailing import evidence
from operators.trailing.evaluate import Evaluation
from operators.trailing.memory import stable_order
from operators.trailing.ranges import Edges, Line
from tocsin.model.rows import EVIDENCE, TIME

if TYPE_CHECKING:
    from operators.trailing.empties import Empties
    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows
    from operators.trailing.operator import TrailingOperator


class Asked(NamedTuple):
    """Rows that want to know, in order of time.

    `key`: index of the key among the held rows' keys. `row`: index of an event among the events that ask, by which it
    is named in `own` where no window holds it; -1 for an empty row.
    """

    frame: pl.DataFrame
    key: Ints
    row: Ints
    own: pl.Series | None


def asked(rows: pl.DataFrame, key: Ints, own: pl.Series | None, empties: Empties) -> Asked:
    """Put events that ask and empty rows together; of one time, empty rows come first."""
    if not empties.time.size:
        return Asked(rows, key, np.arange(rows.height), own)
    times = np.concatenate([empties.time, rows.get_column(TIME).to_numpy()])
    order = np.argsort(times, kind="stable")
    row = np.maximum(order - empties.time.size, -1)
    name = np.concatenate([rows.height + empties.name, np.arange(rows.height)])[order]
    named = taken(pl.concat([rows.select(empties.names.columns), empties.names], rechunk=True), name)
    others = _or_null(rows.drop(TIME, *empties.names.columns), row)
    frame = named.with_columns(pl.Series(TIME, times[order], dtype=pl.Int64), *others)
    return Asked(frame, np.concatenate([empties.key, key])[order], row, own)


def _or_null(rows: pl.DataFrame, row: Ints) -> list[pl.Series]:
    """Give the columns of rows at some places, null where that is -1: quicker than to gather what may be null."""
    if not rows.width or not rows.height:
        return rows.clear(row.size).get_columns()
    return taken(rows, np.maximum(row, 0)).select(pl.when(pl.Series(row >= 0)).then(pl.all())).get_columns()


def answers(operator: TrailingOperator, asked: Asked, held: Rows, line: Line) -> pl.DataFrame:
    """Evaluate all windows for all rows that ask."""
    order = stable_order(asked.key)  # they come in order of time
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    evaluation = Evaluation(_kept(operator, held), operator.calls)
    edges = _edges(operator, asked, held, line, order)
    found: list[pl.Series] = []
    for (window, columns), calls in zip(operator.windows, operator.calls, strict=True):
        results = evaluation.results(calls, edges.ranges(window.delayed + window.width, window.delayed), back)
        found += results.select(a.expr.cast(a.type.physical).alias(name) for name, a in columns.items()).get_columns()
    hull = edges.ranges(operator.memory, min(window.delayed for window, _ in operator.windows))
    items = evidence.latest(held, hull.taken(back), asked.own, asked.row)
    return asked.frame.with_columns(*found, items.alias(EVIDENCE)).select(list(operator.output.physical))


def _kept(operator: TrailingOperator, held: Rows) -> pl.DataFrame:
    stored = {name: held.column(name) for name in {name for calls in operator.calls for name in calls.stored}}
    return pl.DataFrame({TIME: pl.Series(held.time, dtype=pl.Int64), **stored})


def _edges(operator: TrailingOperator, asked: Asked, held: Rows, line: Line, order: Ints) -> Edges:
    """Give the edges of the windows of rows that ask, in an order by (key, time).

    Up to now nothing is searched where events that ask are held themselves: they are the newest rows in the same order,
    and an empty row stands behind the event before it, or behind the older rows of its key, all of which are earlier.
    """
    places = line.places(held.key, held.time)
    edges = Edges(line, places, asked.key.take(order), asked.frame.get_column(TIME).to_numpy().take(order))
    if not operator.probe:
        last, own = held.own + 1, places.take(held.own)
        tied = np.flatnonzero(own[1:] == own[:-1])
        last[tied] = np.searchsorted(places, own[tied], side="right")
        up_to_now = held.newest.take(edges.key)
        up_to_now[asked.row.take(order) >= 0] = last
        edges.found[0] = np.maximum.accumulate(up_to_now)
    return edges
