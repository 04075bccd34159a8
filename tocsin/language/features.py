"""The words of `features`: what is computed."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.errors import nearest
from tocsin.language.collections import Many, MapOf, NamedExpressions
from tocsin.language.detect_words import DETECTORS, DetectWord
from tocsin.language.parameters import PARAMETERS, ParameterWord
from tocsin.language.records import Record, word
from tocsin.language.scalars import COLUMN, DURATION, EXPRESSION, NAME
from tocsin.language.sequences import STEPS, SequenceStep
from tocsin.language.shapes import one_of
from tocsin.language.text import NOWHERE, Duration, Expression, Text
from tocsin.language.window_words import WINDOWS, WindowWord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tocsin.errors import Mark
    from tocsin.language.shapes import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementWord:
    """`movement`: distance, elapsed and speed since the key's last row, and fences entered or left."""

    place: Expression = word("the point where the event happened", shape=EXPRESSION, example="terminal.place")
    forget: Duration = word("after how long a last place no longer counts", shape=DURATION, example="1d")
    fence: Expression | None = word(
        "a polygon: the columns `inside`, `entered` and `left` then tell of it",
        shape=EXPRESSION,
        example="terminal.zone",
        default=None,
    )
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class OccupancyWord:
    """`occupancy`: where each `who` was last seen, as people per `in` every so often."""

    who: Expression = word("who is counted, each once", shape=EXPRESSION, example="subscriber")
    area: Expression = word("the area in which an event shows them", shape=EXPRESSION, example="cell.unit", name="in")
    every: Duration = word("how often a row per area is given", shape=DURATION, example="1m")
    forget: Duration = word("after how long without an event they are gone", shape=DURATION, example="1h")
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureWord:
    """One feature: numbers per key, computed from a stream, the alerts, or other features."""

    name: Text
    sources: tuple[Text, ...] = word(
        "what it reads: a stream (`quality` and `alerts` are built in), a feature, or several features with the same "
        "`by`; required but with `sequence`",
        shape=Many(NAME),
        example="payments",
        name="from",
        default=(),
    )
    where: Expression | None = word(
        "which of the rows read", shape=EXPRESSION, example="not answered and ring <= blink", default=None
    )
    each: Mapping[Text, Expression] = word(
        "one row becomes one per row of a table that begins with this key",
        shape=MapOf(COLUMN, EXPRESSION),
        example="{wish: subscriptions(metric)}",
        default_factory=dict,
    )
    by: Mapping[Text, Expression] = word(
        "the key: columns, or names with their expressions; rows in which one is null are left out and counted",
        shape=NamedExpressions(),
        example="{range: caller_range}",
        default_factory=dict,
    )
    for_all: Text | None = word(
        "a table (or `streams`, all declared ones) for each of whose keys there is a row per window, an empty one too",
        shape=NAME,
        example="streams",
        default=None,
    )
    at: Text | None = word(
        "the stream or feature at whose rows trailing windows are read; its columns stay",
        shape=NAME,
        example="payments",
        default=None,
    )
    roll_up: Text | None = word(
        "the field of the area's table that names its parent: everybody also counts once in each unit above",
        shape=COLUMN,
        example="parent",
        default=None,
    )
    windows: tuple[WindowWord, ...] = word(
        "aggregates per window", shape=WINDOWS, example="{tumbling 10s: {total: sum(amount)}}", default=()
    )
    movement: MovementWord | None = word(
        "distance, elapsed and speed since the key's last row",
        shape=Record(MovementWord, "movement"),
        example="{place: terminal.place, forget: 1d}",
        default=None,
    )
    occupancy: OccupancyWord | None = word(
        "people, inflow, outflow and dwell per area",
        shape=Record(OccupancyWord, "occupancy"),
        example="{who: subscriber, in: cell.unit, every: 1m, forget: 1h}",
        default=None,
    )
    sequence: tuple[SequenceStep, ...] = word(
        "steps that follow one another; the latest earlier step counts, and one match is given per last step",
        shape=STEPS,
        example="[{call: {from: calls}}, {transfer: {from: transfers}}]",
        default=(),
    )
    within: Duration | None = word(
        "the longest time from the first step of a sequence to its last", shape=DURATION, example="2h", default=None
    )
    absence: Text | None = word(
        "the step that must be missing: before the others, between two of them, or until `within` is over",
        shape=COLUMN,
        example="transfer",
        default=None,
    )
    derive: Mapping[Text, Expression] = word(
        "further columns, computed from the rows given",
        shape=MapOf(COLUMN, EXPRESSION),
        example="{ago: at - stayed}",
        default_factory=dict,
    )
    detect: tuple[DetectWord, ...] = word(
        "detectors on these rows: each adds name.value, .score, .low, .high and what explains them",
        shape=DETECTORS,
        example="{usual: {baseline: h1, season: hour of week, history: 8w}}",
        default=(),
    )
    parameters: Mapping[Text, ParameterWord] = word(
        "named numbers for the expressions here",
        shape=PARAMETERS,
        example="{blink: {value: 3 s, why: one ring}}",
        default_factory=dict,
    )
    mark: Mark = NOWHERE


def _finish(values: dict[str, Any], mark: Mark, reading: Reading) -> None:
    """Refuse columns named twice, and half a sequence."""
    first: dict[Text, Text] = {}
    for column in _columns(values):
        if column in first:
            expected = f"a column of its own (first: {first[column].mark})"
            reading.report.add(column.mark, "duplicate-key", f"the column {str(column)!r} is made twice", expected)
        first.setdefault(column, column)
    if not (values.get("sources") or values.get("sequence")):
        expected = "`from: payments`, the stream or feature it reads, or a sequence"
        reading.report.add(mark, "missing-word", "a feature needs the word 'from'", expected)
    _check_sequence(values, mark, reading)


def _columns(values: dict[str, Any]) -> Iterator[Text]:
    """Give the columns that a feature makes, in the order of the reference."""
    for window in values.get("windows", ()):
        yield from window.columns
    yield from values.get("derive", {})
    for detector in values.get("detect", ()):
        yield detector.name


def _check_sequence(values: dict[str, Any], mark: Mark, reading: Reading) -> None:
    """Refuse a sequence without its time, one step alone, and the words of a sequence without it."""
    steps, report = values.get("sequence", ()), reading.report
    if not steps:
        for alone in ("within", "absence"):
            if alone in values:
                report.add(mark, "missing-word", f"`{alone}` without a sequence", "`sequence:` with its steps")
        return
    if "within" not in values:
        report.add(mark, "missing-word", "a sequence needs the word 'within'", "`within: 2h`, from first step to last")
    if len(steps) < 2:  # noqa: PLR2004  # "one thing, then another" is two
        report.add(steps[0].mark, "missing-word", "a sequence of one step", "two steps or more")
    names = [str(step.name) for step in steps]
    absence = values.get("absence")
    if absence is not None and absence not in names:
        what = f"{str(absence)!r} is no step"
        report.add(absence.mark, "unknown-step", what, one_of(names), nearest(absence, names))


FEATURE = Record(FeatureWord, "a feature", named="name", finish=_finish)
