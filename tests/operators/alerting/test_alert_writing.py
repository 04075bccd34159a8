"""Transitions are written in columns; the texts are those of writing them one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from transition_reference import record

from operators.alerting.rule import LevelSpec, MachineSpec
from operators.alerting.template import SIGNS, Slot, Template
from operators.alerting.texts import Quoted, Texts, Value, json_object
from operators.alerting.transitions import LOG, Said, Writer
from operators.expressions.scope import Constant
from tocsin.model.alerts import Level
from tocsin.model.rows import EVIDENCE_DTYPE
from tocsin.model.types import BOOLEAN, DURATION, FLOAT64, INT64, POINT, STRING, TIMESTAMP, Kind, Type, decimal

WIDE = Type(Kind.DECIMAL, scale=3, unit="kWh", wide=True)
METRES = FLOAT64.with_unit("m")
COLUMNS = {
    "text": STRING,
    "number": INT64,
    "share": FLOAT64,
    "distance": METRES,
    "sure": BOOLEAN,
    "at": TIMESTAMP,
    "after": DURATION,
    "spent": decimal(2, "CNY"),
    "used": WIDE,
    "place": POINT,
    "top": Type(Kind.LIST),
    "__measure": FLOAT64,
}
RICH = Template(
    (
        "{} of ", Slot("text", STRING), ": ", Slot("number", INT64, ".1"), Slot("share", FLOAT64, "%"), " ",
        Slot("distance", METRES), Slot("sure", BOOLEAN), Slot("at", TIMESTAMP, "%d %H:%M"), Slot("after", DURATION),
        Slot("spent", decimal(2, "CNY")), Slot("used", WIDE), Slot("place", POINT), Slot("top", Type(Kind.LIST)), "; ",
        Slot(SIGNS, STRING),
    )
)  # fmt: skip
SPEC = MachineSpec(
    topology='a "city"',
    rule="r",
    version="v",
    entity={"text": STRING, "number": INT64},
    levels=(
        LevelSpec(level=Level.BLUE, when="w", bound=Constant(1.5, FLOAT64, "1.5")),
        LevelSpec(level=Level.ORANGE, when="w", bound="spent", says={"": Template((Slot("at", TIMESTAMP), "!"))}),
        LevelSpec(level=Level.RED, when="w", says={"": Template(("leave",))}),
    ),
    columns=COLUMNS,
    measure="__measure",
    signs={"far": "s0", "fast": "s1"},
    parameters={"near": Constant(50, INT64.with_unit("km"), "50 km"), "word": Constant('"', STRING, '"')},
    says={"en": RICH, "zh": Template(("多 ", Slot("spent", decimal(2, "CNY"))))},
    labels={"who": Template((Slot("text", STRING), "\n")), "decision": Template(("hold",))},
    zone="Asia/Shanghai",
)
PLAIN = replace(
    SPEC,
    entity={},
    levels=(LevelSpec(level=Level.RED, when="w"),),
    columns={},
    measure=None,
    signs={},
    parameters={},
    says={},
    labels={},
)

WHOLE = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.sampled_from([0.0, -0.0, 0.5, 999.5, 1000.0, 1e16, 1e-7, 1.235]) | st.floats(
    allow_nan=False, allow_infinity=False
)
TEXTS = st.text(max_size=4) | st.sampled_from(["{", '"', "\\", "\x00\x1f\x7f", "null", "é", "经常", "𝄞"])
EVENTS = st.lists(st.fixed_dictionaries({"id": TEXTS, "position": st.none() | st.integers(0, 9)}), max_size=3)
ROWS = st.fixed_dictionaries(
    {
        "text": st.none() | TEXTS,
        "number": st.none() | WHOLE,
        "share": st.none() | FLOATS,
        "distance": st.none() | FLOATS,
        "sure": st.none() | st.booleans(),
        "at": st.none() | st.integers(-(10**13), 10**14),
        "after": st.none() | st.integers(-(10**11), 10**11),
        "spent": st.none() | WHOLE,
        "used": st.none() | st.integers(-(10**27), 10**27),
        "place": st.none() | st.fixed_dictionaries({"lat": st.none() | FLOATS, "lon": st.none() | FLOATS}),
        "top": st.none() | st.lists(st.none() | TEXTS, max_size=3),
        "__measure": st.none() | FLOATS,
        "s0": st.none() | st.booleans(),
        "s1": st.none() | st.booleans(),
        "__evidence": st.none() | EVENTS,
    }
)


@st.composite
def transitions(draw: st.DrawFn, levels: int) -> dict[str, Any]:
    """Draw what the machine says of a row."""
    before = draw(st.integers(0, levels))
    return {
        "level": draw(st.integers(0 if before else 1, levels)),
        "before": before,
        "time": draw(st.integers(0, 3)),
        "sequence": draw(st.sampled_from([1, 2, 10, 10**9])),
        "identity": draw(st.sampled_from([(0,), (-5,), ("red", 7)])),
        "reason": draw(st.sampled_from(["", "keep"])),
    }


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    schema: dict[str, Any] = {name: kind.physical for name, kind in COLUMNS.items()}
    return pl.DataFrame(rows, schema=schema | {"s0": pl.Boolean, "s1": pl.Boolean, "__evidence": EVIDENCE_DTYPE})


def check(spec: MachineSpec, rows: list[dict[str, Any]], said: list[dict[str, Any]], *, early: bool) -> None:
    columns = {name: [one[name] for one in said] for name in Said._fields}
    columns["identity"] = [json.dumps(list(one), separators=(",", ":"))[1:-1] for one in columns["identity"]]
    out = Writer(spec).write(Said(**columns), frame(rows), early=early)
    expected = [
        record(spec, row, one, early=early) for row, one in zip(frame(rows).rows(named=True), said, strict=True)
    ]
    key = [name for name in LOG.physical if name != "evidence"]
    assert out.select("__time", "__id").equals(out.select("__time", "__id").sort("__time", "__id"))
    assert_frame_equal(
        out.sort(key), pl.DataFrame(expected, schema=LOG.physical, orient="row").sort(key), check_exact=True
    )


class TestAgainstTheOracle:
    """A transition says the same whether others are written beside it or not."""

    @given(
        st.lists(st.tuples(ROWS, transitions(3)), min_size=1, max_size=6, unique_by=repr),
        st.booleans(),
    )
    @settings(max_examples=60, deadline=None)
    def test_every_text_is_that_of_the_row_by_itself(self, told: list[Any], early: bool) -> None:  # noqa: FBT001
        check(SPEC, [row for row, _ in told], [said for _, said in told], early=early)

    @given(st.lists(st.tuples(ROWS, transitions(1)), min_size=1, max_size=4))
    @settings(max_examples=25, deadline=None)
    def test_a_rule_that_shows_nothing_has_empty_texts(self, told: list[Any]) -> None:
        check(PLAIN, [row for row, _ in told], [said for _, said in told], early=False)


class TestTexts:
    """Texts with the values of rows between them."""

    def texts(self, **columns: list[Any]) -> Texts:
        return Texts(pl.DataFrame(columns), {"far": "s0"}, "UTC")

    def test_values_are_shown_as_their_types_say(self) -> None:
        parts = (Slot("n", INT64), " of ", Slot("share", FLOAT64, ".1%"))
        assert self.texts(n=[3, 4], share=[0.125, None]).joined(parts) == ["3 of 12.5%", "4 of –"]  # noqa: RUF001  # the sign for null

    def test_a_text_without_values_is_itself_in_every_row(self) -> None:
        assert self.texts(n=[3, 4]).joined(("a", "b")) == ["ab", "ab"]
        assert self.texts(n=[3, 4]).joined(()) == ["", ""]

    def test_only_the_chosen_rows_are_told(self) -> None:
        parts = (Quoted(("n", Value("n", INT64))), Value("n", INT64))
        assert self.texts(n=[3, 4, 5]).joined(parts, [True, False, True]) == ['"n3"3', '"n5"5']

    def test_zero_keeps_its_sign_beside_the_other_zero(self) -> None:
        texts = self.texts(x=[0.0, -0.0, None])
        assert texts.joined((Value("x", FLOAT64),)) == ["0.0", "-0.0", "null"]

    def test_the_keys_of_an_object_are_sorted(self) -> None:
        parts = json_object({"b": (Value("n", INT64),), 'a"': (Quoted(("x",)),)})
        assert self.texts(n=[1]).joined(parts) == ['{"a\\"":"x","b":1}']
        assert self.texts(n=[1]).joined(json_object({})) == ["{}"]
