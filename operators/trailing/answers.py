"""The rows that a step gives: those that asked, with the columns of all windows and their evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.trailing import evidence
from operators.trailing.evaluate import Evaluation
from operators.trailing.memory import stable_order, taken
from operators.trailing.ranges import Edges, Line, Ranges
from tocsin.model.rows import EVIDENCE, TIME

if TYPE_CHECKING:
    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows
    from operators.trailing.operator import TrailingOperator

EMPTY_ID = "\x00"
"""Before the key's text in the id of an empty row."""
AFTER_EMPTY_ID = "\x01"


class Asked(NamedTuple):
    """Rows that want to know, in order of (time, id).

    `key`: index of the key among the held rows' keys. `row`: index in `own`, the items by which rows are named where no
    window holds them; -1 for an empty row.
    """

    frame: pl.DataFrame
    key: Ints
    row: Ints
    own: pl.Series | None


def answers(operator: TrailingOperator, asked: Asked, held: Rows, line: Line) -> pl.DataFrame:
    """Evaluate all windows for all rows that ask."""
    time = asked.frame.get_column(TIME).to_numpy()
    order = stable_order(asked.key)  # they come in order of time
    stored = {name: held.column(name) for name in {name for calls in operator.calls for name in calls.stored}}
    kept = pl.DataFrame({TIME: pl.Series(held.time, dtype=pl.Int64), **stored})
    evaluation = Evaluation.of(kept, operator.calls)
    edges = Edges(line, line.places(held.key, held.time), asked.key[order], time[order])
    frames: list[pl.DataFrame] = []
    for (window, columns), calls in zip(operator.windows, operator.calls, strict=True):
        results = evaluation.results(calls, edges.ranges(window.delayed + window.width, window.delayed))
        frames.append(results.select(a.expr.cast(a.type.physical).alias(name) for name, a in columns.items()))
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    low, high = edges.ranges(operator.memory, min(window.delayed for window, _ in operator.windows))
    items = evidence.latest(held, Ranges(low[back], high[back]), asked.own, asked.row)
    found = taken(pl.concat(frames, how="horizontal"), back)
    given = asked.frame.with_columns(*found.get_columns(), items.alias(EVIDENCE))
    return given.select(list(operator.output.physical))
