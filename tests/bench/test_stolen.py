"""What others took of the machine stands beside the figures that it spoils."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import stolen
from bench.__main__ import _with_stolen
from bench.rows import Row
from bench.stolen import Stolen

if TYPE_CHECKING:
    from pathlib import Path


class TestStolen:
    """The share since the last question."""

    def test_is_the_steal_column_over_all_time(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        stat = tmp_path / "stat"
        monkeypatch.setattr(stolen, "_STAT", stat)
        stat.write_text("cpu  100 0 50 800 0 0 0 50 7 7\n")
        counted = Stolen()
        stat.write_text("cpu  160 0 60 820 0 0 0 60 7 7\n")
        assert counted.share() == pytest.approx(10 / 100)
        assert counted.share() == 0.0

    def test_is_nothing_where_the_system_does_not_say(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stolen, "_STAT", tmp_path / "none")
        assert Stolen().share() == 0.0

    @pytest.mark.parametrize(
        ("share", "note"), [(0.01, "as is"), (0.2, "as is; 20% of the machine's time went to others")]
    )
    def test_is_told_beside_a_figure_where_it_is_much(self, share: float, note: str) -> None:
        assert _with_stolen(Row("r", 1.0, "x", note="as is"), share).note == note
