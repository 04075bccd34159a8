"""What names stand for: columns, parameters, rows of tables."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from function_cases import FUNCTIONS, OPERATORS

from operators.expressions import Bound, Constant, Scope, TableShape, bind, names_in, signs_names
from operators.expressions.reference import functions_markdown
from operators.expressions.registry import FUNCTIONS as REGISTRY
from tocsin.model.types import FLOAT64, INT64, STRING, Kind, Type, decimal

PHONE = Type(Kind.STRING, person="phone")
SCOPE = Scope(
    {
        "rack": Type(Kind.STRING, table="racks"),
        "call.caller": Type(Kind.STRING, table="phones"),
        "caller": Type(Kind.STRING, table="phones"),
        "type": STRING,
        "slot": STRING,
        "wish.bound": INT64,
        "usual.score": FLOAT64,
        "range": STRING,
        "case": INT64,
        "a": INT64,
        "b": INT64,
    },
    {
        "racks": TableShape(("rack",), {"rack": STRING, "model": Type(Kind.STRING, table="models")}),
        "models": TableShape(("model",), {"model": STRING, "v_low": FLOAT64, "v_high": FLOAT64}),
        "limits": TableShape(("type", "slot"), {"type": STRING, "slot": STRING, "most": decimal(3, "kWh")}),
        "phones": TableShape(("phone",), {"phone": PHONE, "home": STRING}),
        "flagged": TableShape(("phone",), {"phone": PHONE, "source": STRING}),
    },
    {
        "many": Constant(10, INT64, "10"),
        "name": Constant("x", STRING, "x"),
        "on_": Constant(value=True, type=Type(Kind.BOOLEAN), text="true"),
    },
)


def asked(bound: Bound) -> list[tuple[str, dict[str, str], str]]:
    return [(lookup.table, dict(lookup.into), lookup.found) for lookup in bound.lookups]


class TestLookups:
    """Fields of tables are read through look-ups that are done before."""

    def test_a_chain_of_fields_is_a_chain_of_lookups(self) -> None:
        bound = bind("rack.model.v_low", SCOPE)
        assert asked(bound) == [
            ("racks", {"model": "rack.model"}, ""),
            ("models", {"v_low": "rack.model.v_low"}, ""),
        ]
        assert [key.meta.output_name() for lookup in bound.lookups for key in lookup.keys] == ["rack", "rack.model"]
        assert (bound.columns, bound.type) == ({"rack"}, FLOAT64)

    def test_one_table_is_asked_once_per_key(self) -> None:
        bound = bind("a between rack.model.v_low and rack.model.v_high or rack.model.v_low is null", SCOPE)
        assert asked(bound)[1] == ("models", {"v_low": "rack.model.v_low", "v_high": "rack.model.v_high"}, "")
        assert len(bound.lookups) == 2

    def test_a_row_is_found_by_several_keys(self) -> None:
        bound = bind("limits(type, lower(slot)).most > 5", SCOPE)
        assert [lookup.table for lookup in bound.lookups] == ["limits"]
        rows = pl.DataFrame({"type": ["mall"], "slot": ["DAY"]})
        assert rows.select(key.alias(str(i)) for i, key in enumerate(bound.lookups[0].keys)).row(0) == ("mall", "day")

    def test_a_field_of_a_call_goes_on(self) -> None:
        bound = bind("racks('r').model.v_low", SCOPE)
        assert [lookup.table for lookup in bound.lookups] == ["racks", "models"]
        assert bound.columns == frozenset()

    def test_membership_reads_the_found_column(self) -> None:
        bound = bind("call.caller in flagged and a > 1", SCOPE)
        assert asked(bound) == [("flagged", {}, "call.caller in flagged")]
        rows = pl.DataFrame(
            {"call.caller": ["x", "y", None], "call.caller in flagged": [True, False, False], "a": [2] * 3}
        )
        assert rows.select(bound.expr).to_series().to_list() == [True, False, None]

    def test_membership_and_field_share_a_lookup(self) -> None:
        bound = bind("caller in flagged and flagged(caller).source = 'bank'", SCOPE)
        assert asked(bound) == [("flagged", {"source": "flagged(caller).source"}, "caller in flagged")]

    def test_several_keys_are_a_member_together(self) -> None:
        bound = bind("(type, slot) in limits", SCOPE)
        assert asked(bound) == [("limits", {}, "type, slot in limits")]


class TestNames:
    """Names are case-sensitive, and few words are reserved."""

    def test_a_column_with_dots_comes_before_a_lookup(self) -> None:
        assert bind("wish.bound > usual.score", SCOPE).columns == {"wish.bound", "usual.score"}

    def test_a_column_with_dots_may_be_continued(self) -> None:
        bound = bind("call.caller.home", SCOPE)
        assert (asked(bound), bound.columns) == ([("phones", {"home": "call.caller.home"}, "")], {"call.caller"})

    def test_keywords_of_sql_are_names_where_the_language_has_no_use_for_them(self) -> None:
        assert bind("range = 'x' and type = slot", SCOPE).columns == {"range", "type", "slot"}

    def test_a_keyword_can_be_quoted(self) -> None:
        assert bind('"case" > 1', SCOPE).columns == {"case"}

    def test_sql_keywords_are_not_case_sensitive(self) -> None:
        assert bind("A IS NULL".replace("A", "a") + " OR b BETWEEN 1 AND 2", SCOPE).type.kind is Kind.BOOLEAN

    @pytest.mark.parametrize(
        ("text", "expected"), [("many", 10), ("name", "x"), ("on_", True), ("true", True), ("1 + 1", 2)]
    )
    def test_a_constant_has_one_value_per_row(self, text: str, expected: object) -> None:
        bound = bind(text, SCOPE)
        assert pl.DataFrame({"a": [1, 2]}).select(bound.expr).to_series().to_list() == [expected, expected]
        assert pl.DataFrame({"a": []}).select(bound.expr).height == 0

    def test_the_names_of_an_expression_include_all_beginnings(self) -> None:
        assert names_in("rack.model.v_low > many and card in trusted and limits(type, lower(slot)).most > 0") == {
            *("rack", "rack.model", "rack.model.v_low", "many", "card", "trusted", "limits", "type", "slot"),
        }

    def test_names_inside_aggregates_count(self) -> None:
        assert names_in("sum(x) filter (where y.z) / p95(w)") == {"x", "y", "y.z", "w"}


class TestSigns:
    """A count of signs can also name them."""

    def test_the_true_signs_are_named(self) -> None:
        bound = signs_names("signs(many => a > 1, still => b < 2, both => a = b) / 2", SCOPE)
        assert bound is not None
        rows = pl.DataFrame({"a": [2, None, 3], "b": [1, 1, 3]})
        assert rows.select(bound.expr).to_series().to_list() == ["many, still", "still", "many, both"]

    def test_an_expression_without_signs_has_none(self) -> None:
        assert signs_names("a + b", SCOPE) is None


class TestCanonicalText:
    """Texts that compute the same have the same canonical form."""

    @pytest.mark.parametrize(
        "text", [case.ours for cases in (*OPERATORS.values(), *FUNCTIONS.values()) for case in cases]
    )
    def test_the_canonical_text_means_the_same(self, text: str) -> None:
        from duckdb_oracle import scope  # noqa: PLC0415  # only this test needs it

        bound = bind(text, scope("UTC"))
        again = bind(bound.text, scope("UTC"))
        assert (again.text, str(again.expr), again.type) == (bound.text, str(bound.expr), bound.type)

    def test_spelling_does_not_matter(self) -> None:
        assert bind("A>1 AND (b)  <= 2".replace("A>", "a>"), SCOPE).text == bind('("a" > 1) and b<=2', SCOPE).text

    def test_a_parameter_stands_for_its_value(self) -> None:
        other = Scope(SCOPE.columns, parameters={"many": Constant(11, INT64, "11")})
        assert bind("a > many", SCOPE).text != bind("a > many", other).text


class TestReference:
    """The reference is generated."""

    def test_every_function_is_in_the_reference(self) -> None:
        page = functions_markdown()
        assert all(f"`{function.signature}`" in page for function in REGISTRY.values())
        assert "slope(heat, 'min')" in page

    def test_the_page_is_what_is_generated(self) -> None:
        kept = (Path(__file__).parents[3] / "docs" / "functions.md").read_text(encoding="utf-8")
        assert kept == functions_markdown(), "run: python -m operators.expressions.reference > docs/functions.md"
