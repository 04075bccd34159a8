"""`same`: the window of the rows read. Rows of a feature are aggregated once more, each window by itself.

Rows of one time arrive in one step, so nothing is kept between steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.contract import Step
from operators.windows.results import finished
from tocsin.model.rows import EVIDENCE, TIME, WINDOW_END, WINDOW_START

if TYPE_CHECKING:
    import polars as pl

    from operators.contract import Instant, State
    from operators.windows.results import WindowColumns
    from tocsin.model.rows import Schema


@dataclass(frozen=True, slots=True)
class SameWindow:
    """Aggregate rows with equal key and window; the row keeps their time."""

    name: str
    by: tuple[str, ...]
    window: WindowColumns
    output: Schema

    def initial(self) -> State:
        """Nothing is kept."""
        return {}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:  # noqa: ARG002  # needs no clock
        """Give one row per key and window of the rows."""
        if rows.is_empty():
            return Step(self.output.empty(), state, None)
        keys = [*self.by, TIME, WINDOW_START, WINDOW_END]
        own = self.window.accumulators
        prepared = own.prepare(rows, keys)
        values = {bag.column: bag.partial(prepared, keys) for bag in own.bags}
        results = self.window.results(own.partial(prepared, keys), values, keys)
        kept = [*keys, EVIDENCE] if own.evidence else keys
        table = results.select(kept).hstack(self.window.evaluate(results))
        return Step(finished(table, self.by, self.output), state, None)
