"""From YAML text to nodes, without YAML's surprises.

Every scalar stays the text it is written as (YAML 1.1 makes `on` true, 22:00 1320, 0044 36 and NO false). Duplicate
keys, empty values, anchors, aliases, tags and merge keys are refused. The tree is built from the parser's events,
since these still show the anchors and explicit tags that PyYAML's own composer resolves in silence.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import yaml

from tocsin.errors import Mark
from tocsin.language.nodes import ListNode, MapNode, Node
from tocsin.language.report import Refused
from tocsin.language.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.language.report import Report

DEEPEST = 30
"""Deeper nesting is no topology; the bound keeps hostile files from exhausting the stack."""

_NO_TEXT = re.compile("[\\0\\ud800-\\udfff]")
"""What double quotes can smuggle in, and no file name or message can hold."""

_DISPUTED = re.compile("[\\t\\r?\\x85\\u2028\\u2029\\ufeff]|^%", re.MULTILINE)
"""Where PyYAML's two parsers differ: tabs, `?`, breaks of lines other than a newline, directives."""

QUOTE = "quotes around a text that begins with one of { [ & * ! | > % @ `, or holds `: ` or ` #`"
QUOTE_IN_BRACES = "quotes around the whole text: inside { } and [ ], a comma or bracket ends it"

_SYNTAX = {
    "found character '\\t'": ("a tab where the line begins", "spaces: YAML does not indent with tabs"),
    "mapping values are not allowed": (
        "a `: ` inside a text",
        "quotes around a text that holds `: `, or the missing `:` in the line above",
    ),
    "expected <block end>, but found '-'": ("a list item that does not fit the lines above", "the same indentation"),
    "expected <block end>, but found '<scalar>'": ("text after the end of a value", QUOTE),
    "expected <block end>": ("a line that does not fit the lines above", "the same indentation as its neighbours"),
    "but got '<stream end>'": ("a brace or bracket that is never closed", "`}` or `]`"),
    "expected ',' or '}', but got ']'": ("a brace that is never closed", "`}`"),
    "expected ',' or ']', but got '}'": ("a bracket that is never closed", "`]`"),
    "expected ',' or '}'": ("a text that does not fit inside { }", QUOTE_IN_BRACES),
    "expected ',' or ']'": ("a text that does not fit inside [ ]", QUOTE_IN_BRACES),
    "found unexpected end of stream": ("a quote that is never closed", "the closing quote"),
    "cannot start any token": ("a character that no plain text begins with", QUOTE),
    "could not find expected ':'": ("a line without a value", "`name: value`, with a space after the colon"),
}
"""What PyYAML says, what that means to a rule author, and what is expected."""


def parse(text: str, file: str, report: Report) -> MapNode | None:
    """Give the tree of a file; nothing, with problems in the report, if it cannot be read."""
    try:
        root = _Builder(text, file, report).document()
    except yaml.MarkedYAMLError as error:
        mark, what, expected = _syntax(error, file)
        report.forget_line(mark)
        report.add(mark, "yaml", what, expected)
    except yaml.reader.ReaderError as error:
        report.add(_place_of(text, error.position, file), "yaml", "a character that YAML does not allow", "plain UTF-8")
    except Refused:
        pass
    else:
        return root
    return None


def _syntax(error: yaml.MarkedYAMLError, file: str) -> tuple[Mark, str, str]:
    """Say where the text stops being YAML, and the usual reason."""
    where = error.problem_mark or error.context_mark
    mark = Mark(file, where.line + 1, where.column + 1) if where else Mark(file, 1, 1)
    said = error.problem or error.context or "unreadable"
    found = (words for start, words in _SYNTAX.items() if start in said)
    what, expected = next(found, (f"not YAML: {said}", "YAML"))
    return mark, what, expected


def _place_of(text: str, position: int, file: str) -> Mark:
    before = text[:position]
    return Mark(file, before.count("\n") + 1, position - before.rfind("\n"))


def _events(text: str) -> Iterator[yaml.Event]:
    """Give the events of a text, from libyaml where it reads all of it as PyYAML's own parser does: it is far faster.

    All that is wrong goes to the latter, whose words `_SYNTAX` knows.
    """
    if yaml.__with_libyaml__ and not _DISPUTED.search(text):
        with suppress(yaml.YAMLError, UnicodeEncodeError):
            events = list(yaml.parse(text, Loader=yaml.CBaseLoader))
            if not any(map(_empty, events)):
                return iter(events)
    return iter(yaml.parse(text, Loader=yaml.BaseLoader))


def _empty(event: yaml.Event) -> bool:
    """Whether nothing was written; a quoted empty text is something."""
    return isinstance(event, yaml.ScalarEvent) and not event.value and not event.style


def _source(event: yaml.ScalarEvent, text: str) -> str:
    """Give a scalar as written, after a sign for its style; "" if that is just its text."""
    start, end, style = event.start_mark, event.end_mark, event.style or " "
    if start is None or end is None:
        return ""
    quotes = 1 if style in "'\"" else 0
    written = text[start.index + quotes : end.index - quotes]
    return "" if written == event.value else style + written


class _Builder:
    """Builds nodes from the events of one file."""

    def __init__(self, text: str, file: str, report: Report) -> None:
        self.written = text
        self.file = file
        self.report = report
        self.events = _events(text)

    def document(self) -> MapNode:
        """Read the one document of the file; it must be a map."""
        next(self.events)  # the stream's start
        first = next(self.events)
        if isinstance(first, yaml.StreamEndEvent):
            raise self.report.refuse(
                Mark(self.file, 1, 1), "empty-file", "the file is empty", "`topology: {name: …}` and what follows it"
            )
        root = self.node(next(self.events), 0)
        next(self.events)  # the document's end
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self.report.refuse(self.mark(after), "yaml", "a second document (`---`)", "one topology per file")
        if not isinstance(root, MapNode):
            raise self.report.refuse(
                root.mark, "wrong-shape", "the file is not a map", "`topology: {name: …}` and what follows it"
            )
        return root

    def mark(self, event: yaml.Event) -> Mark:
        """Give the place of an event, counted from 1."""
        start = event.start_mark
        return Mark(self.file, start.line + 1, start.column + 1) if start else Mark(self.file, 1, 1)

    def node(self, event: yaml.Event, depth: int) -> Node:
        """Read one node that begins with `event`."""
        self.refuse_cleverness(event)
        if depth > DEEPEST:
            raise self.report.refuse(self.mark(event), "yaml", f"nested more than {DEEPEST} deep", "a flatter file")
        if isinstance(event, yaml.ScalarEvent):
            return self.text(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.list(event, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self.map(event, depth)
        raise AssertionError(f"no node begins with {event}")

    def refuse_cleverness(self, event: yaml.Event) -> None:
        """Refuse what makes a file mean something else than it shows."""
        if isinstance(event, yaml.AliasEvent):
            raise self.report.refuse(
                self.mark(event),
                "alias",
                "an alias (`*`)",
                "the value itself; a text with * needs quotes",
            )
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor:
            self.report.add(
                self.mark(event), "anchor", f"an anchor, `&{anchor}`", "no anchors; a text with & needs quotes"
            )
        if tag:
            self.report.add(self.mark(event), "tag", f"a tag, `{tag}`", "no tags; a text with ! needs quotes")

    def list(self, start: yaml.SequenceStartEvent, depth: int) -> ListNode:
        """Read the items up to the end of the list."""
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            item = self.node(event, depth + 1)
            if _empty(event):
                self.report.add(self.mark(event), "empty-value", "an empty item", "a value; '' for an empty text")
            items.append(item)
        return ListNode(tuple(items), self.mark(start))

    def map(self, start: yaml.MappingStartEvent, depth: int) -> MapNode:
        """Read keys and values up to the end of the map."""
        entries: dict[Text, Node] = {}
        braced, broken = bool(start.flow_style), False
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, depth)
            value_event = next(self.events)
            value = self.node(value_event, depth + 1)
            if _empty(value_event):
                self.refuse_empty(key, braced=braced)
                broken = True
            elif self.fresh(key, entries):
                entries[key] = value
        return MapNode(tuple(entries.items()), self.mark(start), braced, broken)

    def key(self, event: yaml.Event, depth: int) -> Text:
        """Read a key; only a text can be one."""
        if not isinstance(event, yaml.ScalarEvent):
            node = self.node(event, depth + 1)
            raise self.report.refuse(node.mark, "wrong-shape", "a list or map in the place of a name", QUOTE)
        self.refuse_cleverness(event)
        return self.text(event)

    def text(self, event: yaml.ScalarEvent) -> Text:
        """Give a text; its place is that of its first character, inside quotes."""
        mark = self.mark(event)
        if _NO_TEXT.search(event.value):
            raise self.report.refuse(mark, "yaml", "an escape that is no character", "text without \\0 and surrogates")
        quoted = event.style in {"'", '"'}
        return Text(event.value, Mark(mark.file, mark.line, mark.column + quoted, _source(event, self.written)))

    def refuse_empty(self, key: Text, *, braced: bool) -> None:
        """Say that a value is missing, and the usual reason."""
        expected = "a value; '' for an empty text"
        if braced and key.count(")") > key.count("("):
            expected = QUOTE_IN_BRACES
        elif braced and ":" in key:
            expected = "a space after the colon"
        elif braced:
            expected = "a value, or quotes around the whole text if its braces belong to it"
        self.report.add(key.mark, "empty-value", f"{str(key)!r} has no value", expected)

    def fresh(self, key: Text, entries: dict[Text, Node]) -> bool:
        """Whether a key may be added: it is not there yet, and no merge key."""
        if key == "<<":
            self.report.add(key.mark, "merge", "a merge key, `<<`", "the words themselves")
            return False
        first = next((other for other in entries if other == key), None)
        if first is not None:
            self.report.add(
                key.mark, "duplicate-key", f"{str(key)!r} stands here twice", f"it once (first: {first.mark})"
            )
        return first is None
