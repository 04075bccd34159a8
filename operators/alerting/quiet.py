"""Episodes that go on as they are: an alert that keeps firing, a level that stays pending. All in columns.

Most rows of an open alert say again what the machine knows. If the steps of a fingerprint in a call are equal, let
nothing rise or fall, and no timer or `updated` is due in the call, then all that changes is when the fingerprint was
seen and its levels were true, and the row by which a later tick is explained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.alerting.episodes import DUE, latch_columns, per_level
from operators.alerting.steps import FALSE_SHIFT, LEVEL_BITS, RESET_SHIFT, memory_columns

if TYPE_CHECKING:
    from operators.alerting.rule import MachineSpec
    from operators.alerting.steps import Array, Mask, Steps


def quiet_runs(taken: Steps, known: pl.DataFrame, spec: MachineSpec, limit: int) -> Mask:
    """Tell for each run of a call whether it is all that its fingerprint has in it, and changes nothing.

    Args:
        taken: the steps of the call.
        known: the episodes before it.
        spec: the rule.
        limit: ticks up to here belong to the call.

    """
    runs = taken.runs
    if not known.height:
        return np.zeros(len(runs.number), dtype=np.bool_)
    repeated = runs.number[1:] == runs.number[:-1]
    quiet = runs.number < known.height
    quiet[1:] &= ~repeated
    quiet[:-1] &= ~repeated
    at = runs.number[quiet]
    held, waiting, changed, due = (known[f"__{name}"].to_numpy()[at] for name in ("held", "waiting", "changed", "due"))
    mask, time = taken.masks[runs.last[quiet]], taken.times[runs.last[quiet]]
    true, false, falling = (mask >> shift & LEVEL_BITS for shift in (0, FALSE_SHIFT, RESET_SHIFT))
    steady = (true & ~(held | waiting) == 0) & (falling & held == 0) & ((false | falling) & waiting == 0)
    untold = (held == 0) | (time - changed < spec.update_every_ms)
    quiet[quiet] = steady & untold & (due > np.maximum(time, limit))
    return quiet


def carried_on(taken: Steps, quiet: Mask, known: pl.DataFrame, spec: MachineSpec) -> pl.DataFrame:
    """Give the episodes of the quiet runs as they are after them."""
    numbers, last = taken.runs.number[quiet], taken.runs.last[quiet]
    spoke = taken.masks[last] & (LEVEL_BITS | LEVEL_BITS << FALSE_SHIFT) != 0
    memory, latches = list(memory_columns(spec)), list(latch_columns(spec))
    after: pl.DataFrame = taken.rows[memory][last[spoke]].hstack(known[latches][numbers[spoke]].get_columns())
    if not spoke.all():
        after = pl.concat([after, known[after.columns][numbers[~spoke]]])
    order = np.concatenate([last[spoke], last[~spoke]])
    for column in _renewed(after, taken.masks[order], taken.times[order], spec):
        after.replace_column(after.get_column_index(column.name), column)
    return after


def _renewed(episodes: pl.DataFrame, masks: Array, times: Array, spec: MachineSpec) -> list[pl.Series]:
    """Give the columns that are new: when the fingerprint was seen, its levels were true, and what is due."""
    columns, due = {"__seen": times}, times + spec.expires_ms
    waiting, held = (episodes.get_column(name).to_numpy() for name in ("__waiting", "__held"))
    for bit, (pending, support) in enumerate(zip(per_level("pending", spec), per_level("support", spec), strict=True)):
        old = episodes.get_column(support).to_numpy()
        columns[support] = np.where(masks & 1 << bit != 0, times, old)
        waits, holds = waiting & 1 << bit != 0, held & 1 << bit != 0
        begun = episodes.get_column(pending).to_numpy()
        due = np.where(waits, np.minimum(due, begun + spec.for_ms), due)
        if spec.keep_ms is not None:
            due = np.where(waits | holds, np.minimum(due, columns[support] + spec.keep_ms), due)
    return [pl.Series(name, column) for name, column in (columns | {DUE: due}).items()]
