"""The levels of a rule: conditions, or bounds of its measure, as Boolean columns that the alert machine reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.alerting.rule import LevelSpec
from operators.expressions import sign_conditions
from operators.expressions.scope import Constant
from operators.rowwise import Column
from tocsin.compiler.clearing import check_falls
from tocsin.compiler.constant_conditions import check_varies, value_of, varies
from tocsin.compiler.parameters import quantity_of
from tocsin.compiler.templates import compile_templates
from tocsin.language.model import LevelWord, Text
from tocsin.model.alerts import LEVELS, Level
from tocsin.model.types import BOOLEAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.alerting.template import Template
    from operators.expressions.bound import Bound
    from tocsin.compiler.judging import Ruling

MEASURE = "measure"


def add_measure(ruling: Ruling) -> dict[str, str]:
    """Evaluate the measure; give the columns of its signs by their names, if it counts any."""
    text = ruling.word.measure
    if text is None or (bound := ruling.bind(text)) is None:
        return {}
    report = ruling.context.report
    if MEASURE in ruling.columns:
        expected = "another name for the column"
        report.add(
            text, "name-twice", f"the rule's measure, and a column {MEASURE} of {ruling.node.name}", expected=expected
        )
    elif not bound.type.numeric:
        report.add(
            text, "types", f"the measure is of type {bound.type}", expected="a number that the levels' bounds are for"
        )
    elif not (bound.columns or bound.lookups):
        report.add(
            text, "constant-condition", f"the measure `{text}` reads no column", expected="an expression on columns"
        )
    if ruling.wrong:
        return {}
    ruling.add(MEASURE, bound)
    signs = sign_conditions(text, ruling.scope)
    if signs:
        # How many signs there are tells nothing of how many persons.
        ruling.groups.pop(MEASURE, None)
    return {name: ruling.add(f"__sign_{name}", condition) for name, condition in signs.items()}


def add_levels(ruling: Ruling) -> tuple[LevelSpec, ...]:
    """Evaluate the conditions of all levels, ascending."""
    words = sorted(ruling.word.levels.values(), key=lambda word: LEVELS.index(str(word.level)))
    specs = [_bounded(ruling, word, word.bound) if word.bound is not None else _level(ruling, word) for word in words]
    _check_ascending(ruling, words, specs)
    return tuple(spec for spec in specs if spec is not None)


def _level(ruling: Ruling, word: LevelWord) -> LevelSpec | None:
    if word.when is None or (when := ruling.bind(word.when, expect=BOOLEAN)) is None:
        return None
    reset = None if word.reset is None else ruling.bind(word.reset, expect=BOOLEAN)
    if (word.reset is not None and reset is None) or not _can_vary(ruling, word, when, reset):
        return None
    check_falls(ruling, word, when, reset)
    name = str(word.level)
    return LevelSpec(
        level=Level[name.upper()],
        when=ruling.add(f"__when_{name}", when),
        reset=None if reset is None else ruling.add(f"__reset_{name}", reset),
        says=_own_words(ruling, word),
    )


def _can_vary(ruling: Ruling, word: LevelWord, when: Bound, reset: Bound | None) -> bool:
    """Note conditions that are always the same. `true` is a condition where `keep` ends what it raises."""
    report = ruling.context.report
    ended = ruling.word.keep is not None and not varies(when) and value_of(when) is True
    if not ended and not check_varies(word.when or Text(""), when, report):
        return False
    return reset is None or check_varies(word.reset or Text(""), reset, report)


def always_on(ruling: Ruling) -> set[str]:
    """Give the levels whose condition reads nothing, and so holds at every row."""
    constant = {step.name for step in ruling.steps if isinstance(step, Column) and not varies(step.bound)}
    return {str(level) for level in ruling.word.levels if f"__when_{level}" in constant}


def _bounded(ruling: Ruling, word: LevelWord, text: Text) -> LevelSpec | None:
    """A bound of the measure: it rises at measure >= bound and falls at measure <= bound less the slack."""
    if MEASURE not in ruling.columns:
        return None
    column = f"__bound_{word.level}"
    value = _constant(ruling, text)
    if value is not None:
        ruling.parameters.define(column, value)
    elif (bound := ruling.bind(text)) is None:
        return None
    else:
        ruling.add(column, bound)
    scope = ruling.scope_with_bounds
    rises, falls = f"{MEASURE} >= {column}", f"{MEASURE} <= {column} - abs({column}) * {_slack(ruling)}"
    report = ruling.context.report
    when, reset = (report.bind(Text(t), scope, expect=BOOLEAN, at=lambda _: text.mark) for t in (rises, falls))
    if when is None or reset is None:
        return None
    check_falls(ruling, word, when, reset)
    name = str(word.level)
    return LevelSpec(
        level=Level[name.upper()],
        when=ruling.add(f"__when_{name}", when, shown=False),
        reset=ruling.add(f"__reset_{name}", reset, shown=False),
        bound=value or column,
        says=_own_words(ruling, word),
    )


def _constant(ruling: Ruling, text: Text) -> Constant | None:
    """Give a bound that is a number, written there or as a parameter."""
    if str(text) in ruling.parameters and str(text) not in ruling.columns:
        return ruling.parameters[str(text)]
    return quantity_of(text)


def _check_ascending(ruling: Ruling, words: list[LevelWord], specs: list[LevelSpec | None]) -> None:
    """Note a bound that is not above that of the level below: that level would never show."""
    below: tuple[LevelWord, Constant] | None = None
    for word, spec in zip(words, specs, strict=True):
        if spec is None or not isinstance(spec.bound, Constant) or word.bound is None:
            continue
        if below is not None and _above(below[1], spec.bound):
            what = f"{word.level} from {word.bound} on would hide {below[0].level} from {below[0].bound} on"
            ruling.context.report.add(word.bound, "bounds", what, expected="a higher bound for the higher level")
        below = word, spec.bound


def _above(one: Constant, other: Constant) -> bool:
    same = one.type.unit == other.type.unit
    return same and not isinstance(one.value, str) and not isinstance(other.value, str) and one.value >= other.value


def _slack(ruling: Ruling) -> float:
    slack = ruling.word.slack
    if slack is None:
        return 0.0
    value = _constant(ruling, slack)
    share = float(value.value) if value is not None and value.type.numeric and not value.type.unit else None
    if share is None or not 0 <= share < 1:
        what = f"slack {str(slack)!r} is no share"
        ruling.context.report.add(slack, "slack", what, expected="0% to 99%, or a parameter that is such a share")
        return 0.0
    return share


def _own_words(ruling: Ruling, word: LevelWord) -> Mapping[str, Template]:
    return {} if word.says is None else compile_templates({Text(""): word.says}, ruling)
