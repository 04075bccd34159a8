"""Immediate rules: a condition on one event need not wait for the watermark (semantics 19).

Time is cut into cells of `keep`, from the epoch. An alert is the first event, in (time, id), of a fingerprint, a level
and a cell: the level of an event is the highest one whose `when` holds. It is `raised`, and closed at birth.

The truth comes from `ImmediateMachine.step`, at the watermark. `early_copies` says the same at once, for a host that
wants it: of events in the order of arrival, with `early: true` and the same id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.alerting.steps import with_evidence
from operators.alerting.transitions import LOG, Said, Writer, nothing_said
from operators.contract import Step
from tocsin.model import few
from tocsin.model.alerts import CLOSED_AT_BIRTH
from tocsin.model.rows import ID, TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from operators.alerting.rule import MachineSpec
    from operators.contract import Instant, State
    from tocsin.model.rows import Schema

CELLS = "cells"
SEEN_MOST = 100_000
"""Cells that early copies remember: a forgotten one may be given twice, which the truth replaces anyway."""

_LEVEL, _CELL = "__level", "__cell"

Cells = dict[tuple[object, ...], None]
"""Fingerprints with level and cell, in the order in which they came."""


@dataclass(frozen=True, slots=True)
class ImmediateMachine:
    """The operator of an immediate rule: rows of a stream with `spec.read` and the conditions, to rows of LOG.

    State: `cells`, the ones that have their alert; a cell is forgotten when the watermark has passed it.
    """

    spec: MachineSpec
    name: str = "alerts"
    output: Schema = LOG
    _writer: Writer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare what all calls share."""
        object.__setattr__(self, "_writer", Writer(self.spec))

    def initial(self) -> State:
        """Give the state before any row."""
        return {CELLS: _no_cells(self.spec)}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Give the first event of each cell that has none yet."""
        cells = state[CELLS]
        fresh = _first_of_cells(_hits(rows, self.spec), cells)
        if fresh is not None:
            cells = pl.concat([cells, fresh[cells.columns]])
        if cells.height:
            open_cell = (pl.col(_CELL) + 1) * _width(self.spec) - 1 > instant.watermark
            cells = cells.filter(open_cell)
        return Step(self._raised(fresh), {CELLS: cells}, None)

    def early_copies(self, rows: pl.DataFrame, seen: Cells) -> pl.DataFrame:
        """Give early copies of the alerts of a batch, in any order, late or doubled.

        Args:
            rows: as for `step`, as they arrived.
            seen: the cells that were given, at most SEEN_MOST, the latest last; what is given now is added.

        """
        hits = _hits(rows, self.spec)
        if hits is None:
            return nothing_said()
        first = [False] * hits.height
        for row, cell in _by_time(hits, [*self.spec.entity, _LEVEL, _CELL]):
            first[row] = cell not in seen
            seen[cell] = None
        for cell in list(islice(seen, max(0, len(seen) - SEEN_MOST))):
            del seen[cell]
        if not any(first):
            return nothing_said()
        return self._raised(hits if all(first) else few.kept(hits, pl.Series(first)), early=True)

    def last_moments(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Give the last moment (ms) of the cell of each time."""
        width = _width(self.spec)
        return (times // width + 1) * width - 1

    def _raised(self, rows: pl.DataFrame | None, *, early: bool = False) -> pl.DataFrame:
        if rows is None:
            return nothing_said()
        levels, cells = rows[_LEVEL].to_list(), rows[_CELL].to_list()
        names = ["", *(f'"{one.level.name.lower()}"' for one in self.spec.levels)]
        said = Said(
            level=levels,
            before=[0] * rows.height,
            time=rows[TIME].to_list(),
            sequence=[1] * rows.height,
            identity=[f"{names[level]},{cell}" for level, cell in zip(levels, cells, strict=True)],
            reason=[CLOSED_AT_BIRTH] * rows.height,
        )
        return self._writer.write(said, with_evidence(rows), early=early)


def _by_time(hits: pl.DataFrame, cells: Sequence[str]) -> list[tuple[int, tuple[object, ...]]]:
    """Give the number and the cell of each row, by (time, id)."""
    times, ids = hits.get_column(TIME).to_list(), hits.get_column(ID).to_list()
    found = list(zip(*(hits.get_column(name).to_list() for name in cells), strict=True))
    return [(row, found[row]) for row in sorted(range(hits.height), key=lambda row: (times[row], ids[row] or ""))]


def _no_cells(spec: MachineSpec) -> pl.DataFrame:
    entity = {name: kind.physical for name, kind in spec.entity.items()}
    return pl.DataFrame(schema={**entity, _LEVEL: pl.Int32(), _CELL: pl.Int64()})


def _width(spec: MachineSpec) -> int:
    return spec.keep_ms or 1  # the spec of an immediate rule refuses to be without


def _hits(rows: pl.DataFrame, spec: MachineSpec) -> pl.DataFrame | None:
    """Give the rows on which a level holds, with their level and cell; None where there are none."""
    level = np.zeros(rows.height, dtype=np.int32)
    for number, one in enumerate(spec.levels, start=1):
        level[_true(rows, one.when)] = number
    if spec.unless:
        level[_true(rows, spec.unless)] = 0
    at = np.flatnonzero(level)
    if not at.size:
        return None
    hits = rows if at.size == rows.height else few.kept(rows, pl.Series(level > 0))
    cells = hits.get_column(TIME).to_numpy() // _width(spec)
    return hits.hstack([pl.Series(_LEVEL, level[at]), pl.Series(_CELL, cells)])


def _true(rows: pl.DataFrame, name: str) -> npt.NDArray[np.bool_]:
    """Mark where a condition is true; null is not."""
    condition = rows.get_column(name)
    return (condition.fill_null(value=False) if condition.null_count() else condition).to_numpy()


def _first_of_cells(hits: pl.DataFrame | None, seen: pl.DataFrame) -> pl.DataFrame | None:
    """Give the first row of each (fingerprint, level, cell) that is not in `seen`; None where there is none."""
    if hits is None:
        return None
    first = hits.unique(seen.columns, keep="first", maintain_order=True)
    if seen.height:
        first = first.join(seen, on=seen.columns, how="anti", nulls_equal=True, maintain_order="left")
    return first if first.height else None
