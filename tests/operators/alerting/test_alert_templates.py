"""Templates: texts with `{expression:format}` in them."""

from __future__ import annotations

import pytest

from operators.alerting.template import Hole, TemplateError, parse_template


class TestParsing:
    """A template is cut into texts and holes."""

    def test_texts_and_holes_alternate(self) -> None:
        assert parse_template("{payments} payments at {n + 1:.2}!") == [
            Hole("payments", "", 1),
            " payments at ",
            Hole("n + 1", ".2", 24),
            "!",
        ]

    def test_doubled_braces_are_braces(self) -> None:
        assert parse_template("{{a}} {b}") == ["{a} ", Hole("b", "", 7)]

    def test_a_text_without_holes_is_itself(self) -> None:
        assert parse_template("quiet") == ["quiet"]
        assert parse_template("") == []

    def test_quoted_braces_and_colons_belong_to_the_expression(self) -> None:
        assert parse_template("{case when a = '}:{' then 1 end:%}") == [Hole("case when a = '}:{' then 1 end", "%", 1)]

    def test_the_first_colon_begins_the_format_which_may_hold_more(self) -> None:
        assert parse_template("{at:%H:%M}") == [Hole("at", "%H:%M", 1)]

    def test_a_cast_is_no_format(self) -> None:
        assert parse_template("{a::text}") == [Hole("a::text", "", 1)]

    def test_blanks_around_an_expression_do_not_count(self) -> None:
        assert parse_template("{  a  }") == [Hole("a", "", 3)]

    @pytest.mark.parametrize(
        ("text", "offset", "what"),
        [
            ("a { b", 2, "never closed"),
            ("a } b", 2, "without its"),
            ("a {} b", 3, "nothing between"),
            ("a { :.2}", 3, "nothing between"),
            ("{a {b}}", 3, "inside of"),
            ("{a:}", 2, "nothing after the colon"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_place(self, text: str, offset: int, what: str) -> None:
        with pytest.raises(TemplateError, match=what) as error:
            parse_template(text)
        assert error.value.offset == offset
