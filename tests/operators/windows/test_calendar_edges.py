"""Calendar days where there is no calendar: a watermark before all events, or behind them."""

from __future__ import annotations

import pytest

from operators.windows.grids import CalendarGrid

GRID = CalendarGrid(minute=300, zone="Europe/Berlin")


@pytest.mark.parametrize("watermark", [-(1 << 62), 1 << 62])
def test_a_watermark_outside_of_all_years_counts_as_the_edge_of_the_calendar(watermark: int) -> None:
    edge = GRID.done(watermark)
    assert edge == GRID.done(watermark // 2)
    assert abs(edge) < 1 << 43
