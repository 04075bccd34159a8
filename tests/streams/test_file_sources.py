"""Files are read batch by batch as one partition, from any position again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codecs.decoder import OFFSET, Decoder
from streams.codecs.record import Layout
from streams.sources import json_documents
from streams.sources.contract import Columns, Records, Source
from streams.sources.opening import open_source
from tocsin.errors import SourceError
from tocsin.model.types import INT64, STRING, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.codecs.reasons import Dead

LAYOUT = Layout({"id": STRING, "at": TIMESTAMP, "count": INT64}, "at", "id")
Rows = list[tuple[str, int, int | None, int]]


def drain(source: Source, most: int = 3) -> tuple[Rows, list[Dead]]:
    """Read a source to its end."""
    decoder = Decoder(LAYOUT, source.format)
    rows: Rows = []
    dead: list[Dead] = []
    while (raw := source.read(most)) is not None:
        assert raw.count <= most
        decoded = decoder.decode(raw)
        rows += decoded.rows.select("id", "at", "count", OFFSET).rows()
        dead += decoded.dead
    return rows, dead


def write_ndjson(path: Path, first: int, count: int) -> None:
    path.write_text(
        "".join(json.dumps({"id": f"e{n}", "at": n, "count": n}) + "\n" for n in range(first, first + count))
    )


def write_csv(path: Path, first: int, count: int) -> None:
    path.write_text("count,id,at\n" + "".join(f"{n},e{n},{n}\n" for n in range(first, first + count)))


def write_parquet(path: Path, first: int, count: int) -> None:
    numbers = range(first, first + count)
    pl.DataFrame({"at": numbers, "id": [f"e{n}" for n in numbers], "count": numbers}).write_parquet(
        path, row_group_size=4
    )


def write_arrow(path: Path, first: int, count: int) -> None:
    numbers = range(first, first + count)
    pl.DataFrame({"at": numbers, "id": [f"e{n}" for n in numbers], "count": numbers}).write_ipc(path)


def write_json(path: Path, first: int, count: int) -> None:
    path.write_text(json.dumps([{"id": f"e{n}", "at": n, "count": n} for n in range(first, first + count)], indent=1))


def write_avro(path: Path, first: int, count: int) -> None:
    types = {"id": "string", "at": {"type": "long", "logicalType": "timestamp-millis"}, "count": ["null", "int"]}
    schema = {"type": "record", "name": "E", "fields": [{"name": name, "type": t} for name, t in types.items()]}
    records = [{"id": f"e{n}", "at": n, "count": n} for n in range(first, first + count)]
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), records, sync_interval=20)


WRITERS = {
    "ndjson": write_ndjson,
    "csv": write_csv,
    "json": write_json,
    "parquet": write_parquet,
    "arrow": write_arrow,
    "avro": write_avro,
}
EXPECTED = [(f"e{n}", n, n, n) for n in range(20)]


@pytest.mark.parametrize(("kind", "write"), WRITERS.items())
class TestAListOfFiles:
    def two_files(self, folder: Path, kind: str, write: Callable[[Path, int, int], None]) -> str:
        write(folder / f"b.{kind}", 11, 9)
        write(folder / f"a.{kind}", 0, 11)
        return f"{kind}:{folder}"

    def test_it_is_one_partition_in_name_order(
        self, tmp_path: Path, kind: str, write: Callable[[Path, int, int], None]
    ) -> None:
        uri = self.two_files(tmp_path, kind, write)
        assert drain(open_source(uri)) == (EXPECTED, [])
        assert drain(open_source(f"{uri}/*.{kind}"), 100) == (EXPECTED, [])

    def test_reading_goes_on_at_every_position_that_was_given(
        self, tmp_path: Path, kind: str, write: Callable[[Path, int, int], None]
    ) -> None:
        source = open_source(self.two_files(tmp_path, kind, write))
        positions = [source.position]
        while source.read(3) is not None:
            positions.append(source.position)
        for position in positions:
            resumed = open_source(source.name)
            resumed.seek(json.loads(json.dumps(position)))
            assert drain(resumed)[0] == EXPECTED[int(position["offset"]) :]

    def test_a_position_in_a_list_that_has_changed_is_refused(
        self, tmp_path: Path, kind: str, write: Callable[[Path, int, int], None]
    ) -> None:
        source = open_source(self.two_files(tmp_path, kind, write))
        source.read(100)
        position = source.position
        write(tmp_path / f"0.{kind}", 0, 1)
        with pytest.raises(SourceError, match=r"file \d was"):
            open_source(source.name).seek({**position, "index": 0})


class TestBadPlaces:
    def test_a_missing_file_is_named_with_the_nearest_one(self, tmp_path: Path) -> None:
        (tmp_path / "payments.parquet").touch()
        with pytest.raises(SourceError, match=r"did you mean .*payments.parquet"):
            open_source(f"parquet:{tmp_path}/payment.parquet")

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=f"there is no folder {tmp_path}/a$"):
            open_source(f"parquet:{tmp_path}/a/b/c.parquet")

    def test_an_empty_glob_and_an_empty_folder_are_refused(self, tmp_path: Path) -> None:
        for path in (tmp_path / "*.csv", tmp_path):
            with pytest.raises(SourceError, match="there is no file"):
                open_source(f"csv:{path}")

    def test_an_unknown_scheme_is_told_the_nearest(self) -> None:
        with pytest.raises(SourceError, match="did you mean 'parquet'"):
            open_source("parkett:x")
        with pytest.raises(SourceError, match="expected SCHEME:PATH"):
            open_source("x.parquet")

    @pytest.mark.parametrize("kind", ["parquet", "arrow", "avro"])
    def test_an_unreadable_file_is_named_with_the_reason(self, tmp_path: Path, kind: str) -> None:
        (tmp_path / "x").write_bytes(b"PAR1 this is none")
        with pytest.raises(SourceError, match=f"x cannot be read as {kind}: "):
            open_source(f"{kind}:{tmp_path}/x").read(10)

    def test_parquet_without_the_event_time_is_refused_with_the_nearest_column(self, tmp_path: Path) -> None:
        pl.DataFrame({"id": ["e"], "att": [1]}).write_parquet(tmp_path / "x")
        raw = open_source(f"parquet:{tmp_path}/x", LAYOUT.fields).read(10)
        assert raw is not None
        with pytest.raises(SourceError, match=r"no column 'at'.*did you mean 'att'"):
            Decoder(LAYOUT, "columns").decode(raw)


class TestEmptyFiles:
    @pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
    def test_an_empty_text_file_has_no_records(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "x").write_text(text)
        assert drain(open_source(f"ndjson:{tmp_path}/x")) == ([], [])
        assert drain(open_source(f"csv:{tmp_path}/x")) == ([], [])
        assert drain(open_source(f"json:{tmp_path}/x")) == ([], [])

    def test_parquet_without_rows_has_no_records(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "x", 0, 0)
        assert drain(open_source(f"parquet:{tmp_path}/x")) == ([], [])


class TestLines:
    def test_a_byte_order_mark_is_no_part_of_the_first_record(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text('\ufeff{"id": "e", "at": 1}\r\n{"id": "f", "at": 2}\r\n')
        assert [row[0] for row in drain(open_source(f"ndjson:{tmp_path}/x"))[0]] == ["e", "f"]

    def test_a_truncated_last_line_is_a_dead_letter(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text('{"id": "e", "at": 1}\n{"id": "f", "a')
        rows, dead = drain(open_source(f"ndjson:{tmp_path}/x"), 100)
        assert [row[0] for row in rows] == ["e"]
        assert [(letter.offset, letter.reason, letter.raw) for letter in dead] == [(1, "truncated", b'{"id": "f", "a')]

    def test_blank_lines_keep_their_offsets_and_are_no_records(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text('\n{"id": "e", "at": 1}\n  \n{"id": "f", "at": 2}\n')
        assert [(row[0], row[3]) for row in drain(open_source(f"ndjson:{tmp_path}/x"))[0]] == [("e", 1), ("f", 3)]

    def test_a_line_of_50_mb_is_a_dead_letter_with_its_beginning(self, tmp_path: Path) -> None:
        with (tmp_path / "x").open("w") as file:
            file.write('{"id": "e", "at": 1}\n{"id": "')
            file.writelines("x" * 1_000_000 for _ in range(50))
            file.write('"}\n{"id": "f", "at": 2}\n')
        source = open_source(f"ndjson:{tmp_path}/x")
        rows, (letter,) = drain(source, 100)
        assert [(row[0], row[3]) for row in rows] == [("e", 0), ("f", 2)]
        assert (letter.offset, letter.reason, len(letter.raw)) == (1, "too-long", 65_536)
        assert "the limit is 1048576" in letter.detail

    @settings(max_examples=40, deadline=None)
    @given(
        lengths=st.lists(st.sampled_from([0, 3, 30, 99, 100, 101, 250]), max_size=12),
        most=st.integers(1, 5),
        ended=st.booleans(),
    )
    def test_a_line_is_too_long_by_its_own_length_wherever_it_stands(
        self, tmp_path_factory: pytest.TempPathFactory, *, lengths: list[int], most: int, ended: bool
    ) -> None:
        path = tmp_path_factory.mktemp("lines") / "x"
        path.write_bytes(b"\n".join(b"x" * length for length in lengths) + (b"\n" if ended and lengths else b""))
        source = open_source(f"ndjson:{path}", record_most=100)
        found: list[tuple[int, str]] = []
        while (raw := source.read(most)) is not None:
            found += [(letter.offset, letter.reason) for letter in Decoder(LAYOUT).decode(raw).dead]
        last = len(lengths) - 1
        expected = [
            (at, "too-long" if length > 100 else "truncated" if at == last and not ended else "bad-json")
            for at, length in enumerate(lengths)
            if length
        ]
        assert found == expected


class TestCsv:
    def read(self, tmp_path: Path, text: str) -> tuple[Rows, list[Dead]]:
        (tmp_path / "x").write_text(text, newline="")
        return drain(open_source(f"csv:{tmp_path}/x"))

    def test_quoted_cells_may_hold_commas_quotes_and_newlines(self, tmp_path: Path) -> None:
        rows, dead = self.read(tmp_path, 'id,at,count\n"a,""b""\nc",1,\nplain,2,5\n"q",3,6\n')
        assert (rows, dead) == ([('a,"b"\nc', 1, None, 0), ("plain", 2, 5, 1), ("q", 3, 6, 2)], [])

    def test_an_empty_cell_is_null_and_kills_a_record_only_where_it_must_not_be(self, tmp_path: Path) -> None:
        rows, dead = self.read(tmp_path, "id,at,count\ne,1,\n,2,3\ng,3,4\n")
        assert [row[:3] for row in rows] == [("e", 1, None), ("g", 3, 4)]
        assert [(letter.offset, letter.reason, letter.field) for letter in dead] == [(1, "missing", "id")]

    def test_a_row_with_too_few_or_too_many_cells_is_dead(self, tmp_path: Path) -> None:
        rows, dead = self.read(tmp_path, "id,at,count\ne,1,1\nf,2\ng,3,4,5\nh,4,4\n")
        assert [row[3] for row in rows] == [0, 3]
        assert [(letter.offset, letter.reason) for letter in dead] == [(1, "bad-csv"), (2, "bad-csv")]

    def test_a_cell_is_typed_by_its_field(self, tmp_path: Path) -> None:
        rows, dead = self.read(tmp_path, "id,at,count\n1,2024-01-01T00:00:00Z,3.0\n2,2024-01-01 00:00:00.5,x\n")
        assert rows == [("1", 1704067200000, 3, 0)]
        assert [(letter.reason, letter.field, letter.time) for letter in dead] == [
            ("wrong-type", "count", 1704067200500)
        ]


class TestJsonArrays:
    def read(self, path: Path, text: str, most: int = 2, record_most: int = 100) -> list[tuple[int, str]]:
        path.write_text(text)
        source = open_source(f"json:{path}", record_most=record_most)
        fates: list[tuple[int, str]] = []
        while (raw := source.read(most)) is not None:
            decoded = Decoder(LAYOUT).decode(raw)
            fates += [(offset, str(name)) for offset, name in decoded.rows.select(OFFSET, "id").rows()]
            fates += [(letter.offset, letter.reason) for letter in decoded.dead]
        return fates

    @settings(max_examples=40, deadline=None)
    @given(
        names=st.lists(st.text(alphabet=st.sampled_from('a"\\[]{},\n é'), min_size=0, max_size=8), max_size=6),
        block=st.integers(1, 40),
        indent=st.sampled_from([None, 1]),
    )
    def test_elements_are_found_whatever_they_hold_and_wherever_blocks_end(
        self, tmp_path_factory: pytest.TempPathFactory, *, names: list[str], block: int, indent: int | None
    ) -> None:
        text = json.dumps([{"id": name, "at": 1, "q": [[{"n": name}], {}]} for name in names], indent=indent)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_documents, "BLOCK", block)
            found = self.read(tmp_path_factory.mktemp("json") / "x", text, record_most=10_000)
        assert found == list(enumerate(names))

    def test_a_bad_element_a_long_one_and_a_cut_one_are_dead_letters(self, tmp_path: Path) -> None:
        good, long = '{"id": "e", "at": 1}', '{"id": "' + "x" * 200 + '"}'
        found = self.read(tmp_path / "x", f'[{good}, {{"id" "f"}}, 5, {long}, {good}, {good[:9]}')
        assert found == [(0, "e"), (1, "bad-json"), (2, "bad-json"), (3, "too-long"), (4, "e"), (5, "truncated")]

    def test_a_file_of_lines_is_refused_with_a_hint(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="read it with ndjson:"):
            self.read(tmp_path / "x", '{"id": "e", "at": 1}')


class TestAvro:
    def read(self, path: Path, type_: object, values: list[object]) -> tuple[Rows, list[Dead]]:
        fields = [{"name": "id", "type": "string"}, {"name": "at", "type": type_}, {"name": "count", "type": "long"}]
        schema = fastavro.parse_schema({"type": "record", "name": "E", "fields": fields})
        with path.open("wb") as file:
            fastavro.writer(file, schema, [{"id": "e", "at": value, "count": 1} for value in values])
        return drain(open_source(f"avro:{path}", LAYOUT.fields), 100)

    def test_times_of_any_unit_and_of_any_year_are_read(self, tmp_path: Path) -> None:
        micros = {"type": "long", "logicalType": "timestamp-micros"}
        rows, dead = self.read(tmp_path / "x", ["null", micros], [1_700_000_000_123_456, 2**62, None])
        assert [row[1] for row in rows] == [1_700_000_000_123]
        assert [(letter.offset, letter.reason) for letter in dead] == [(1, "time-out-of-range"), (2, "missing")]

    def test_a_union_of_types_is_read_value_by_value(self, tmp_path: Path) -> None:
        rows, dead = self.read(tmp_path / "x", ["long", "string"], [5, "1970-01-01T00:00:01Z", "x"])
        assert [row[1] for row in rows] == [5, 1000]
        assert [(letter.offset, letter.reason) for letter in dead] == [(2, "wrong-type")]


class TestColumns:
    def decode(self, frame: pl.DataFrame) -> tuple[Rows, list[Dead]]:
        decoded = Decoder(LAYOUT, "columns").decode(Columns(frame, 0))
        return decoded.rows.select("id", "at", "count", OFFSET).rows(), decoded.dead

    @pytest.mark.parametrize("unit", ["ms", "us", "ns"])
    def test_a_time_of_any_unit_and_zone_becomes_milliseconds(self, unit: str) -> None:
        for zone in (None, "Asia/Shanghai"):
            times = pl.Series("at", [1_700_000_000_123]).cast(pl.Datetime("ms", zone)).dt.cast_time_unit(unit)  # type: ignore[arg-type]  # one of Polars' units
            assert self.decode(pl.DataFrame({"id": ["e"], "at": times}))[0] == [("e", 1_700_000_000_123, None, 0)]

    def test_times_of_the_year_292277_do_not_overflow(self) -> None:
        times = pl.Series("at", [2**63 - 1, 5, -(2**63) + 1]).cast(pl.Datetime("ms"))
        rows, dead = self.decode(pl.DataFrame({"id": ["e"] * 3, "at": times}))
        assert [row[3] for row in rows] == [1]
        assert [(letter.offset, letter.reason) for letter in dead] == [
            (0, "time-out-of-range"),
            (2, "time-out-of-range"),
        ]

    def test_numbers_of_any_width_are_read_and_what_does_not_fit_is_dead(self) -> None:
        for dtype in (pl.Int8, pl.UInt16, pl.Int128, pl.Float32, pl.Float64, pl.String, pl.Decimal(9, 2)):
            frame = pl.DataFrame({"id": [7], "at": [1], "count": pl.Series([7]).cast(dtype)})
            assert self.decode(frame)[0] == [("7", 1, 7, 0)], dtype
        _, dead = self.decode(pl.DataFrame({"id": [1, 2], "at": [1, 1], "count": [2.5, float("nan")]}))
        assert [(letter.reason, letter.field) for letter in dead] == [("wrong-type", "count"), ("not-finite", "count")]
        assert json.loads(dead[0].raw) == {"id": 1, "at": 1, "count": 2.5}

    def test_a_nested_column_where_a_number_belongs_kills_its_records(self) -> None:
        _, dead = self.decode(pl.DataFrame({"id": ["e"], "at": [1], "count": [[1, 2]]}))
        assert [(letter.reason, letter.field) for letter in dead] == [("wrong-type", "count")]

    def test_columns_that_are_no_field_are_not_read_but_named(self, tmp_path: Path) -> None:
        pl.DataFrame({"id": ["e"], "at": [1], "colour": ["red"]}).write_parquet(tmp_path / "x")
        raw = open_source(f"parquet:{tmp_path}/x", LAYOUT.fields).read(10)
        assert isinstance(raw, Columns)
        assert raw.frame.columns == ["id", "at"]
        assert Decoder(LAYOUT, "columns").decode(raw).unknown == {"colour"}


def test_records_know_their_bytes_by_place() -> None:
    records = Records(b'{"a":1}\r\n\n{"b":2}', first=5)
    assert [records.at(row) for row in range(records.count)] == [b'{"a":1}', b"", b'{"b":2}']
    assert records.offset(2) == 7
