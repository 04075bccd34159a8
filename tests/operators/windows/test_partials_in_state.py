"""How partials are held: ids as numbers where they are such, narrow sums, ranges of keys merged by themselves."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_panes import SHAPES, operator, oracle
from window_oracle import Row, differences, events, frame, run, some

from operators.contract import Instant
from operators.grouping import hashes_of
from operators.windows import digits, key_ranges, panes
from operators.windows.key_ranges import KeyRanges
from tocsin.model.rows import EVIDENCE, ID, POSITION, TIME
from tocsin.model.windows import Hopping

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING = {"amount": 1, "heat": None, "place": None, "flag": None}
OTHERS = ["e", "", "f1", "1", "e-1", "e+1", "e 1", "e1 ", "e1a", "ea1", "e1:", "e/1", "e1\u0663"]
PREFIXES = st.sampled_from(["", "e", "txn-2026-", "é·"])
DIGITS = st.text("0123456789", min_size=1, max_size=16) | st.integers(0, 40).map(lambda zeros: "0" * zeros + "7")


class TestDigits:
    """Ids that are a prefix and digits are held as integers without loss; others are told apart."""

    @given(PREFIXES, st.lists(DIGITS, min_size=1))
    def test_give_the_same_texts_again(self, prefix: str, numbers: list[str]) -> None:
        texts = [prefix + number for number in numbers]
        codes = digits.codes(pl.Series(texts), prefix)
        assert codes is not None
        assert digits.texts(codes, prefix).to_list() == texts

    @pytest.mark.parametrize(
        "other",
        [*OTHERS, "e" + "0" * 64, f"e{digits.VALUE_MOST + 1}", "e9999999999999999999999999"],
    )
    def test_nothing_else_is_taken_for_a_number(self, other: str) -> None:
        assert digits.codes(pl.Series(["e1", other, f"e{digits.VALUE_MOST}"]), "e") is None

    def test_the_greatest_number_passes(self) -> None:
        texts = [f"e{digits.VALUE_MOST}", "e0"]
        codes = digits.codes(pl.Series(texts), "e")
        assert codes is not None
        assert digits.texts(codes, "e").to_list() == texts

    def test_more_texts_than_are_read_at_a_time(self) -> None:
        texts = [f"{number:03}" for number in range(40_000)]
        codes = digits.codes(pl.Series(texts), "")
        assert codes is not None
        assert digits.texts(codes, "").to_list() == texts


@pytest.fixture(scope="class")
def soon() -> Iterator[None]:
    """Hold ids as numbers and cut ranges from a few rows on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panes, "_WORTH_NUMBERS", 2)
        patch.setattr(key_ranges, "MOST", 4)
        patch.setattr(key_ranges, "WORTH_CUTTING", 3)
        yield


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("shape", SHAPES)
class TestAnyNumberOfRanges:
    """What windows give does not depend on how their partials are held."""

    @settings(max_examples=25, deadline=None)
    @given(
        rows=events(100),
        cuts=st.lists(st.integers(0, 140), max_size=12),
        chosen=some(),
        other=st.sampled_from(["e", "x", "e-"]),
    )
    def test_is_what_a_loop_over_all_events_gives(
        self, shape: str, rows: list[Row], cuts: list[int], chosen: list[int], other: str
    ) -> None:
        for row in rows[len(rows) // 2 :]:
            row[ID] = row[ID].replace("e", other)
        window, bounds = SHAPES[shape]
        given_rows = run(operator(window, chosen), frame(rows), [*cuts, 10_000])
        assert not differences(given_rows.to_dicts(), oracle(rows, bounds, chosen))


@pytest.mark.usefixtures("soon")
class TestEvidence:
    """Ids are numbers while all fit, texts afterwards; alerts name them as they came."""

    def test_names_the_events_whatever_ids_are_held_as(self) -> None:
        counting = operator(Hopping(10_000, 10_000), [0])
        state, kinds, names = counting.initial(), [], []
        for step, name in enumerate(["e0{}", "e0{}", "e0{}", "x{}", "e0{}"]):
            names.append([name.format(10 * step + number) for number in range(8)])
            some = [
                {TIME: step, ID: id_, POSITION: number, "key": f"k{number}", **NOTHING}
                for number, id_ in enumerate(names[-1])
            ]
            state = counting.step(frame(some), state, Instant(step)).state
            kinds.append({state[run].schema["#id2"].is_integer() for run in state if run.startswith("run:")})
        assert kinds == [{False}, {True}, {True}, {False}, {False}]
        given_rows = counting.step(frame([]), state, Instant(20_000)).rows
        found = {key: [item["id"] for item in items] for key, items in given_rows.select("key", EVIDENCE).iter_rows()}
        assert found == {f"k{number}": [names[step][number] for step in (2, 3, 4)] for number in range(8)}


@pytest.mark.usefixtures("soon")
class TestRanges:
    """Runs are cut by the hashes of keys; what is held is the same whatever the cuts."""

    @pytest.mark.parametrize("other_hash", [False, True])
    def test_hold_every_row_once_and_each_key_in_one_range(self, *, other_hash: bool) -> None:
        held, counts = KeyRanges(("key",)), Counter[int]()
        random = np.random.default_rng(1)
        for step in range(60):
            keys = random.integers(0, 300, 20)
            counts.update(keys.tolist())
            held.add(_merge(pl.DataFrame({"key": keys, "n": [1] * 20})))
            held.compact(_merge)
            held = KeyRanges.load(held.store("run"), "run", ("key",), cut=not other_hash or step != 30)
        assert len(held.ranges) > 8
        leasts = [range_.least for range_ in held.ranges]
        assert leasts == sorted(set(leasts))
        for range_, end in zip(held.ranges, [*leasts[1:], 1 << 64], strict=True):
            for held_run in range_.runs:
                hashes = hashes_of(held_run.select("key"))
                assert (hashes < np.uint64(end - 1)).all()
                assert range_ is held.ranges[0] or (hashes >= np.uint64(range_.least)).all()
        assert dict(_merge(pl.concat(held.all)).iter_rows()) == counts

    @pytest.mark.parametrize("by_hash", [False, True])
    def test_are_cut_alike_whether_their_runs_are_sorted_by_hash_or_not(self, *, by_hash: bool) -> None:
        held, random = KeyRanges(("key",)), np.random.default_rng(2)
        for _ in range(20):
            run_ = pl.DataFrame({"key": random.integers(0, 300, 40), "n": [1] * 40})
            held.add(run_.sort(pl.Series(hashes_of(run_.select("key")))) if by_hash else run_)
            held.compact(_merge)
        held.cut()
        leasts = np.array([range_.least for range_ in held.ranges[1:]], dtype=np.uint64)
        assert leasts.size > 4
        for number, range_ in enumerate(held.ranges):
            for held_run in range_.runs:
                found = np.searchsorted(leasts, hashes_of(held_run.select("key")), side="right")
                assert (found == number).all()
        assert _merge(pl.concat(held.all)).get_column("n").sum() == 20 * 40

    def test_few_of_many_full_ones_are_merged_in_one_step(self) -> None:
        held = KeyRanges(("key",))
        everyone = pl.DataFrame({"key": range(400), "n": [1] * 400})
        for _ in range(3):
            held.add(everyone)
        held.compact(_merge)
        assert len(held.ranges) >= 2 * key_ranges.PART
        before = {range_.least: range_.runs[0] for range_ in held.ranges}
        held.add(pl.concat([everyone, everyone]).head(600))
        held.compact(_merge)
        untouched = [range_ for range_ in held.ranges if range_.runs[0] is before.get(range_.least)]
        assert len(untouched) >= len(held.ranges) // 2
        assert _merge(pl.concat(held.all)).get_column("n").sum() == 1200 + 600


def _merge(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("key", maintain_order=True).agg(pl.col("n").sum())
