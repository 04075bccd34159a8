"""The words of topology.yaml as typed data: the one model behind errors, JSON Schema and reference.

Every scalar of the file is read as text and keeps its place (`Text`); the model types it. The words of each section
stand in a module of their own; a field's metadata holds its shape and what the reference and the schema say of it.
Expressions are kept as text here; the compiler parses and types them.
"""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.language.collections import MapOf
from tocsin.language.detect_words import DetectWord
from tocsin.language.features import FEATURE, FeatureWord, MovementWord, OccupancyWord
from tocsin.language.fields import FieldWord
from tocsin.language.header import HEADER, Header
from tocsin.language.parameters import ParameterWord
from tocsin.language.records import Record, word
from tocsin.language.rule_tests import GivenWord, RuleTest
from tocsin.language.rules import RULE, IncidentWord, LevelWord, RuleWord
from tocsin.language.scalars import NAME
from tocsin.language.sequences import SequenceStep
from tocsin.language.sinks import SINK, SinkWord
from tocsin.language.streams import STREAM, CheckWord, StreamWord, TimeWord
from tocsin.language.tables import TABLE, TableWord
from tocsin.language.text import NOWHERE, Duration, Expression, Text
from tocsin.language.window_words import WindowWord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark
    from tocsin.language.shapes import Reading

__all__ = [
    "NOWHERE",
    "CheckWord",
    "DetectWord",
    "Duration",
    "Expression",
    "FeatureWord",
    "FieldWord",
    "GivenWord",
    "Header",
    "IncidentWord",
    "LevelWord",
    "MovementWord",
    "OccupancyWord",
    "ParameterWord",
    "RuleTest",
    "RuleWord",
    "SequenceStep",
    "SinkWord",
    "StreamWord",
    "TableWord",
    "Text",
    "TimeWord",
    "Topology",
    "WindowWord",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A whole topology, used files merged in."""

    header: Header = word(
        "what this file is called, and what holds for all of it",
        shape=HEADER,
        name="topology",
        example="{name: card, zone: Asia/Shanghai}",
    )
    streams: Mapping[Text, StreamWord] = word(
        "what comes in, by name", shape=MapOf(NAME, STREAM, empty=True), default_factory=dict
    )
    tables: Mapping[Text, TableWord] = word(
        "what is looked up, by name", shape=MapOf(NAME, TABLE, empty=True), default_factory=dict
    )
    features: Mapping[Text, FeatureWord] = word(
        "what is computed, by name", shape=MapOf(NAME, FEATURE, empty=True), default_factory=dict
    )
    rules: Mapping[Text, RuleWord] = word(
        "what is judged, by name", shape=MapOf(NAME, RULE, empty=True), default_factory=dict
    )
    sinks: Mapping[Text, SinkWord] = word(
        "who receives alerts, by name", shape=MapOf(NAME, SINK, empty=True), default_factory=dict
    )
    files: tuple[Text, ...] = ()
    mark: Mark = NOWHERE


def _finish(values: dict[str, Any], _mark: Mark, reading: Reading) -> None:
    """Refuse a feature that is called as a stream: `from` could mean both."""
    streams = {name: name for name in values.get("streams", {})}
    for name in values.get("features", {}):
        if name in streams:
            what = f"{str(name)!r} is a stream and a feature"
            reading.report.add(name.mark, "duplicate-name", what, f"another name (the stream: {streams[name].mark})")


TOPOLOGY = Record(Topology, "a topology", finish=_finish)
