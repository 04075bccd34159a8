"""The shipped topologies over real data: the published window features, the fixed limit, sessions in their disorder."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from streams.local.assembly import load_tables, make_flow, open_inputs
from streams.local.runner import Runner, Settings, Summary
from streams.pseudonyms import load_pseudonyms
from tocsin.compiler import compile_topology
from tocsin.language import load

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TOCSIN_DATA", ROOT.parent / "shared" / "data"))

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not (DATA / "transactions").is_dir(), reason="real data: NOT RUN"),
]

TIES = 8
"""Payments of one customer in one second, which the published features put in an order of their own."""


def computed(topology: str, name: str, sources: dict[str, Path], *, rule: bool = False) -> tuple[pl.DataFrame, Summary]:
    """Give the rows of a feature or the transitions of a rule over Parquet sources, and what the run says of itself."""
    plan = compile_topology(load(ROOT / "topologies" / topology))
    stage = plan.rules[name].stage if rule else plan.outputs[name]
    uris = {stream: f"parquet:{path}" for stream, path in sources.items()}
    flow, rows = make_flow(plan, [stage]), list[pl.DataFrame]()
    load_tables(flow, uris, ROOT / "topologies", load_pseudonyms())
    settings = Settings(receive=lambda _, given: rows.append(given))
    summary = Runner(plan, flow, open_inputs(flow, uris, load_pseudonyms()), settings=settings).run()
    return pl.concat(rows), summary


class TestHandbook:
    """The window features that the handbook publishes."""

    def test_every_row_equals_the_published_one(self, tmp_path: Path) -> None:
        known = pl.read_parquet(DATA / "transactions/window_features_oracle.parquet")
        every = pl.read_parquet(DATA / "transactions/transactions.parquet")
        frauds = pl.read_parquet(DATA / "transactions/labels.parquet")["transaction_id"].implode()
        paid = every.join(known.select("transaction_id"), on="transaction_id", how="semi").sort(
            "event_time", "transaction_id"
        )
        labels = paid.select(
            "transaction_id", "terminal_id", label_time=pl.col("event_time") + pl.duration(days=7),
            is_fraud=pl.col("transaction_id").is_in(frauds),
        )  # fmt: skip
        sources = {"transactions": tmp_path / "T.parquet", "labels": tmp_path / "L.parquet"}
        paid.write_parquet(sources["transactions"])
        labels.write_parquet(sources["labels"])
        got, _ = computed("handbook.yaml", "handbook", sources)
        both = known.join(got.drop_nulls("transaction_id"), on="transaction_id", suffix="_got")
        assert both.height == known.height == paid.height
        for column in known.columns[1:]:
            off = (pl.col(column) - pl.col(f"{column}_got").cast(pl.Float64)).abs() > 1e-6 * pl.col(column).abs()
            wrong = both.filter(off.fill_null(value=True)).height
            assert wrong <= (TIES if column.startswith("customer") else 0), column


class TestPayments:
    """The rules over five months of payments."""

    def test_the_limit_finds_all_of_the_first_scenario(self) -> None:
        labels = pl.read_parquet(DATA / "transactions/labels.parquet")
        source = {"transactions": DATA / "transactions/transactions.parquet"}
        got, _ = computed("payments.yaml", "amount-limit", source, rule=True)
        raised = got.select(
            pl.col("entity").str.json_path_match("$.transaction_id").cast(pl.Int64).alias("transaction_id")
        )
        assert raised["transaction_id"].is_unique().all()
        found = Counter(labels.join(raised, on="transaction_id", how="semi")["fraud_scenario"].to_list())
        assert found[1] == labels.filter(pl.col("fraud_scenario") == 1).height
        assert raised.height == found.total()


class TestSignaling:
    """Sessions replayed as they were written: sorted by their end, event time their start."""

    def test_every_record_read_is_accounted_for(self, tmp_path: Path) -> None:
        path = tmp_path / "sessions.parquet"
        pl.read_parquet(DATA / "signaling/sessions_2015_08.parquet").sort("end", maintain_order=True).write_parquet(
            path
        )
        got, summary = computed("signaling.yaml", "records", {"sessions": path})
        tally = summary.tally
        left_out = sum(tally.stages["records", what] for what in ("duplicates", "null_keys"))
        assert tally.aside["sessions", "late"] == 1023
        assert got["records"].sum() + sum(tally.aside.values()) + left_out == summary.records == 287_485
