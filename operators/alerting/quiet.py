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
    from operators.alerting.steps import Mask, Steps

_MASK, _STEP = "__mask", "__step"


def quiet_runs(taken: Steps, known: pl.DataFrame, spec: MachineSpec, limit: int) -> Mask:
    """Tell for each run of a call whether it is all that its fingerprint has in it, and changes nothing.

    Args:
        taken: the steps of the call.
        known: the episodes before it.
        spec: the rule.
        limit: ticks up to here belong to the call.

    """
    runs = taken.runs
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
    latches, memory = list(latch_columns(spec)), list(memory_columns(spec))
    spoken = known.select(latches)[numbers[spoke]].with_columns(taken.rows.select(memory)[last[spoke]])
    silent = known[numbers[~spoke]]
    order = np.concatenate([last[spoke], last[~spoke]])
    after: pl.DataFrame = pl.concat([spoken.select(silent.columns), silent])
    marks = (pl.Series(_MASK, taken.masks[order]), pl.Series(_STEP, taken.times[order]))
    return after.with_columns(marks).with_columns(_seen(spec)).with_columns(_due(spec)).drop(_MASK, _STEP)


def _seen(spec: MachineSpec) -> list[pl.Expr]:
    renewed = [
        pl.when(pl.col(_MASK) & 1 << bit != 0).then(_STEP).otherwise(name).alias(name)
        for bit, name in enumerate(per_level("support", spec))
    ]
    return [pl.col(_STEP).alias("__seen"), *renewed]


def _due(spec: MachineSpec) -> pl.Expr:
    dues = [pl.col("__seen") + spec.expires_ms]
    for bit, (pending, support) in enumerate(zip(per_level("pending", spec), per_level("support", spec), strict=True)):
        waits, holds = (pl.col(name) & 1 << bit != 0 for name in ("__waiting", "__held"))
        dues.append(pl.when(waits).then(pl.col(pending) + spec.for_ms))
        if spec.keep_ms is not None:
            dues.append(pl.when(waits | holds).then(pl.col(support) + spec.keep_ms))
    return pl.min_horizontal(dues).alias(DUE)
