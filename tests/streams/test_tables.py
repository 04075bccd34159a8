"""Rows of tables become versions, by the decoder that reads the streams."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import polars as pl
import pytest

from operators.lookups import ALWAYS, GONE
from streams.pseudonyms import Pseudonyms
from streams.tables import read_table
from streams.texts import read_texts
from tocsin.errors import SourceError
from tocsin.model.rows import TIME
from tocsin.model.types import INT64, POINT, STRING, TIMESTAMP, Kind, Type, decimal

if TYPE_CHECKING:
    from pathlib import Path

    from tocsin.compiler.plan import TablePlan

PSEUDONYMS = Pseudonyms(b"a key for these tests")
FIELDS = {"terminal": STRING, "place": POINT, "limit": decimal(2)}


def table(**words: object) -> TablePlan:
    """Stand in for what the compiler gives, without the compiler."""
    usual = {"name": "terminals", "key": ("terminal",), "fields": FIELDS, "time": None, "file": "", "rows": None}
    return SimpleNamespace(**usual | words)  # type: ignore[return-value]  # the words that are read


class TestInlineRows:
    def test_texts_are_typed_by_the_fields_and_valid_from_the_beginning(self, tmp_path: Path) -> None:
        rows = ({"terminal": "bj", "place": "39.90 116.40", "limit": "57.16"}, {"terminal": "0044"})
        read = read_table(table(rows=rows), None, tmp_path, PSEUDONYMS)
        assert read.versions.rows() == [
            ("bj", {"lat": 39.90, "lon": 116.40}, 5716, ALWAYS, False),
            ("0044", None, None, ALWAYS, False),
        ]
        assert read.versions.columns == [*FIELDS, TIME, GONE]

    def test_a_bad_row_is_an_error_that_names_row_and_field(self, tmp_path: Path) -> None:
        for row, message in (
            ({"terminal": "sh", "limit": "1.234"}, "terminals, row 2: limit is does-not-fit"),
            ({"limit": "1"}, "terminals, row 2: terminal is missing"),
        ):
            with pytest.raises(SourceError, match=message):
                read_table(table(rows=({"terminal": "bj"}, row)), None, tmp_path, PSEUDONYMS)

    def test_texts_of_any_place_can_be_read(self) -> None:
        assert read_texts([{"n": "5"}], {"n": INT64}, (), "test").rows() == [(5,)]


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("t.csv", "limit,terminal,place\n5.00,bj,39.9 116.4\nx,sh,\n,hk,\n"),
            (
                "t.ndjson",
                '{"terminal":"bj","place":[39.9,116.4],"limit":5}\n{"terminal":"sh","limit":"x"}\n{"terminal":"hk"}',
            ),
        ],
    )
    def test_a_file_beside_the_topology_is_read_by_its_ending_and_bad_rows_die(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        (tmp_path / name).write_text(text)
        read = read_table(table(file=name), None, tmp_path, PSEUDONYMS)
        assert read.versions.select("terminal", "place", "limit").rows() == [
            ("bj", {"lat": 39.9, "lon": 116.4}, 500),
            ("hk", None, None),
        ]
        assert read.dead.select("stream", "offset", "reason", "field").rows() == [
            ("terminals", 1, "wrong-type", "limit")
        ]

    def test_a_file_without_the_key_or_without_a_good_row_is_refused(self, tmp_path: Path) -> None:
        pl.DataFrame({"terminals": ["bj"]}).write_parquet(tmp_path / "t.parquet")
        with pytest.raises(SourceError, match=r"no column 'terminal'.*did you mean 'terminals'"):
            read_table(table(file="t.parquet"), None, tmp_path, PSEUDONYMS)
        (tmp_path / "t.csv").write_text("limit\n5\n")
        with pytest.raises(SourceError, match=r"no good row; the first: missing terminal"):
            read_table(table(file="t.csv"), None, tmp_path, PSEUDONYMS)

    def test_an_ending_without_a_format_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="the ending says no format"):
            read_table(table(file="t.xlsx"), None, tmp_path, PSEUDONYMS)

    def test_an_empty_file_and_a_table_without_any_source_are_empty(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("terminal,limit\n")
        for plan in (table(file="t.csv"), table(topic="t")):
            read = read_table(plan, None, tmp_path, PSEUDONYMS)
            assert read.versions.height == 0
            assert read.versions.columns == [*FIELDS, TIME, GONE]


class TestVersions:
    def test_a_table_with_a_time_has_versions_in_order_of_time_and_the_last_of_a_moment_counts(
        self, tmp_path: Path
    ) -> None:
        plan = table(fields={"terminal": STRING, "at": TIMESTAMP, "limit": INT64}, time="at")
        (tmp_path / "x.csv").write_text("terminal,at,limit\na,200,2\na,100,1\nb,200,7\na,200,3\nc,,9\n")
        read = read_table(plan, f"csv:{tmp_path}/x.csv", tmp_path, PSEUDONYMS)
        assert read.versions.select("terminal", TIME, "limit").rows() == [("a", 100, 1), ("b", 200, 7), ("a", 200, 3)]
        assert read.dead.select("reason", "field").rows() == [("missing", "at")]

    def test_persons_are_the_pseudonyms_that_streams_have(self, tmp_path: Path) -> None:
        phone = Type(Kind.STRING, person="phone")
        plan = table(key=("phone",), fields={"phone": phone}, rows=({"phone": "555"},))
        read = read_table(plan, None, tmp_path, PSEUDONYMS)
        assert read.versions["phone"].to_list() == PSEUDONYMS.of(pl.Series(["555"]), "phone").to_list()
