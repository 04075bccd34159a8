"""What real data is like: how far records come behind, how fast, how long a stream is silent (`check --measure`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from operators.lookups import look_up
from streams.local.feed import open_feed
from streams.pseudonyms import load_pseudonyms
from tocsin.model.display import display
from tocsin.model.rows import POSITION, TIME
from tocsin.model.types import DURATION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.expressions.bound import Lookup
    from tocsin.compiler import StreamPlan

_ANY_LATENESS = 1 << 50
_SHARES = (0.5, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class Measured:
    """One stream's source. Times in milliseconds of event time.

    `behind`: how far records are behind the greatest event time before them, at the shares 0.5, 0.99, 0.999 and 1.
    `silence`: the longest time between two events. `late`: records that the declared lateness would call late.
    """

    stream: str
    records: int
    put_aside: int
    per_second: float
    behind: tuple[int, ...]
    silence: int
    late: int
    lateness: int
    idle: int

    def as_json(self) -> dict[str, object]:
        """Give the numbers as JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """Say it in a few lines."""
        shares = ", ".join(f"{share:.1%} {_span(ms)}" for share, ms in zip(_SHARES, self.behind, strict=True))
        return "\n".join(
            [
                f"\n{self.stream}: {self.records:,} records, {self.put_aside:,} put aside",
                f"  rate     {self.per_second:,.1f} a second of event time",
                f"  behind   {shares}",
                f"  late     {self.late:,} with the declared lateness of {_span(self.lateness)}",
                f"  silence  {_span(self.silence)} at most; declared idle {_span(self.idle)}",
            ]
        )


def measure_stream(plan: StreamPlan, uri: str) -> Measured:
    """Read a source to its end, and measure it; memory holds the times only."""
    feed = open_feed(replace(plan, lateness=_ANY_LATENESS, checks=(), derive=()), uri, load_pseudonyms(), _refuse)
    parts, aside = [pl.Series(TIME, [], dtype=pl.Int64)], 0
    while (read := feed.read(131_072)) is not None:
        parts.append(read.rows.sort(POSITION).get_column(TIME))
        aside += read.aside.height
    times = pl.concat(parts)
    if times.is_empty():
        return Measured(plan.name, 0, aside, 0.0, (0,) * len(_SHARES), 0, 0, plan.lateness, plan.idle)
    before = times.cum_max().shift(1)
    behind = (before - times).clip(lower_bound=0).fill_null(0)
    span = int(times.max()) - int(times.min())  # type: ignore[arg-type]  # Int64
    late = int((times < before - plan.lateness).sum())
    shares = tuple(int(behind.quantile(share, "higher") or 0) for share in _SHARES)
    silence = int(times.sort().diff().max() or 0)  # type: ignore[arg-type]  # Int64
    rate = len(times) * 1000 / span if span else float(len(times))
    return Measured(plan.name, len(times), aside, rate, shares, silence, late, plan.lateness, plan.idle)


def _refuse(rows: pl.DataFrame, lookups: Sequence[Lookup]) -> pl.DataFrame:
    return look_up(rows, lookups, {}, {})


def _span(ms: int) -> str:
    return display(ms, DURATION)
