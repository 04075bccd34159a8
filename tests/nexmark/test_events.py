"""The events are distributed as Nexmark's."""

from __future__ import annotations

import polars as pl
import pytest

from tests.nexmark.events import BEGIN, FIRST_ID, LATENESS, Load, generate, moments

LOAD = Load(200_000)
EVENTS = generate(LOAD)


def share(rows: pl.DataFrame, condition: pl.Expr) -> float:
    return rows.select(condition.mean()).item()  # type: ignore[no-any-return]  # a mean of truths


def extremes(rows: pl.DataFrame, number: pl.Expr) -> tuple[int, ...]:
    return rows.select(number.min().alias("least"), number.max().alias("most")).row(0)


class TestEvents:
    def test_are_the_same_for_the_same_seed_and_others_for_another(self) -> None:
        again, other = generate(LOAD), generate(LOAD, seed=2)
        for rows, same, unlike in zip(EVENTS, again, other, strict=True):
            assert rows.equals(same)
            assert not rows.equals(unlike)

    def test_of_fifty_one_is_a_person_and_three_are_auctions(self) -> None:
        assert [rows.height for rows in EVENTS] == [4_000, 12_000, 184_000]
        numbers = pl.concat(rows["event"] for rows in EVENTS)
        assert numbers.sort().equals(pl.Series("event", range(LOAD.events)))

    @pytest.mark.parametrize("rows", EVENTS[:2])
    def test_ids_are_given_in_order(self, rows: pl.DataFrame) -> None:
        assert rows.sort("event")["id"].to_list() == list(range(FIRST_ID, FIRST_ID + rows.height))

    def test_half_of_the_bids_are_for_a_hot_auction_and_three_of_four_by_a_hot_bidder(self) -> None:
        behind = pl.col("event") // 50 * 3 + 2 - (pl.col("auction") - FIRST_ID)
        assert share(EVENTS.bids, (pl.col("auction") - FIRST_ID) % 100 == 0) == pytest.approx(0.5 + 0.005, abs=0.01)
        assert share(EVENTS.bids, (pl.col("bidder") - FIRST_ID) % 100 == 1) == pytest.approx(0.75 + 0.0025, abs=0.01)
        assert extremes(EVENTS.bids, behind) == (-10, 100)

    def test_three_of_four_auctions_are_by_a_hot_seller(self) -> None:
        assert share(EVENTS.auctions, (pl.col("seller") - FIRST_ID) % 100 == 0) == pytest.approx(0.7525, abs=0.015)
        ahead = (pl.col("seller") - FIRST_ID) - pl.col("event") // 50
        assert extremes(EVENTS.auctions, ahead) == (-999, 10)

    def test_prices_are_alike_in_each_decade(self) -> None:
        decade = pl.col("price").log10().floor()
        shares = EVENTS.bids.group_by(decade).len().sort("price").filter(pl.col("len") > 100)["len"] / 184_000
        assert shares.to_list() == pytest.approx([1 / 6] * 6, abs=0.01)
        assert EVENTS.bids["price"].min() >= 100  # type: ignore[operator]  # Int64

    def test_time_goes_evenly_and_some_come_late_but_not_too_late(self) -> None:
        assert EVENTS.bids.select(pl.col("at") == BEGIN + pl.col("event") // 10).to_series().all()
        behind = EVENTS.bids["at"].cum_max() - EVENTS.bids["at"]
        assert 0 < behind.max() <= LATENESS  # type: ignore[operator]  # Int64
        assert 0.05 < (behind > 100).mean() < 0.1  # type: ignore[operator]  # a mean of truths

    def test_busy_and_quiet_take_turns(self) -> None:
        load = Load(0, busy=10, quiet=1, turn=60)
        numbers = pl.Series([0, 1, 599, 600, 601, 659, 660, 661])
        after = moments(load, numbers.to_numpy()) - BEGIN
        assert after.tolist() == [0, 100, 59_900, 60_000, 61_000, 119_000, 120_000, 120_100]
