"""An alert explains itself: values, thresholds, signs, evidence, sentence, labels, runbook; and its canonical form."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
import pytest

from operators.alerting.canonical import canonical
from operators.alerting.encoding import decimal_text, encode, timestamp_text
from operators.alerting.machine import AlertMachine
from operators.alerting.rule import LevelSpec, MachineSpec
from operators.alerting.template import SIGNS, Slot, Template
from operators.contract import Instant
from operators.expressions.scope import Constant
from tocsin.model.alerts import TRANSITIONS, Level
from tocsin.model.rows import EVIDENCE_DTYPE
from tocsin.model.types import DURATION, FLOAT64, INT64, STRING, TIMESTAMP, decimal

if TYPE_CHECKING:
    from operators.contract import Operator

MONEY = decimal(2, "CNY")
SPEC = MachineSpec(
    topology="card",
    rule="spending",
    version="abc",
    entity={"card": STRING, "shop": STRING},
    levels=(
        LevelSpec(level=Level.YELLOW, when="w0", bound=Constant(10, INT64, "10")),
        LevelSpec(level=Level.RED, when="w1", bound="most", says={"": Template(("stop ", Slot("card", STRING)))}),
    ),
    columns={
        "spent": MONEY,
        "most": MONEY,
        "rate": FLOAT64,
        "after": DURATION,
        "window_start": TIMESTAMP,
        "window_end": TIMESTAMP,
        "__measure": INT64,
    },
    measure="__measure",
    signs={"many": "s0", "fast": "s1", "far": "s2"},
    parameters={"near": Constant(50, INT64.with_unit("km"), "50 km")},
    says={"": Template((Slot("spent", MONEY), " spent, ", Slot("rate", FLOAT64, "%"), "; ", Slot(SIGNS, STRING)))},
    labels={"decision": Template(("hold",)), "shop": Template((Slot("shop", STRING),))},
    runbook="https://runbooks.example/spending",
)


def rows(*, red: bool = False, **values: object) -> pl.DataFrame:
    plain: dict[str, object] = {
        "__time": 59_999, "__id": "k", "card": "p:1", "shop": None, "w0": True, "w1": red, "spent": 12_345,
        "most": 100_00, "rate": 0.25, "after": 1500, "window_start": 0, "window_end": 60_000, "__measure": 12,
        "s0": True, "s1": None, "s2": True, "__evidence": [{"id": f"e{n}", "position": n} for n in (2, 3, 4)],
    }  # fmt: skip
    strings = dict.fromkeys(("__id", "card", "shop"), pl.String)
    truths = dict.fromkeys(("w0", "w1", "s0", "s1", "s2"), pl.Boolean)
    numbers = dict.fromkeys(("spent", "window_start"), pl.Int64)
    schema = {"__evidence": EVIDENCE_DTYPE, **strings, **truths, **numbers}
    return pl.DataFrame([plain | values], schema_overrides=schema)


def say(batch: pl.DataFrame, spec: MachineSpec = SPEC) -> dict[str, object]:
    machine: Operator = AlertMachine(spec)
    out = machine.step(batch, machine.initial(), Instant(59_999)).rows
    assert dict(out.schema) == machine.output.physical
    return out.row(0, named=True)


class TestExplanation:
    """What stands in a transition."""

    def test_it_has_every_column_of_the_log(self) -> None:
        assert set(TRANSITIONS) <= set(say(rows()))

    def test_it_names_topology_rule_version_and_entity(self) -> None:
        said = say(rows())
        assert (said["topology"], said["rule"], said["rule_version"]) == ("card", "spending", "abc")
        assert said["entity"] == '{"card":"p:1","shop":null}'

    def test_values_hold_columns_measure_thresholds_parameters_and_signs(self) -> None:
        assert say(rows())["values"] == (
            '{"after":1500,"measure":12,"most":100.00,"parameters":{"near":{"text":"50 km","unit":"km","value":50}},'
            '"rate":0.25,"signs":["many","far"],"spent":123.45,"thresholds":{"red":100.00,"yellow":10},'
            '"window_end":"1970-01-01T00:01:00.000Z","window_start":"1970-01-01T00:00:00.000Z"}'
        )

    def test_null_values_are_null(self) -> None:
        assert json.loads(str(say(rows(spent=None, window_start=None))["values"]))["spent"] is None

    def test_the_sentence_has_the_values_of_the_row(self) -> None:
        assert say(rows())["says"] == "123.45 CNY spent, 25%; many, far"

    def test_a_level_may_have_a_sentence_of_its_own(self) -> None:
        assert say(rows(red=True))["says"] == "stop p:1"

    def test_several_languages_are_an_object(self) -> None:
        spec = replace(SPEC, says={"en": Template(("much",)), "zh": Template(("多",))})
        assert say(rows(), spec)["says"] == '{"en":"much","zh":"多"}'

    def test_labels_are_an_object_of_texts(self) -> None:
        assert json.loads(str(say(rows(shop="s9"))["labels"])) == {"decision": "hold", "shop": "s9"}

    def test_the_evidence_of_its_row_is_its_own(self) -> None:
        assert say(rows())["evidence"] == [{"id": f"e{n}", "position": n} for n in (2, 3, 4)]

    def test_the_runbook_is_named(self) -> None:
        assert say(rows())["runbook"] == "https://runbooks.example/spending"

    def test_a_row_of_a_stream_is_its_own_evidence(self) -> None:
        batch = rows().drop("__evidence").with_columns(__position=pl.lit(77, pl.Int64))
        assert say(batch)["evidence"] == [{"id": "k", "position": 77}]

    def test_a_clearing_speaks_with_the_sentence_of_the_level_that_was(self) -> None:
        machine = AlertMachine(SPEC)
        state = machine.step(rows(red=True), machine.initial(), Instant(59_999)).state
        calm = rows(red=False, w0=False, __time=60_000)
        cleared = machine.step(calm, state, Instant(60_000)).rows.row(0, named=True)
        assert (cleared["kind"], cleared["level"], cleared["says"]) == ("cleared", "clear", "stop p:1")

    def test_the_window_that_moves_on_is_no_news(self) -> None:
        machine = AlertMachine(replace(SPEC, update_every_ms=0))
        state = machine.step(rows(), machine.initial(), Instant(59_999)).state
        moved = rows(__time=60_000, window_end=60_001)
        assert machine.step(moved, state, Instant(60_000)).rows.is_empty()
        assert machine.step(moved.with_columns(spent=pl.lit(1, pl.Int64)), state, Instant(60_000)).rows[
            "kind"
        ].to_list() == ["updated"]


class TestSpec:
    """What the compiler must give."""

    def test_the_measure_and_bounds_are_among_the_columns(self) -> None:
        with pytest.raises(ValueError, match="most must be among its columns"):
            replace(SPEC, columns={name: kind for name, kind in SPEC.columns.items() if name != "most"})


class TestCanonicalJson:
    """The same values give the same bytes."""

    @pytest.mark.parametrize(
        ("value", "scale", "text"),
        [(1230, 2, "12.30"), (5, 2, "0.05"), (-5, 2, "-0.05"), (7, 0, "7"), (10**30, 3, "1" + "0" * 27 + ".000")],
    )
    def test_decimals_have_all_digits_of_their_scale(self, value: int, scale: int, text: str) -> None:
        assert decimal_text(value, scale) == text

    def test_times_are_rfc_3339_in_utc(self) -> None:
        assert timestamp_text(1_700_000_000_005) == "2023-11-14T22:13:20.005Z"
        assert timestamp_text(-1) == "1969-12-31T23:59:59.999Z"

    @pytest.mark.parametrize("ms", [253_402_300_800_000, -62_135_596_800_001, 2**62, -(2**62)])
    def test_times_that_were_computed_beyond_the_calendar_are_told_as_numbers(self, ms: int) -> None:
        assert timestamp_text(ms) == f"{ms} ms since 1970"

    def test_keys_are_sorted_and_text_is_escaped(self) -> None:
        value = {"b": [True, None, 0.1], "a": 'quote " and \n line', "ü": -(2**100)}
        assert (
            encode(value) == '{"a":"quote \\" and \\n line","b":[true,null,0.1],"ü":-1267650600228229401496703205376}'
        )
        assert json.loads(encode(value)) == value

    @pytest.mark.parametrize("number", [1e-7, 1e16, 57.16, -0.0, 5.0])
    def test_floats_read_back_the_same(self, number: float) -> None:
        assert json.loads(encode(number)) == number
        assert isinstance(json.loads(encode(number)), float)


class TestCanonicalForm:
    """What two equal runs have in common (semantics 27)."""

    def transitions(self) -> pl.DataFrame:
        machine = AlertMachine(SPEC)
        return machine.step(rows(), machine.initial(), Instant(59_999)).rows

    def test_it_has_the_ids_of_the_evidence_but_not_its_positions(self) -> None:
        form = canonical(self.transitions())
        assert form.columns == ["alert_id", "sequence", "kind", "level", "time", "rule_version", "values", "evidence"]
        assert form["evidence"].to_list() == [["e2", "e3", "e4"]]

    def test_early_copies_are_left_out(self) -> None:
        early = self.transitions().with_columns(early=pl.lit(value=True))
        assert canonical(pl.concat([self.transitions(), early])).height == 1

    def test_it_does_not_depend_on_the_order_of_rows(self) -> None:
        two = pl.concat([self.transitions(), self.transitions().with_columns(sequence=pl.lit(2, pl.Int64))])
        assert canonical(two).equals(canonical(two.reverse()))

    def test_an_empty_log_has_one_too(self) -> None:
        assert canonical(self.transitions().clear()).is_empty()
