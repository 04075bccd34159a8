"""What was probably meant by a name that nobody knows."""

from __future__ import annotations

import pytest

from tocsin.errors import did_you_mean, nearest


class TestNearest:
    @pytest.mark.parametrize(
        ("name", "known", "meant"),
        [
            ("amont", ["card", "amount"], "amount"),
            ("RED", ["orange", "red"], "red"),
            ("kind", ["Kind", "kin"], "Kind"),
            ("xyz", ["card", "amount"], ""),
            ("card", [], ""),
        ],
    )
    def test_it_is_spelled_most_like_it_whatever_its_capital_letters(
        self, name: str, known: list[str], meant: str
    ) -> None:
        assert nearest(name, known) == meant

    def test_how_alike_names_have_to_be_can_be_said(self) -> None:
        assert not nearest("pq", ["parquet"])
        assert nearest("pq", ["parquet"], 0.4) == "parquet"

    def test_it_ends_a_sentence(self) -> None:
        assert did_you_mean("amont", ["amount"]) == "; did you mean 'amount'?"
        assert not did_you_mean("xyz", ["amount"])
