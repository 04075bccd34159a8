"""Which stages may be stepped at once, and that nothing depends on whether they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from streams.local import stepping
from streams.local.dataflow import Dataflow
from streams.local.stepping import levels
from tocsin.cli.files import load_plan
from tocsin.model.rows import HASH, ID, POSITION, TIME

if TYPE_CHECKING:
    from pathlib import Path

    from tocsin.compiler import Plan

TOPOLOGY = """
topology: {name: t}
streams:
  s: {id: id, time: {field: at, lateness: 1s}, fields: {id: string, key: string, other: string, at: timestamp}}
features:
  by-key: {from: s, by: key, windows: {tumbling 10s: {n: count()}}}
  by-other: {from: s, by: other, windows: {tumbling 10s: {n: count()}}}
  again: {from: by-key, by: key, windows: {tumbling 1m: {m: sum(n)}}}
"""
ROWS = 3_000


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "t.yaml"
    file.write_text(TOPOLOGY)
    return load_plan(file)


def rows(begin: int) -> pl.DataFrame:
    number = np.arange(begin, begin + ROWS)
    texts = {name: [f"{name}{n % size}" for n in number] for name, size in ((ID, 10**9), ("key", 7), ("other", 11))}
    columns = pl.DataFrame({**texts, TIME: number * 10, "at": number * 10, POSITION: number})
    return columns.with_columns(pl.col(ID).alias("id"), pl.col(POSITION).cast(pl.UInt64).alias(HASH))


def given(plan: Plan, buckets: int) -> list[dict[str, pl.DataFrame]]:
    flow = Dataflow(plan, buckets=buckets, wanted=[stage.name for stage in plan.stages])
    steps = []
    for begin in range(0, 5 * ROWS, ROWS):
        flow.feed("s", rows(begin))
        steps.append(flow.advance({"s": (begin + ROWS) * 10 - 1_001}))
    return [*steps, flow.close(5 * ROWS * 10)]


class TestStepping:
    """Several stages, several threads, one result."""

    def test_stages_that_do_not_read_each_other_are_of_one_level(self, plan: Plan) -> None:
        assert [[stage.name for stage in level] for level in levels(plan.stages)] == [["by-key", "by-other"], ["again"]]

    @pytest.mark.parametrize("buckets", [1, 3])
    def test_threads_give_what_one_thread_gives(
        self, plan: Plan, buckets: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stepping, "WORTH_ROWS", 10**9)
        alone = given(plan, buckets)
        monkeypatch.setattr(stepping, "WORTH_ROWS", 0)
        monkeypatch.setattr(stepping, "_cores", lambda: 4)
        stepping._pool.cache_clear()
        together = given(plan, buckets)
        assert [list(step) for step in together] == [list(step) for step in alone]
        assert all(one[name].equals(other[name]) for one, other in zip(together, alone, strict=True) for name in one)
        assert sum(len(step) for step in alone) >= len(plan.stages)

    def test_an_error_of_one_stage_is_raised(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stepping, "WORTH_ROWS", 0)
        monkeypatch.setattr(stepping, "_cores", lambda: 2)
        flow = Dataflow(plan, wanted=["by-other", "again"])
        flow.feed("s", rows(0))
        monkeypatch.setattr("operators.reorder.Reorder.step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            flow.advance({"s": 10_000})
