"""The words of `rules`: what is judged, and what is said then."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.language.collections import Many, MapOf
from tocsin.language.parameters import PARAMETERS, ParameterWord
from tocsin.language.records import Record, word
from tocsin.language.rule_tests import TESTS, RuleTest
from tocsin.language.scalars import ANY_TEXT, COLUMN, DURATION, EXPRESSION, LANGUAGE_CODE, LEVEL, NAME, TEXT
from tocsin.language.shapes import Reading, Scalar, Schema, matching
from tocsin.language.text import NOWHERE, Duration, Expression, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark
    from tocsin.language.nodes import Node

FOREVER = "forever"
_SHARE = r"\d{1,2}(\.\d+)?%|0?\.\d+|[A-Za-z_]\w*"
SHARE = Scalar("a share such as 5%, or a parameter", "bad-number", matching(_SHARE, "share"), _SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelWord:
    """When a level rises and falls: a condition (`when`, `reset`), or a bound of the rule's measure."""

    level: Text
    when: Expression | None = word(
        "the condition under which the level rises; a bare text at the level is this",
        shape=EXPRESSION,
        example="payments >= 10",
        default=None,
    )
    bound: Expression | None = word(
        "in a rule with a measure: from where on the level holds; a bare text at the level is this",
        shape=EXPRESSION,
        example="80%",
        default=None,
    )
    reset: Expression | None = word(
        "the condition under which it falls; without it, when `when` is false",
        shape=EXPRESSION,
        example="payments < 5",
        default=None,
    )
    says: Text | None = word(
        "what to say at this level, instead of the rule's `says`", shape=TEXT, example="stop the card", default=None
    )
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentWord:
    """`incident`: which alerts are of one cause."""

    by: tuple[Text, ...] = word(
        "alerts with the same values of these columns", shape=Many(COLUMN), example="card", default=()
    )
    along: Text | None = word(
        "alerts of units that lie in one another, by this field of their parent",
        shape=COLUMN,
        example="parent",
        default=None,
    )
    gap: Duration | None = word(
        "how long after the last alert an incident stays open", shape=DURATION, example="1h", default=None
    )
    mark: Mark = NOWHERE


class Level:
    """A bare text, whose meaning the rule decides, or a map with the words of a level."""

    words = "a condition (a bound, where the rule has a measure), or a map with when, bound, reset, says"
    _long = Record(LevelWord, "a level", named="level")

    def read(self, node: Node, reading: Reading) -> Expression | LevelWord:
        """Read a level that stands under no name."""
        return self.read_named(node, Text("", node.mark), reading)

    def read_named(self, node: Node, name: Text, reading: Reading) -> Expression | LevelWord:
        """Give the bare expression, or the level."""
        if isinstance(node, Text):
            bare: Expression = EXPRESSION.read(node, reading)
            return bare
        level: LevelWord = self._long.read_named(node, name, reading)
        return level

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow both forms."""
        return {"anyOf": [EXPRESSION.schema(definitions), self._long.schema(definitions)]}


class Keep:
    """A duration, or `forever`."""

    words = "a duration such as 30m, or forever"

    def read(self, node: Node, reading: Reading) -> Duration | None:
        """Give the duration; nothing for `forever`."""
        return None if node == FOREVER else Scalar(self.words, DURATION.code, DURATION.parse).read(node, reading)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow both."""
        return {"anyOf": [{"const": FOREVER}, DURATION.schema(definitions)]}


class Says:
    """A text, or one per language; the key of a text without language is empty."""

    words = "a text, or a map {language: text}"
    _languages = MapOf(LANGUAGE_CODE, TEXT)

    def read(self, node: Node, reading: Reading) -> dict[Text, Text]:
        """Give the texts by language."""
        if isinstance(node, Text):
            return {Text("", node.mark): TEXT.read(node, reading)}
        return self._languages.read(node, reading)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow both."""
        return {"anyOf": [TEXT.schema(definitions), self._languages.schema(definitions)]}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWord:
    """One rule: conditions on columns, and what to say."""

    name: Text
    sources: tuple[Text, ...] = word(
        "what it judges: a feature, several with the same `by`, or a stream (an immediate rule)",
        shape=Many(NAME),
        example="pace",
        name="from",
    )
    entity: tuple[Expression, ...] = word(
        "whose alerts are one episode at a time; without it, `by` of what it reads",
        shape=Many(EXPRESSION),
        example="[wish.subscription, region]",
        default=(),
    )
    parameters: Mapping[Text, ParameterWord] = word(
        "named numbers for the expressions here, with the reason for each",
        shape=PARAMETERS,
        example="{many: {value: 10 payments, why: the fourth was the most in a year}}",
        default_factory=dict,
    )
    levels: Mapping[Text, LevelWord] = word(
        "per level its condition, or its bound of the measure; each is its own switch, the highest that is on shows",
        shape=MapOf(LEVEL, Level()),
        example="{yellow: payments >= 5, red: {when: payments >= 20, reset: payments < 10}}",
    )
    measure: Expression | None = word(
        "the number that the levels' bounds are for; it is the score too",
        shape=EXPRESSION,
        example="people / unit.capacity",
        default=None,
    )
    slack: Text | None = word(
        "how far below its bound a level falls again, as a share of the bound",
        shape=SHARE,
        example="5%",
        default=None,
    )
    for_: Duration | None = word(
        "how long a condition must hold, without a false step, before it is said",
        shape=DURATION,
        example="3m",
        name="for",
        default=None,
    )
    keep: Duration | None = word(
        "how long after its last support a level falls; `forever`: only by reset or `expires`. An immediate rule: "
        "how long it stays quiet about the same entity",
        shape=Keep(),
        example="30m",
        default=None,
    )
    keep_forever: bool = False
    expires: Duration | None = word(
        "how long without a row until an open episode is closed as expired; else the greater of 24 h and 3 windows",
        shape=DURATION,
        example="2d",
        default=None,
    )
    unless: Expression | None = word(
        "the condition under which nothing is said", shape=EXPRESSION, example="card in trusted", default=None
    )
    incident: IncidentWord | None = word(
        "which alerts are one incident",
        shape=Record(IncidentWord, "an incident"),
        example="{by: card, gap: 1h}",
        default=None,
    )
    labels: Mapping[Text, Text] = word(
        "texts for those who receive the alert, with columns in braces",
        shape=MapOf(COLUMN, ANY_TEXT),
        example="{decision: hold}",
        default_factory=dict,
    )
    says: Mapping[Text, Text] = word(
        "what the alert says, with columns in braces: {x}, {x:.2}, {x:%}",
        shape=Says(),
        example='"{payments} payments in 10 minutes"',
        default_factory=dict,
    )
    runbook: Text | None = word(
        "where it is written what to do", shape=TEXT, example="https://example.org/runbooks/cards", default=None
    )
    tests: tuple[RuleTest, ...] = word(
        "examples that `check` runs: events, and the levels they must give",
        shape=TESTS,
        example="[{given: {payments: [{card: A, at: 10:00, amount: 5}]}, expect: {}}]",
        default=(),
    )
    mark: Mark = NOWHERE


def _finish(values: dict[str, Any], _mark: Mark, reading: Reading) -> None:
    """Make bounds of the bare levels of a measure; refuse what needs a measure without one."""
    values["keep_forever"] = "keep" in values and values["keep"] is None
    measured = "measure" in values
    values["levels"] = {name: _level(name, level, measured, reading) for name, level in values["levels"].items()}
    slack, incident = values.get("slack"), values.get("incident")
    if slack is not None and not measured:
        expected = "`measure:`, or a `reset` at each level"
        reading.report.add(slack.mark, "contradiction", "`slack` without a measure", expected)
    if incident is not None and bool(incident.by) == bool(incident.along):
        what = "an incident is either by columns or along a hierarchy"
        reading.report.add(incident.mark, "contradiction", what, "`by` or `along`")


def _level(name: Text, level: Expression | LevelWord, measured: bool, reading: Reading) -> LevelWord:  # noqa: FBT001  # a fact
    """Give a level as its rule means it: a bare text is a bound where there is a measure, else a condition."""
    if not isinstance(level, LevelWord):
        as_bound, as_condition = (level, None) if measured else (None, level)
        return LevelWord(level=name, bound=as_bound, when=as_condition, mark=name.mark)
    if (level.when is None) == (level.bound is None):
        reading.report.add(name.mark, "contradiction", f"level {str(name)!r} needs one condition", "`when` or `bound`")
    elif level.bound is not None and not measured:
        what = "`bound` without a measure"
        reading.report.add(level.bound.mark, "contradiction", what, "`measure:` in the rule, or `when`")
    return level


RULE = Record(RuleWord, "a rule", named="name", finish=_finish)
