"""The words of topology.yaml as typed data: the one model behind errors, JSON Schema and reference.

Every scalar of the file is read as text and keeps its place (`Text`); the model types it. A field's metadata holds what
the reference and the schema say of the word: `doc`, `example`, and for words whose Python name differs, `word`.
Expressions are kept as text here; the compiler parses and types them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.errors import Mark
from tocsin.model.windows import Window

NOWHERE = Mark("", 0, 0)


class Text(str):
    """A scalar of the file, with its place."""

    __slots__ = ("mark",)
    mark: Mark

    def __new__(cls, text: str, mark: Mark = NOWHERE) -> Text:  # noqa: PYI034  # `Self` breaks str's typing
        """Keep `text` and where it stood."""
        self = super().__new__(cls, text)
        self.mark = mark
        return self


class Expression(Text):
    """A text that must be an SQL expression."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time, `10m` or `1d 12h`; milliseconds."""

    ms: int
    text: Text


def word(doc: str, *, example: str = "", name: str = "", **default: Any) -> Any:  # noqa: ANN401  # as dataclasses.field
    """Declare a word: what it means, an example, its spelling where Python's differs, its default."""
    return field(metadata={"doc": doc, "example": example, "word": name}, **default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """`topology`: what this file is called, and what holds for all of it."""

    name: Text = word("the name of the topology; part of every alert's id", example="card")
    zone: Text = word("IANA time zone of `at HH:MM`, `during` and parts of time", example="Asia/Shanghai",
                      default=Text("UTC"))
    uses: tuple[Text, ...] = word("files read first, relative to this one", example="[telecom.yaml]", default=())
    min_group: int = word("published counts of persons below this are suppressed", example="10", default=0)
    language: Text = word("version of the language", example="1", default=Text("1"))
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWord:
    """`time` of a stream: where event time stands and how late events may be."""

    field: Text
    lateness: Duration
    idle: Duration
    ahead: Duration
    skew: Duration
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldWord:
    """A field: its type word (`string`, `decimal(2)`, `person(card)`, `duration(s)`, a table's name), unit, resolution."""

    type: Text
    unit: Text | None = None
    resolution: float | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckWord:
    """A check: what fails it is dead, or only counted (`should`)."""

    condition: Expression
    should: bool = False
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWord:
    """One stream of events."""

    name: Text
    fields: Mapping[Text, FieldWord]
    time: TimeWord
    id: Text | None = None
    topic: Text | None = None
    format: Text = Text("json")
    owner: Text | None = None
    partitioned_by: tuple[Text, ...] = ()
    dedup: Duration | None = None
    derive: Mapping[Text, Expression] = field(default_factory=dict)
    checks: Mapping[Text, CheckWord] = field(default_factory=dict)
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWord:
    """One table: rows by key, looked up as of the event's time."""

    name: Text
    key: tuple[Text, ...]
    fields: Mapping[Text, FieldWord]
    time: Text | None = None
    broadcast: int = 1_000_000
    keyed: bool = False
    format: Text = Text("json")
    topic: Text | None = None
    file: Text | None = None
    rows: tuple[Mapping[Text, Text], ...] | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterWord:
    """A named number (or text) with its unit, the reason for it and a public reference."""

    value: Text
    why: Text | None = None
    see: Text | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowWord:
    """One window of a feature: its word, and the columns it aggregates."""

    window: Window
    text: Text
    columns: Mapping[Text, Expression]
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementWord:
    """`movement`: distance, elapsed and speed since the key's last row, and fences entered or left."""

    place: Expression
    forget: Duration
    fence: Text | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class OccupancyWord:
    """`occupancy`: where each `who` was last seen, as people per `in` every so often."""

    who: Expression
    area: Expression = word("`in`", name="in")
    every: Duration
    forget: Duration
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStep:
    """One step of a sequence."""

    name: Text
    source: Text
    by: Mapping[Text, Expression] = field(default_factory=dict)
    where: Expression | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectWord:
    """One detector: `usual: {baseline: h1, season: hour of week, history: 8w}`."""

    name: Text
    kind: Text
    column: Expression
    options: Mapping[Text, Text] = field(default_factory=dict)
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureWord:
    """One feature: numbers per key, computed from a stream, the alerts, or other features."""

    name: Text
    sources: tuple[Text, ...]
    where: Expression | None = None
    each: Mapping[Text, Expression] = field(default_factory=dict)
    by: Mapping[Text, Expression] = field(default_factory=dict)
    for_all: Text | None = None
    at: Text | None = None
    roll_up: Text | None = None
    windows: tuple[WindowWord, ...] = ()
    movement: MovementWord | None = None
    occupancy: OccupancyWord | None = None
    sequence: tuple[SequenceStep, ...] = ()
    within: Duration | None = None
    absence: Text | None = None
    derive: Mapping[Text, Expression] = field(default_factory=dict)
    detect: tuple[DetectWord, ...] = ()
    parameters: Mapping[Text, ParameterWord] = field(default_factory=dict)
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelWord:
    """When a level rises and falls: a condition (`when`, `reset`), or a bound of the rule's measure."""

    level: Text
    when: Expression | None = None
    bound: Expression | None = None
    reset: Expression | None = None
    says: Text | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentWord:
    """Which alerts are one incident."""

    by: tuple[Text, ...] = ()
    along: Text | None = None
    gap: Duration | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWord:
    """One line of a rule's test: fields of an event, `at`, and how often it happens."""

    values: Mapping[Text, Text | tuple[Text, ...]]
    at: Text | None = None
    every: Duration | None = None
    times: int | None = None
    until: Text | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTest:
    """A test inside a rule: given events and table rows, expected levels at times per entity."""

    given: Mapping[Text, tuple[GivenWord, ...]]
    expect: Mapping[Text, tuple[Text, ...]]
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWord:
    """One rule: conditions on columns, and what to say."""

    name: Text
    sources: tuple[Text, ...]
    entity: tuple[Expression, ...] = ()
    parameters: Mapping[Text, ParameterWord] = field(default_factory=dict)
    levels: Mapping[Text, LevelWord] = field(default_factory=dict)
    measure: Expression | None = None
    slack: Text | None = None
    for_: Duration | None = word("how long before it is said", name="for", default=None)
    keep: Duration | None = None
    keep_forever: bool = False
    expires: Duration | None = None
    unless: Expression | None = None
    incident: IncidentWord | None = None
    labels: Mapping[Text, Text] = field(default_factory=dict)
    says: Mapping[Text, Text] = field(default_factory=dict)
    runbook: Text | None = None
    tests: tuple[RuleTest, ...] = ()
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkWord:
    """Where alerts go: a kind, its target, and which of them."""

    name: Text
    kind: Text
    target: Text
    where: Expression | None = None
    at_most: Text | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A whole topology, used files merged in."""

    header: Header
    streams: Mapping[Text, StreamWord] = field(default_factory=dict)
    tables: Mapping[Text, TableWord] = field(default_factory=dict)
    features: Mapping[Text, FeatureWord] = field(default_factory=dict)
    rules: Mapping[Text, RuleWord] = field(default_factory=dict)
    sinks: Mapping[Text, SinkWord] = field(default_factory=dict)
    files: tuple[Text, ...] = ()
