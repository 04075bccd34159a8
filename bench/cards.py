"""Five months of real card transactions: the customer's last 1, 7 and 30 days, and the shipped payment rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.context import ROOT
from bench.job import measure
from bench.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.context import Bench

LEAST = 0.5e6


def rows(bench: Bench) -> Iterator[Row]:
    """Give the row, or say that the data are not there."""
    file = bench.data / "transactions" / "transactions.parquet"
    if not file.exists():
        yield Row("card transactions", None, "events/s", LEAST, note=f"no {file}: set TOCSIN_DATA")
        return
    job = bench.job(ROOT / "topologies" / "payments.yaml", transactions=f"parquet:{file}")
    report = measure(job)
    note = f"{report.records} transactions, {report.transitions} transitions"
    yield Row("card transactions", report.rate, "events/s", LEAST, cpu=report.cpu, note=note)
