"""The ingest stage: who is late, what is derived, checked and made a pseudonym, whatever the batches are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.expressions.bound import Bound, Lookup
from streams.codecs.reasons import Dead, Reason
from streams.codecs.record import Layout
from streams.ingest.lateness import state_of
from streams.ingest.spec import Check, Ingested, IngestSpec
from streams.ingest.stage import Ingest
from streams.ingest.together import Part
from streams.local.feed import late_letters
from streams.pseudonyms import Pseudonyms
from streams.sources.contract import Columns, Records
from tocsin.model.rows import HASH, ID, POSITION, TIME
from tocsin.model.types import BOOLEAN, INT64, STRING, TIMESTAMP, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Sequence

CARD = Type(Kind.STRING, person="card")
FIELDS = {"id": STRING, "at": TIMESTAMP, "card": CARD, "count": INT64}
LATENESS = 10


def bound(expr: pl.Expr, type_: Type, *columns: str, lookups: Sequence[Lookup] = ()) -> Bound:
    return Bound(expr, type_, frozenset(columns), tuple(lookups), "")


POSITIVE = Check("positive", bound(pl.col("count") > 0, BOOLEAN, "count"))
SMALL = Check("small", bound(pl.col("count") < 100, BOOLEAN, "count"), should=True)
PREFIX = ("range", bound(pl.col("card").str.slice(0, 3), STRING, "card"))


def stage(partition: int = 0, *, checks: Sequence[Check] = (POSITIVE, SMALL), id_field: str = "id") -> Ingest:
    layout = Layout(FIELDS, "at", id_field)
    spec = IngestSpec("payments", layout, LATENESS, (PREFIX,), checks, partition)
    return Ingest(spec, Pseudonyms(b"a key for these tests"))


def record(at: object = 1000, card: object = "card-1", count: object = 1, id: object = "e") -> bytes:  # noqa: A002  # the field's name
    return json.dumps({"id": id, "at": at, "card": card, "count": count}).encode()


def run(ingest: Ingest, lines: Sequence[bytes], cuts: Sequence[int] = ()) -> list[Ingested]:
    """Take records in the batches that the cuts make."""
    state, first, steps = ingest.initial(), 0, []
    for end in (*sorted({cut for cut in cuts if 0 < cut < len(lines)}), len(lines)):
        steps.append(ingest.step(Records(b"\n".join(lines[first:end]) + b"\n", first), state))
        state, first = steps[-1].state, end
    return steps


def ingest_once(*lines: bytes) -> Ingested:
    (step,) = run(stage(), lines)
    return step


times = st.integers(0, 60)
lines = st.one_of(
    st.builds(record, at=times, count=st.sampled_from([1, 0, 200, None])),
    st.builds(record, at=times, count=st.just("x")),
    st.sampled_from([b"{", b'{"at": 40}', record(at=-1), record(at=None), record(id=None, at=50)]),
)


class TestLateness:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(lines, max_size=14))
    def test_a_record_is_late_by_the_earlier_records_of_its_partition_dead_ones_included(
        self, drawn: list[bytes]
    ) -> None:
        greatest: int | None = None
        expected: dict[str, list[int]] = {"row": [], "late": [], "dead": []}
        for offset, line in enumerate(drawn):
            try:
                value = json.loads(line)
            except ValueError:
                value = {}
            at, count = value.get("at"), value.get("count")
            plausible = at is not None and at >= 0
            whole = plausible and value.get("id") is not None and not isinstance(count, str)
            if whole and greatest is not None and at <= greatest - LATENESS - 1:
                expected["late"].append(offset)
            elif whole and (count is None or count > 0):
                expected["row"].append(offset)
            else:
                expected["dead"].append(offset)
            if plausible:
                greatest = at if greatest is None else max(greatest, at)
        (step,) = run(stage(), drawn) if drawn else (stage().step(Records(b""), stage().initial()),)
        found = {
            "row": step.rows[POSITION].to_list(),
            "late": step.late["offset"].to_list(),
            "dead": step.dead["offset"].to_list(),
        }
        assert found == expected
        assert step.watermark == (None if greatest is None else greatest - LATENESS - 1)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(lines, min_size=1, max_size=14), st.lists(st.integers(1, 13), max_size=4))
    def test_nothing_depends_on_how_records_are_cut_into_batches(self, drawn: list[bytes], cuts: list[int]) -> None:
        (whole,) = run(stage(), drawn)
        parts = run(stage(), drawn, cuts)
        for name in ("rows", "late", "dead"):
            assert pl.concat([getattr(part, name) for part in parts]).rows() == getattr(whole, name).rows()
        assert parts[-1].watermark == whole.watermark
        counts = pl.concat(part.counts.frame for part in parts).group_by("stream", "field", maintain_order=True).sum()
        assert counts.rows() == whole.counts.frame.rows()

    def test_a_late_record_says_how_far_behind_it_is_and_keeps_its_bytes(self) -> None:
        step = ingest_once(record(at=1000), record(at=989), record(at=990))
        assert step.late.row(0, named=True) == {
            "stream": "payments",
            "partition": 0,
            "offset": 1,
            "position": 1,
            "time": 989,
            "behind": 11,
            "raw": record(at=989),
            "key": None,
            "form": "json",
        }
        assert step.rows[TIME].to_list() == [1000, 990]

    def test_late_records_are_told_of_whatever_pieces_their_columns_are_in(self) -> None:
        step = ingest_once(record(at=1000), record(at=5), record(at=989))
        pieces = pl.concat([step.late, step.late], rechunk=False).filter(pl.Series([False, False, True, True]))
        assert pieces["behind"].chunk_lengths() == [0, 2]
        assert late_letters(pieces)["detail"].to_list() == ["995 ms behind", "11 ms behind"]

    def test_late_and_failing_records_of_a_columnar_source_are_kept_as_json(self) -> None:
        frame = pl.DataFrame({"id": ["a", "b", "c"], "at": [1000, 5, 1000], "count": [1, 1, 0]})
        step = stage().step(Columns(frame, 7), stage().initial())
        assert step.late.select("offset", "raw").rows() == [(8, b'{"id":"b","at":5,"count":1}')]
        assert step.dead.select("offset", "raw").rows() == [(9, b'{"id":"c","at":1000,"count":0}')]

    def test_late_records_are_found_by_offsets_with_gaps(self) -> None:
        records = Records.of([record(at=1000), record(at=5), record(count=0)], [3, 8, 11])
        step = stage().step(records, stage().initial())
        assert step.late.select("offset", "raw").rows() == [(8, record(at=5))]
        assert step.dead.select("offset", "raw").rows() == [(11, record(count=0))]

    def test_what_dies_or_is_late_has_the_key_of_its_message_and_no_other_key_is_asked_for(self) -> None:
        asked = []

        def messages(offset: int, *payloads: bytes) -> Records:
            def key_of(place: int) -> bytes:
                asked.append(offset + place)
                return b"key %d" % (offset + place)

            return Records.of(payloads, range(offset, offset + len(payloads)), key_of=key_of)

        records = Records.joined(
            [
                messages(3, record(at=1000), record(at=5)),
                Records.of([b"{"], [7]),
                messages(20, b"{", record(), record(count=0)),
            ]
        )
        step = stage().step(records, stage().initial())
        assert step.late.select("offset", "key").rows() == [(4, b"key 4")]
        assert step.dead.select("offset", "key").rows() == [(7, None), (20, b"key 20"), (22, b"key 22")]
        assert sorted(asked) == [4, 20, 22]

    def test_state_is_one_small_frame_that_another_stage_goes_on_with(self) -> None:
        first = stage().step(Records(record(at=1000)), stage().initial())
        assert {name: frame.shape for name, frame in first.state.items()} == {"greatest": (1, 1)}
        assert stage().step(Records(record(at=5), 1), first.state).late.height == 1


def told(step: Ingested) -> list[object]:
    """Give what a step gives, but for what a sample showed."""
    frames = (step.rows, step.late, step.dead, *step.state.values())
    return [*(frame.to_dict(as_series=False) for frame in frames), step.counts, step.watermark]


class TestSeveralPartitions:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.lists(lines, min_size=1, max_size=6), st.integers(0, 2)), min_size=1, max_size=4),
        st.integers(0, 5),
    )
    def test_taken_at_once_each_gives_what_it_would_alone(
        self, drawn: list[tuple[list[bytes], int]], first: int
    ) -> None:
        parts, alone = [], []
        for partition, (payloads, gap) in enumerate(drawn, start=3):
            offsets = range(first, first + len(payloads) * (gap + 1), gap + 1)
            empty = Dead(offsets[0], Reason.EMPTY, "", "", None, b"", b"k")
            raw = Records.of([b"", *payloads[1:]], offsets, dead=(empty,), key_of=b"k%d".__mod__)
            before = state_of([None, 20][partition % 2])
            parts.append(Part(partition, raw, before))
            alone.append(stage(partition).step(raw, before))
        assert [told(step) for step in stage().steps(parts).each] == [told(step) for step in alone]

    @settings(max_examples=30, deadline=None)
    @given(st.lists(lines, min_size=2, max_size=12), st.integers(1, 11))
    def test_steps_that_are_joined_are_as_one_over_all(self, drawn: list[bytes], cut: int) -> None:
        (whole,) = run(stage(), drawn)
        first, *later = run(stage(), drawn, [cut])
        assert told(first.joined(later)) == told(whole)


class TestRows:
    def test_a_row_has_fields_derived_columns_and_system_columns(self) -> None:
        ingest = stage(partition=3)
        (step,) = run(ingest, [record(), record(id="f")])
        assert step.rows.schema == ingest.spec.output.physical
        assert step.rows[ID].to_list() == ["e", "f"]
        assert step.rows[POSITION].to_list() == [3 << 48, (3 << 48) + 1]

    def test_the_content_hash_differs_where_a_field_differs_and_not_by_position_or_company(self) -> None:
        hashes = ingest_once(record(), record(count=2), record(), record(card=None)).rows[HASH]
        assert hashes[0] == hashes[2]
        assert hashes.n_unique() == 3
        assert ingest_once(record()).rows[HASH].to_list() == [hashes[0]]

    def test_a_stream_without_an_id_has_rows_without_one(self) -> None:
        (step,) = run(stage(id_field=""), [record()])
        assert step.rows[ID].to_list() == [None]

    def test_an_empty_batch_gives_empty_frames_of_the_same_schema(self) -> None:
        ingest = stage()
        step = ingest.step(Records(b""), ingest.initial())
        full = ingest.step(Records(record(at=1000) + b"\n" + record(at=1) + b"\n{"), ingest.initial())
        for name in ("rows", "late", "dead"):
            assert getattr(step, name).schema == getattr(full, name).schema
        assert step.counts.frame.schema == full.counts.frame.schema

    def test_rows_from_columns_equal_rows_from_json(self) -> None:
        frame = pl.DataFrame({"id": ["e"], "at": [1000], "card": ["card-1"], "count": [1]})
        columns = stage().step(Columns(frame, 0), stage().initial())
        assert columns.rows.equals(ingest_once(record()).rows)


class TestPersons:
    def test_raw_identifiers_are_in_no_row_but_what_is_derived_from_them_is(self) -> None:
        row = ingest_once(record(card="4711-22")).rows.row(0, named=True)
        assert row["card"].startswith("card:")
        assert "4711-22" not in str(row)
        assert row["range"] == "471"

    def test_a_derived_identifier_becomes_a_pseudonym_too(self) -> None:
        layout = Layout(FIELDS, "at")
        first = ("first", bound(pl.coalesce("card", "id"), CARD, "card", "id"))
        ingest = Ingest(IngestSpec("s", layout, 0, (first,)), Pseudonyms(b"a key for these tests"))
        row = ingest.step(Records(record()), ingest.initial()).rows.row(0, named=True)
        assert row["first"] == row["card"]

    def test_an_id_that_is_a_person_is_a_pseudonym(self) -> None:
        (step,) = run(stage(id_field="card"), [record()])
        assert step.rows[ID].to_list() == step.rows["card"].to_list()

    def test_a_null_identifier_stays_null(self) -> None:
        assert ingest_once(record(card=None)).rows["card"].to_list() == [None]


class TestChecks:
    def test_false_kills_and_says_which_check_and_null_passes(self) -> None:
        step = ingest_once(record(count=0), record(count=None), record(count=1))
        assert step.rows["count"].to_list() == [None, 1]
        assert step.dead.select("offset", "reason", "field", "time", "raw").rows() == [
            (0, "check: positive", "count", 1000, record(count=0))
        ]

    def test_should_only_counts(self) -> None:
        step = ingest_once(record(count=100), record(count=5))
        assert step.rows.height == 2
        assert step.counts.frame.filter(pl.col("field") == "count")["failed"].to_list() == [1]

    def test_a_look_up_sees_pseudonyms_and_the_condition_the_raw_record(self) -> None:
        seen: list[str] = []

        def look_up(rows: pl.DataFrame, lookups: Sequence[Lookup]) -> pl.DataFrame:
            seen.extend(rows["card"])
            return rows.with_columns(pl.lit(value=True).alias(lookups[0].found))

        known = pl.col("known") & (pl.col("card") == "card-1")
        check = Check("known", bound(known, BOOLEAN, "card", lookups=[Lookup("cards", (pl.col("card"),), {}, "known")]))
        ingest = Ingest(IngestSpec("s", Layout(FIELDS, "at"), 0, (), (check,)), Pseudonyms(b"k" * 16), look_up)
        step = ingest.step(Records(record() + b"\n" + record(card="card-2")), ingest.initial())
        assert step.rows.height == 1
        assert all(card.startswith("card:") for card in seen)

    def test_a_look_up_without_a_host_is_refused(self) -> None:
        check = Check("known", bound(pl.col("known"), BOOLEAN, lookups=[Lookup("cards", (), {}, "known")]))
        with pytest.raises(LookupError, match="cards"):
            run(stage(checks=(check,)), [record()])


class TestQualityCounts:
    def test_every_field_is_counted(self) -> None:
        step = ingest_once(
            record(at=1000), record(card=None), record(count="x"), record(id=None), b"{", record(at=1), record(count=0)
        )
        assert step.counts.frame.drop("stream").rows() == [
            ("", 7, 0, 4, 1),
            ("id", 7, 1, 0, 1),
            ("at", 7, 0, 0, 1),
            ("card", 7, 1, 0, 1),
            ("count", 7, 0, 2, 1),
        ]
