"""How each level of a rule clears, in words; and the rules that never would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.compiler.nodes import Shape

if TYPE_CHECKING:
    from tocsin.compiler.report import Report
    from tocsin.language.model import LevelWord, RuleWord

_MUST_KEEP = {
    Shape.SESSION: "a session gives one row and then nothing",
    Shape.MOVEMENT: "a movement row gives null when it says nothing, and null resets nothing",
    Shape.SEQUENCE: "a sequence gives one row per match and then nothing",
    Shape.STREAM: "an event gives one row and then nothing",
}


def clears(rule: RuleWord, shape: Shape, report: Report) -> dict[str, str]:
    """Say per level how it clears; note a rule that cannot."""
    kept = rule.keep is not None or rule.keep_forever
    if not kept and shape in _MUST_KEEP:
        what = f"rule {rule.name} would never clear: {_MUST_KEEP[shape]}"
        report.add(rule.mark, "never-clears", what, expected="keep: DURATION or keep: forever")
    if shape is Shape.STREAM and rule.keep is None and kept:
        what = f"rule {rule.name} judges single events; its keep is the cooldown between two alerts"
        report.add(rule.mark, "keep", what, expected="keep: DURATION")
    return {str(name): _clears(rule, level, shape) for name, level in rule.levels.items()}


def _clears(rule: RuleWord, level: LevelWord, shape: Shape) -> str:
    if shape is Shape.STREAM and rule.keep is not None:
        return f"closed at birth; not raised again for the same entity within the same {rule.keep.text}"
    ways = [_falls(rule, level)]
    if rule.keep is not None:
        ways.append(f"{rule.keep.text} after it last held")
    expires = rule.expires.text if rule.expires is not None else "24h or three windows"
    ways.append(f"without a row for {expires}, as expired")
    return "; or ".join(ways)


def _falls(rule: RuleWord, level: LevelWord) -> str:
    if level.reset is not None:
        return f"when {level.reset}"
    if level.bound is not None:
        slack = f" less {rule.slack}" if rule.slack is not None else ""
        return f"when {rule.measure} <= {level.bound}{slack}"
    return f"when not ({level.when})"
