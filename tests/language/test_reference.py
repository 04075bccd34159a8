"""The reference of the language: complete, up to date, and every example works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tocsin.language import loads
from tocsin.language.fields import PART_OF, PLAIN_TYPES
from tocsin.language.frames import FRAMES
from tocsin.language.model import TOPOLOGY
from tocsin.language.records import words_of
from tocsin.language.reference import TYPE_MEANINGS, WINDOW_MEANINGS, page, reference_markdown
from tocsin.language.sinks import KINDS, SinkOptions
from tocsin.language.streams import ShouldWord
from tocsin.language.window_words import FORMS, parse_window

DOCS = Path(__file__).parents[2] / "docs"
TEMPLATE = (DOCS / "topology.template.md").read_text(encoding="utf-8")
EXAMPLES = [(frame.title, word.spelled, text) for frame in FRAMES for word, text in frame.examples()]
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEMPLATE, re.DOTALL)
NAMED = {f"{block.split('name: ')[1].split(',')[0].split('}')[0]}.yaml": block for block in BLOCKS}


class TestExamples:
    """Each word has an example, and each example is right."""

    @pytest.mark.parametrize(
        ("title", "word", "text"), EXAMPLES, ids=[f"{title}-{word}" for title, word, _ in EXAMPLES]
    )
    def test_the_example_of_a_word_loads_in_its_frame(self, title: str, word: str, text: str) -> None:
        loads(text, reader=lambda _: "topology: {name: used}")
        assert f"{word}: " in text, title

    @pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
    def test_the_examples_of_the_prose_load(self, block: str) -> None:
        loads(block, reader=lambda path: NAMED[path.name])

    @pytest.mark.parametrize(("kind", "example"), [(kind, example) for kind, (_, example) in KINDS.items()])
    def test_the_example_of_a_sink_loads(self, kind: str, example: str) -> None:
        loads(f"topology: {{name: x}}\nsinks:\n  s:\n    {kind}: {example}\n")

    @pytest.mark.parametrize("form", [each for form in FORMS.values() for each in form.split(", or ")])
    def test_the_example_of_a_window_is_one(self, form: str) -> None:
        assert parse_window(form, "UTC")

    @pytest.mark.parametrize("name", TYPE_MEANINGS)
    def test_the_example_of_a_type_is_one(self, name: str) -> None:
        stream = f"{{fields: {{at: timestamp, x: {name}}}, time: {{field: at, lateness: 5s}}}}"
        loads(f"topology: {{name: x}}\nstreams: {{a: {stream}}}")


class TestCompleteness:
    """Nothing of the language is left out."""

    def test_every_word_has_a_meaning_and_an_example(self) -> None:
        words = [(frame.title, word) for frame in FRAMES for word in words_of(frame.cls)]
        assert [f"{title}.{word.spelled}" for title, word in words if not (word.doc and word.example)] == []

    def test_every_part_of_the_language_has_a_frame(self) -> None:
        framed = {frame.cls for frame in FRAMES}
        definitions: dict[str, dict[str, object]] = {}
        TOPOLOGY.schema(definitions)
        named = {cls.__name__ for cls in framed - {SinkOptions}} | {"Topology"}
        assert named == set(definitions)
        assert ShouldWord in framed

    def test_every_window_type_and_sink_has_a_line(self) -> None:
        assert set(WINDOW_MEANINGS) == set(FORMS)
        assert {name.partition("(")[0] for name in TYPE_MEANINGS} >= {*PLAIN_TYPES, *PART_OF}
        assert all(f"`{kind}: " in reference_markdown() for kind in KINDS)

    def test_a_link_within_the_page_has_its_heading(self) -> None:
        headings = re.findall(r"^#+ (.*)$", TEMPLATE, re.MULTILINE)
        anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert set(re.findall(r"\]\(#(.*?)\)", TEMPLATE)) <= anchors


class TestPage:
    """docs/topology.md is the template with the generated tables."""

    def test_the_page_is_up_to_date(self) -> None:
        kept = (DOCS / "topology.md").read_text(encoding="utf-8")
        assert kept == page(TEMPLATE), "run: python -m tocsin.language.reference > docs/topology.md"

    def test_a_template_without_a_place_for_the_reference_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no place for the reference"):
            page("# Words\n")
