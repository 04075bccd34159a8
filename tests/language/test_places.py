"""Where a character of a text stands in its file, however it is written there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.language import loads
from tocsin.language.places import place_in

HEAD = "topology: {name: x}\nrules:\n  r:\n    from: f\n    levels: {red: true}\n    says: "


def shown(written: str) -> tuple[str, str, list[str]]:
    """A value as it is read, what stands at each of its characters, and where."""
    text = HEAD + written + "\n"
    lines = text.split("\n")
    (value,) = loads(text, name="t.yaml").rules["r"].says.values()  # type: ignore[index]  # a Text is a str
    places = [place_in(value, offset) for offset in range(len(value))]
    return str(value), "".join((lines[p.line - 1] + "\n")[p.column - 1] for p in places), [str(p) for p in places]


class TestPlaces:
    """Each character of the value is found."""

    @pytest.mark.parametrize(
        "written",
        ["plain text", "'in quotes'", '"in double quotes"', "  far away", "多字节 text", "'with # and: and {'"],
    )
    def test_letter_by_letter(self, written: str) -> None:
        value, found, _ = shown(written)
        assert found == value

    @pytest.mark.parametrize(
        ("written", "found"),
        [
            ("'it''s so'", "it's so"),
            (r'"say \"so\" twice"', r"say \so\ twice"),
            (r'"a\tb"', "a\\b"),
            (r'"\u00e9t\x41"', "\\t\\"),
            ("one two\n      three", "one two\nthree"),
            ("one\n\n      two", "one\ntwo"),
            ("'one two\n      three'", "one two\nthree"),
            ('"one \\\n      two"', "one two"),
            ("|\n      one\n      two", "one\ntwo\n"),
            (">\n      one\n      two", "one\ntwo\n"),
            ("|2-\n      one\n      two", "  one\ntwo"),
        ],
    )
    def test_where_it_is_written_otherwise(self, written: str, found: str) -> None:
        assert shown(written)[1].replace(" ", "") == found.replace(" ", "")

    def test_lines_count_from_the_file(self) -> None:
        places = shown("one\n      two")[2]
        assert (places[0], places[-1]) == ("t.yaml:6:11", "t.yaml:7:9")

    @given(st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1), min_size=1, max_size=6))
    def test_words_are_found_on_whatever_line_they_stand(self, words: list[str]) -> None:
        quoted = "'" + "\n      ".join(words) + "'"
        value, found, _ = shown(quoted)
        assert found.replace("\n", " ") == value
