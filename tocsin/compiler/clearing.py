"""How each level of a rule clears, in words; and the rules that never would (language.md, decision 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.compiler.nodes import Node, Shape
from tocsin.model.display import display
from tocsin.model.types import DURATION

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from operators.expressions.bound import Bound
    from tocsin.compiler.judging import Ruling
    from tocsin.compiler.report import Report
    from tocsin.language.model import Duration, LevelWord, RuleWord, Text

_MUST_KEEP = {
    Shape.SESSION: "a session gives one row and then nothing",
    Shape.MOVEMENT: "a movement row gives null when it says nothing, and null resets nothing",
    Shape.STREAM: "an event gives one row and then nothing",
    Shape.ASKED: "a row that asks gives one row and then nothing",
    Shape.SEQUENCE: "a sequence gives one row per match and then nothing",
}


def check_clearing(rule: RuleWord, nodes: Sequence[Node], parts: Iterable[Bound], report: Report) -> None:
    """Note a rule that could not clear, and times that contradict each other. `parts`: of the rule's entity."""
    shape = nodes[0].shape
    if shape is Shape.STREAM:
        _check_immediate(rule, report)
    silent = next((_MUST_KEEP[node.shape] for node in nodes if node.shape in _MUST_KEEP), None)
    if silent is None and shape is Shape.TRAILING:
        silent = _lost_empty_row(nodes[0], parts)
    if silent is not None and rule.keep is None and not rule.keep_forever:
        what = f"rule {rule.name} would never clear: {silent}"
        expected = "keep: DURATION" if shape is Shape.STREAM else "keep: DURATION or keep: forever"
        report.add(rule.mark, "never-clears", what, expected=expected)


def _lost_empty_row(node: Node, parts: Iterable[Bound]) -> str | None:
    """Say why the row of a window that has run empty does not come to the rule."""
    if node.empty is None:
        return f"{node.name} does not hand on the row of a window that has run empty"
    if any(part.columns - set(node.by) for part in parts):
        return f"its entity is not made of {', '.join(node.by) or 'the key'} alone, so the empty row belongs to nobody"
    return None


def _check_immediate(rule: RuleWord, report: Report) -> None:
    """A rule on single events: its alerts are closed at birth, so nothing resets, waits or expires."""
    if rule.keep_forever:
        what = f"rule {rule.name} judges single events; its keep is the cooldown between two alerts"
        report.add(rule.mark, "keep", what, expected="keep: DURATION")
    resets = [level.reset for level in rule.levels.values()]
    waits: list[tuple[str, Duration | None]] = [("for", rule.for_), ("expires", rule.expires)]
    found: list[tuple[str, Text | None]] = [("reset", reset) for reset in resets]
    found += [(name, None if time is None else time.text) for name, time in waits]
    for name, text in found:
        if text is not None:
            what = f"`{name}` in a rule on single events, whose alerts are closed at birth"
            report.add(text, "immediate", what, expected="a rule on a feature")


def check_times(rule: RuleWord, nodes: Sequence[Node], expires: int, report: Report) -> None:
    """Note times of a rule that can never be reached because its episodes expire before."""
    every = max(node.rhythm.every for node in nodes)
    if rule.expires is not None and rule.expires.ms < every:
        what = f"alerts expire after {rule.expires.text}, but rows come every {display(every, DURATION)}"
        report.add(rule.expires.text, "expires", what, expected=f"more than {display(every, DURATION)}")
    longest = "" if rule.expires is not None else ", which is the default"
    for name, time in (("keep", rule.keep), ("for", rule.for_)):
        if time is not None and time.ms > expires:
            what = (
                f"`{name}: {time.text}` is longer than alerts live without a row, {display(expires, DURATION)}{longest}"
            )
            report.add(time.text, "expires", what, expected=f"expires: more than {time.text}")


def check_falls(ruling: Ruling, level: LevelWord, when: Bound, reset: Bound | None) -> None:
    """Note a level that stays when the entity falls silent: its reset is not true at the row of an empty window."""
    kept = ruling.word.keep is not None or ruling.word.keep_forever
    falls, empty = when if reset is None else reset, ruling.empty
    if kept or ruling.shape is not Shape.TRAILING or empty is None or not empty.knows(falls):
        return
    value = empty.value(falls)
    if value is (reset is not None):
        return
    said = "null" if value is None else str(value).lower()
    condition = level.reset or level.when or f"{ruling.word.measure} <= {level.bound}"
    what = f"level {level.level} would never clear: when the window has run empty, `{condition}` is {said}"
    expected = "keep: DURATION, or a reset that holds then, such as coalesce(x, 0) < y"
    ruling.context.report.add(level.reset or level.level, "never-clears", what, expected=expected)


def clears(rule: RuleWord, shape: Shape, expires: int, always: Container[str]) -> dict[str, str]:
    """Say per level how it clears. `expires`: ms. `always`: levels whose condition holds at every row."""
    return {
        str(name): _clears(rule, level, shape, expires, falls=level.reset is not None or str(name) not in always)
        for name, level in rule.levels.items()
    }


def _clears(rule: RuleWord, level: LevelWord, shape: Shape, expires: int, *, falls: bool) -> str:
    if shape is Shape.STREAM and rule.keep is not None:
        return f"closed at birth; not raised again for the same entity within the same {rule.keep.text}"
    ways = [_falls(rule, level)] if falls else []
    if rule.keep is not None:
        ways.append(f"{rule.keep.text} after {'it last held' if falls else 'the last row (it holds at every row)'}")
    ways.append(f"without a row for {display(expires, DURATION)}, as expired")
    return "; or ".join(ways)


def _falls(rule: RuleWord, level: LevelWord) -> str:
    if level.reset is not None:
        return f"when {level.reset}"
    if level.bound is not None:
        slack = f" less {rule.slack}" if rule.slack is not None else ""
        return f"when {rule.measure} <= {level.bound}{slack}"
    return f"when not ({level.when})"
