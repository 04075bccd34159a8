"""The published window features of real card transactions, in every row."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from trailing_oracle import column

from operators.contract import Instant
from operators.expressions.bound import AggregateCall, Bound
from operators.trailing import trailing_operator
from tocsin.model.rows import ID, POSITION, TIME, Schema
from tocsin.model.types import FLOAT64, INT64, decimal
from tocsin.model.windows import Trailing

if TYPE_CHECKING:
    from operators.trailing import TrailingOperator

DATA = Path(os.environ.get("TOCSIN_DATA", "../shared/data")) / "transactions"
DAY = 86_400_000
DAYS = (1, 7, 30)
SLICE = 150_000
TIES = 8
"""Rows of the oracle that differ among ties of the same customer in the same second (README of the data)."""

FIELDS = {"transaction_id": INT64, "customer_id": INT64, "terminal_id": INT64, "amount": decimal(2), "is_fraud": INT64}
SCHEMA = Schema(FIELDS, (TIME, ID, POSITION))
COUNT = column(AggregateCall("count", INT64, "count()"))

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.exists(), reason=f"real data: {DATA} is not there (set TOCSIN_DATA)"),
]


def average(name: str) -> AggregateCall:
    bound = Bound(pl.col(name), FIELDS[name], frozenset([name]), (), name)
    return AggregateCall("avg", FLOAT64, f"avg({name})", bound)


@pytest.fixture(scope="module")
def oracle() -> pl.DataFrame:
    return pl.read_parquet(DATA / "window_features_oracle.parquet")


@pytest.fixture(scope="module")
def rows(oracle: pl.DataFrame) -> pl.DataFrame:
    """Transactions of the oracle's two months, in order of (time, id)."""
    transactions = pl.read_parquet(DATA / "transactions.parquet").head(oracle.height)
    labels = pl.read_parquet(DATA / "labels.parquet").get_column("transaction_id")
    return transactions.select(
        pl.col("event_time").cast(pl.Int64).alias(TIME),
        pl.col("transaction_id").cast(pl.String).alias(ID),
        pl.int_range(pl.len(), dtype=pl.Int64).alias(POSITION),
        "transaction_id",
        pl.col("customer_id", "terminal_id").cast(pl.Int64),
        (pl.col("amount") * 100).round().cast(pl.Int64),
        pl.col("transaction_id").is_in(labels.implode()).cast(pl.Int64).alias("is_fraud"),
    ).sort(TIME, ID)


def run(operator: TrailingOperator, rows: pl.DataFrame) -> pl.DataFrame:
    state, found = operator.initial(), []
    watermarks = [*rows.get_column(TIME).gather_every(SLICE).to_list()[1:], rows.get_column(TIME)[-1]]
    since = -1
    for watermark in watermarks:
        step = operator.step(rows.filter(pl.col(TIME).is_between(since + 1, watermark)), state, Instant(watermark))
        state, since = step.state, watermark
        found.append(step.rows)
    return pl.concat(found).drop_nulls("transaction_id")


def differing(found: pl.DataFrame, oracle: pl.DataFrame, pairs: dict[str, str]) -> int:
    """Count the rows in which a feature differs by more than 1e-6 relative."""
    both = oracle.join(found, on="transaction_id", how="inner", suffix="_found")
    assert both.height == oracle.height
    wrong = [
        (pl.col(ours).fill_null(0) - pl.col(theirs)).abs() > 1e-6 * pl.col(theirs).abs()
        for ours, theirs in pairs.items()
    ]
    return both.filter(pl.any_horizontal(wrong)).height


class TestThePublishedFeatures:
    """The published features."""

    def test_customers_count_and_mean_of_1_7_and_30_days_are_equal(
        self, rows: pl.DataFrame, oracle: pl.DataFrame
    ) -> None:
        windows = [(Trailing(d * DAY), {f"n{d}": COUNT, f"mean{d}": column(average("amount"))}) for d in DAYS]
        found = run(trailing_operator("customer", ["customer_id"], windows, SCHEMA), rows)
        pairs = {f"n{d}": f"customer_id_nb_tx_{d}day_window" for d in DAYS}
        pairs |= {f"mean{d}": f"customer_id_avg_amount_{d}day_window" for d in DAYS}
        assert differing(found, oracle, pairs) <= TIES

    def test_terminals_count_and_fraud_share_behind_a_delay_of_7_days_are_equal(
        self, rows: pl.DataFrame, oracle: pl.DataFrame
    ) -> None:
        windows = [
            (Trailing(d * DAY, 7 * DAY), {f"n{d}": COUNT, f"risk{d}": column(average("is_fraud"))}) for d in DAYS
        ]
        found = run(trailing_operator("terminal", ["terminal_id"], windows, SCHEMA), rows)
        assert differing(found, oracle, terminal_pairs()) == 0

    def test_terminals_are_the_same_at_transactions_from_labels_that_arrive_after_7_days(
        self, rows: pl.DataFrame, oracle: pl.DataFrame
    ) -> None:
        windows = [(Trailing(d * DAY), {f"n{d}": COUNT, f"risk{d}": column(average("is_fraud"))}) for d in DAYS]
        labels = rows.with_columns(pl.col(TIME) + 7 * DAY)
        both = pl.concat(
            [
                rows.with_columns(pl.lit(None, dtype=pl.Int64).alias("is_fraud"), pl.lit(value=True).alias("__probe")),
                labels.with_columns(pl.lit(value=False).alias("__probe")),
            ]
        ).sort(TIME, ID)
        found = run(trailing_operator("terminal", ["terminal_id"], windows, SCHEMA, probe=True), both)
        assert differing(found, oracle, terminal_pairs()) == 0


def terminal_pairs() -> dict[str, str]:
    pairs = {f"n{d}": f"terminal_id_nb_tx_{d}day_window" for d in DAYS}
    return pairs | {f"risk{d}": f"terminal_id_risk_{d}day_window" for d in DAYS}
